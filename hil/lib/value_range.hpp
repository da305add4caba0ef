// SPDX-License-Identifier: Apache-2.0
// Tables of what ranges of numbers mean: ports, MSRs, function numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ranges>

namespace hil {

/// The first entry of a table whose values, `first` to `last` inclusive, hold this one; null when none does.
template <std::ranges::contiguous_range Table>
auto range_holding(const Table& table, std::uint64_t value) -> const std::ranges::range_value_t<Table>* {
    const auto found =
        std::ranges::find_if(table, [value](const auto& entry) { return value >= entry.first && value <= entry.last; });
    return found == std::ranges::end(table) ? nullptr : &*found;
}

} // namespace hil

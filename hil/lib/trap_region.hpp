// SPDX-License-Identifier: Apache-2.0
// A region: some kilobytes of text around something that looks like a trap, decoded as a whole.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace hil {

struct TrapRegionResult {
    std::vector<TrapEvent> events;
    bool whole = false; // at least one event, and each of them complete and verbatim
};

/// Decodes one region. first_line: number of its first line. recover: also read what is damaged (slow).
TrapRegionResult decode_trap_region(std::string_view raw, std::uint64_t first_line, bool recover);

} // namespace hil

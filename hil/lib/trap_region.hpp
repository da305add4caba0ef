// SPDX-License-Identifier: Apache-2.0
// A region: some kilobytes of text around something that looks like a trap, decoded as a whole.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace hil {

/// Decodes one region and appends its events. first_line: number of its first line. recover: also read what is damaged
/// (slow); without it a region that is not whole yields nothing. Returns whether it was whole: at least one report, and
/// each of them complete and verbatim.
bool decode_trap_region(std::string_view raw, std::uint64_t first_line, bool recover, std::vector<TrapEvent>& events);

} // namespace hil

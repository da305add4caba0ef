// SPDX-License-Identifier: Apache-2.0
// The prefilter of the trap decoder: skips bytes that cannot belong to a trap, many times faster than they are parsed.
#pragma once

#include <cstdint>
#include <string_view>

namespace hil {

/// The first place in [begin, end) where one of the trap's anchors stands ("FATAL", "(Cell:", "esr:", …), or end.
const char* find_trap_anchor(const char* begin, const char* end);

/// The number of '\n' in [begin, end).
std::uint64_t count_newlines(const char* begin, const char* end);

/// True when the line has an anchor, or a run of eight hexadecimal digits as every row of a register dump has.
bool looks_like_trap(std::string_view line);

} // namespace hil

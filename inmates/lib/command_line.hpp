// SPDX-License-Identifier: Apache-2.0
// The inmate's command line: "key=value key=value …" at 0x1000, loaded as a second image
// (`jailhouse cell load CELL INMATE.bin -s "key=value" -a 0x1000`). Loading the inmate alone clears it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace inmate {

/// Characters that count; what follows is ignored.
inline constexpr std::size_t command_line_limit = 1023;

/// The whole text up to the first NUL or the limit.
std::string_view command_line();

/// The value of the last `key=value`, or `fallback`.
std::string_view command_line_text(std::string_view key, std::string_view fallback);

/// A number: decimal or 0x…. A malformed one is reported on the console and counts as absent.
std::uint64_t command_line_number(std::string_view key, std::uint64_t fallback);

} // namespace inmate

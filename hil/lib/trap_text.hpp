// SPDX-License-Identifier: Apache-2.0
// Text as the trap grammar wants it: what terminals, mailers and web pages did to a console log is undone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
constexpr bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
constexpr unsigned hex_digit(char c) {
    return static_cast<unsigned>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

/// The value of each hexadecimal digit, 0xff for any other byte.
inline constexpr auto hex_values = [] {
    std::array<std::uint8_t, 256> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const char c = static_cast<char>(i);
        values[i] = is_hex(c) ? static_cast<std::uint8_t>(hex_digit(c)) : std::uint8_t{0xff};
    }
    return values;
}();

/// Cleaned text, and how its offsets map to the lines of the input.
class TrapText {
  public:
    /// `raw` is kept by reference when nothing has to be cleaned, and copied otherwise. first_line: number of its first
    /// line.
    TrapText(std::string_view raw, std::uint64_t first_line);
    TrapText(const TrapText&) = delete;
    TrapText& operator=(const TrapText&) = delete;

    [[nodiscard]] std::string_view view() const { return view_; }
    /// The line of the input in which the byte at `offset` of view() stands.
    [[nodiscard]] std::uint64_t line_at(std::size_t offset) const;

  private:
    std::string cleaned_;
    std::string_view view_;
    std::uint64_t first_line_;
    std::vector<std::size_t> line_starts_; // only for cleaned text: offset of each input line
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#include "inmates/lib/command_line.hpp"

#include "inmates/lib/print.hpp"

#include <optional>

extern "C" const char command_line_page[];

namespace inmate {
namespace {

std::optional<std::uint64_t> parse(std::string_view text) {
    const bool hexadecimal = text.starts_with("0x");
    const std::uint64_t radix = hexadecimal ? 16 : 10;
    if (hexadecimal) {
        text.remove_prefix(2);
    }
    std::uint64_t value = 0;
    for (const char character : text) {
        std::uint64_t digit = radix;
        if (character >= '0' && character <= '9') {
            digit = static_cast<std::uint64_t>(character - '0');
        } else if (character >= 'a' && character <= 'f') {
            digit = static_cast<std::uint64_t>(character - 'a') + 10;
        }
        if (digit >= radix || value > (UINT64_MAX - digit) / radix) {
            return std::nullopt;
        }
        value = value * radix + digit;
    }
    return text.empty() ? std::nullopt : std::optional(value);
}

} // namespace

std::string_view command_line() {
    std::size_t length = 0;
    while (length < command_line_limit && command_line_page[length] != '\0') {
        ++length;
    }
    return {command_line_page, length};
}

std::string_view command_line_text(std::string_view key, std::string_view fallback) {
    std::string_view rest = command_line();
    std::string_view found = fallback;
    while (!rest.empty()) {
        std::size_t length = 0;
        while (length < rest.size() && rest[length] != ' ') {
            ++length;
        }
        const std::string_view word(rest.data(), length);
        rest.remove_prefix(length < rest.size() ? length + 1 : length);
        if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=') {
            found = std::string_view(word.data() + key.size() + 1, word.size() - key.size() - 1);
        }
    }
    return found;
}

std::uint64_t command_line_number(std::string_view key, std::uint64_t fallback) {
    const std::string_view text = command_line_text(key, {});
    if (text.empty()) {
        return fallback;
    }
    const std::optional<std::uint64_t> value = parse(text);
    if (!value) {
        println("command line: ", key, "=", text, " is no number (decimal or 0x...), using ", fallback);
    }
    return value.value_or(fallback);
}

} // namespace inmate

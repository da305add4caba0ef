// SPDX-License-Identifier: Apache-2.0
#include "inmates/lib/print.hpp"

#include "inmates/lib/console.hpp"

namespace inmate {

void put(char character) {
    if (character == '\n') {
        console_write('\r');
    }
    console_write(character);
}

void put(std::string_view text) {
    for (const char character : text) {
        put(character);
    }
}

void put(std::uint64_t value) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        put(digits[--count]);
    }
}

void put(std::int64_t value) {
    if (value < 0) {
        put('-');
        put(std::uint64_t{0} - static_cast<std::uint64_t>(value));
    } else {
        put(static_cast<std::uint64_t>(value));
    }
}

void put(Hex number) {
    unsigned digits = number.digits;
    while (digits < 16 && number.value >> (4 * digits) != 0) {
        ++digits;
    }
    put("0x");
    while (digits-- > 0) {
        put("0123456789abcdef"[number.value >> (4 * digits) & 0xf]);
    }
}

} // namespace inmate

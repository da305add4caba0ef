// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/text.hpp"

namespace gaol {

Text& Text::operator<<(std::string_view text) {
    for (const char character : text) {
        sink_.put(character);
    }
    return *this;
}

Text& Text::operator<<(char character) {
    sink_.put(character);
    return *this;
}

Text& Text::operator<<(uint64_t value) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        sink_.put(digits[--count]);
    }
    return *this;
}

Text& Text::operator<<(int value) {
    if (value < 0) {
        sink_.put('-');
        return *this << static_cast<uint64_t>(-static_cast<int64_t>(value));
    }
    return *this << static_cast<uint64_t>(value);
}

Text& Text::operator<<(Hex number) {
    unsigned digits = 1;
    while (digits < 16 && (number.value >> (4 * digits)) != 0) {
        ++digits;
    }
    if (digits < number.width) {
        digits = number.width;
    }
    while (digits-- > 0) {
        const uint64_t digit = digits < 16 ? (number.value >> (4 * digits)) & 0xf : 0;
        sink_.put("0123456789abcdef"[digit]);
    }
    return *this;
}

} // namespace gaol

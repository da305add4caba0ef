// SPDX-License-Identifier: Apache-2.0
// Text on the cell's console.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace inmate {

struct Hex {
    std::uint64_t value;
    unsigned digits = 1; ///< at least this many
};

/// `value` in hexadecimal with 0x in front.
constexpr Hex hex(std::uint64_t value, unsigned digits = 1) {
    return {value, digits};
}

void put(char character);
void put(std::string_view text);
void put(std::uint64_t value);
void put(std::int64_t value);
void put(Hex value);

template <class Item> void put_item(const Item& item) {
    if constexpr (std::is_same_v<Item, char> || std::is_same_v<Item, Hex>) {
        put(item);
    } else if constexpr (std::is_integral_v<Item> && std::is_signed_v<Item>) {
        put(static_cast<std::int64_t>(item));
    } else if constexpr (std::is_integral_v<Item>) {
        put(static_cast<std::uint64_t>(item));
    } else {
        put(std::string_view(item));
    }
}

template <class... Items> void print(const Items&... items) {
    (put_item(items), ...);
}

/// As print, with a line end.
template <class... Items> void println(const Items&... items) {
    (put_item(items), ...);
    put('\n');
}

} // namespace inmate

// SPDX-License-Identifier: Apache-2.0
// Hexadecimal digits of a dump: most of its bytes are rows of sixteen, which are read at once.
#pragma once

#include "hil/lib/trap_text.hpp"
#include "hil/lib/trap_vector.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace hil {

/// `count` adjacent digits at `at`; false when one of them is none.
inline bool read_hex(const char* at, unsigned count, std::uint64_t& value) {
    std::uint64_t read = 0;
    unsigned all = 0; // above 15 as soon as one was no digit
    for (unsigned i = 0; i < count; ++i) {
        const unsigned digit = hex_values[static_cast<unsigned char>(at[i])];
        all |= digit;
        read = read << 4 | digit;
    }
    value = read;
    return all < 16;
}

/// Sixteen adjacent digits at `at`; false when one of them is none.
inline bool read_hex_16(const char* at, std::uint64_t& value) {
    using Pairs = std::uint16_t __attribute__((vector_size(16)));
    using Packed = unsigned char __attribute__((vector_size(8)));
    static_assert(std::endian::native == std::endian::little);
    const TrapVector text = load_vector(at);
    const TrapVector number = text - '0';
    const TrapVector letter = (text | 0x20) - 'a';
    const auto is_number = number < 10;
    const auto is_letter = letter < 6;
    if (!all_of(reinterpret_cast<TrapVector>(is_number | is_letter))) {
        return false;
    }
    const TrapVector digits = is_number ? number : letter + 10;
    // Each pair of digits is a byte; the first digit, in the low half of the pair, is its high half.
    const Pairs pairs = reinterpret_cast<Pairs>(digits);
    const Packed packed = __builtin_convertvector(pairs << 4 | pairs >> 8, Packed);
    std::uint64_t swapped = 0;
    std::memcpy(&swapped, &packed, sizeof swapped);
    value = __builtin_bswap64(swapped);
    return true;
}

} // namespace hil

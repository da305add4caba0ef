// SPDX-License-Identifier: Apache-2.0
// Fixed-size bit sets without heap: CPUs of a cell, interrupts of a cell.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gaol {

template <size_t Size> class BitSet {
  public:
    static constexpr size_t words = (Size + 31) / 32;

    constexpr void set(size_t bit) {
        if (bit < Size) {
            word_[bit / 32] |= 1u << (bit % 32);
        }
    }
    constexpr void clear(size_t bit) {
        if (bit < Size) {
            word_[bit / 32] &= ~(1u << (bit % 32));
        }
    }
    [[nodiscard]] constexpr bool test(size_t bit) const {
        return bit < Size && (word_[bit / 32] & (1u << (bit % 32))) != 0;
    }
    [[nodiscard]] constexpr bool empty() const {
        for (auto word : word_) {
            if (word != 0) {
                return false;
            }
        }
        return true;
    }
    /// First set bit at or after `from`, or Size.
    [[nodiscard]] constexpr size_t next(size_t from = 0) const {
        while (from < Size) {
            const uint32_t rest = word_[from / 32] >> (from % 32);
            if (rest != 0) {
                return from + static_cast<size_t>(__builtin_ctz(rest));
            }
            from = (from / 32 + 1) * 32;
        }
        return Size;
    }
    [[nodiscard]] constexpr uint32_t word(size_t index) const { return index < words ? word_[index] : 0; }
    constexpr void or_word(size_t index, uint32_t value) {
        if (index < words) {
            word_[index] |= value;
        }
    }
    constexpr bool operator==(const BitSet&) const = default;

  private:
    uint32_t word_[words] = {};
};

} // namespace gaol

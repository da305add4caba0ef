// SPDX-License-Identifier: Apache-2.0
// Addresses of the two worlds that must never be mixed up: physical ones and those a cell sees (stage-1 output).
#pragma once

#include <compare>
#include <cstdint>

namespace gaol {

inline constexpr uint64_t page_size = 4096;
inline constexpr uint64_t page_mask = page_size - 1;

constexpr uint64_t page_down(uint64_t value) {
    return value & ~page_mask;
}
constexpr uint64_t page_up(uint64_t value) {
    return (value + page_mask) & ~page_mask;
}
constexpr bool page_aligned(uint64_t value) {
    return (value & page_mask) == 0;
}

template <typename Tag> struct Address {
    uint64_t value = 0;

    constexpr Address() = default;
    constexpr explicit Address(uint64_t v) : value(v) {}
    constexpr Address operator+(uint64_t offset) const { return Address{value + offset}; }
    constexpr Address operator-(uint64_t offset) const { return Address{value - offset}; }
    constexpr uint64_t operator-(Address other) const { return value - other.value; }
    constexpr auto operator<=>(const Address&) const = default; // NOLINT(modernize-use-nullptr): none here
};

using PhysAddr = Address<struct PhysTag>;
using GuestAddr = Address<struct GuestTag>;

/// A half-open range [start, start + size) of physical memory.
struct PhysRange {
    PhysAddr start;
    uint64_t size = 0;

    [[nodiscard]] constexpr PhysAddr end() const { return start + size; }
    [[nodiscard]] constexpr bool overlaps(const PhysRange& other) const {
        return start < other.end() && other.start < end();
    }
    [[nodiscard]] constexpr bool contains(const PhysRange& other) const {
        return start <= other.start && other.end() <= end();
    }
};

} // namespace gaol

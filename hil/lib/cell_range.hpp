// SPDX-License-Identifier: Apache-2.0
// Ranges of addresses: what the checks compare.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "abi/cell_config.h"
#include "hil/lib/cell_names.hpp"

namespace hil {

constexpr uint64_t cell_page_size = 4096;

/// Addresses from start up to, not including, end. A range that would go past 2^64 ends there.
struct AddressRange {
    uint64_t start = 0;
    uint64_t end = 0;

    static AddressRange of(uint64_t start, uint64_t size) {
        const uint64_t room = std::numeric_limits<uint64_t>::max() - start;
        return {start, start + std::min(size, room)};
    }
    [[nodiscard]] bool empty() const { return end <= start; }
    [[nodiscard]] uint64_t size() const { return empty() ? 0 : end - start; }
    [[nodiscard]] AddressRange intersection(const AddressRange& other) const {
        return {std::max(start, other.start), std::min(end, other.end)};
    }
    [[nodiscard]] bool overlaps(const AddressRange& other) const { return !intersection(other).empty(); }
    [[nodiscard]] bool contains(uint64_t address) const { return address >= start && address < end; }
    /// "0x70000000-0x70ffffff"
    [[nodiscard]] std::string text() const {
        return empty() ? hex_text(start) + " (empty)" : hex_text(start) + "-" + hex_text(end - 1);
    }
    bool operator==(const AddressRange&) const = default;
};

inline AddressRange physical_range(const jh_memory& memory) {
    return AddressRange::of(memory.phys_start, memory.size);
}
inline AddressRange virtual_range(const jh_memory& memory) {
    return AddressRange::of(memory.virt_start, memory.size);
}

/// What is left of a range without the parts.
inline std::vector<AddressRange> subtract(const AddressRange& whole, const std::vector<AddressRange>& parts) {
    std::vector<AddressRange> left;
    if (!whole.empty()) {
        left.push_back(whole);
    }
    for (const AddressRange& part : parts) {
        std::vector<AddressRange> next;
        for (const AddressRange& piece : left) {
            if (part.empty() || !piece.overlaps(part)) {
                next.push_back(piece);
                continue;
            }
            if (piece.start < part.start) {
                next.push_back({piece.start, part.start});
            }
            if (part.end < piece.end) {
                next.push_back({part.end, piece.end});
            }
        }
        left = std::move(next);
    }
    return left;
}

} // namespace hil

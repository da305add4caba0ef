// SPDX-License-Identifier: Apache-2.0
// An access of a cell to emulated registers, and what became of it.
#pragma once

#include <cstdint>

namespace gaol {

struct MmioAccess {
    uint64_t address; ///< guest address, or offset once a device has taken it
    unsigned size;    ///< bytes: 1, 2, 4, 8
    bool write;
    uint64_t value; ///< written, or the answer

    [[nodiscard]] MmioAccess at(uint64_t offset) const { return {offset, size, write, value}; }
};

enum class MmioResult {
    unclaimed, ///< nobody's: prints "Unhandled data …" and parks
    done,
    forbidden, ///< claimed and refused
};

} // namespace gaol

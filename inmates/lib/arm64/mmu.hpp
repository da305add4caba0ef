// SPDX-License-Identifier: Apache-2.0
// Stage 1 translation: 4 KiB granule, 39 address bits, every mapping at its physical address (but for the image).
#pragma once

#include <cstdint>

namespace inmate {

/// How memory is accessed. Values are the MAIR indices.
enum class Memory : std::uint64_t {
    device = 0, ///< nGnRnE: registers, configuration space
    normal = 1, ///< write-back, inner shareable: RAM, the communication region, shared memory
};

enum class Access : std::uint64_t {
    read_write,
    read_only,
    read_execute,
};

/// Maps [address, address + size), extended to whole pages, one to one. Mapping a page again changes its attributes'
/// table entry only if it was not mapped. False when the pool of page tables is used up or the address is out of range.
bool map(std::uint64_t address, std::uint64_t size, Memory memory, Access access = Access::read_write);

} // namespace inmate

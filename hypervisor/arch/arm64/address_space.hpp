// SPDX-License-Identifier: Apache-2.0
// EL2's own address space (stage 1): the hypervisor's memory and devices where they are physically, and windows.
#pragma once

#include "hypervisor/core/address.hpp"

#include <cstdint>

namespace gaol {

enum class HypMemory {
    code,      ///< read, execute
    constants, ///< read
    data,      ///< read, write
    device,    ///< read, write, device-nGnRE
};

/// Allocate the tables and the windows of `cpus` CPUs. 0 or -ENOMEM.
int address_space_create(uint32_t cpus);
/// Identity map; page aligned.
int address_space_map(PhysAddr start, uint64_t size, HypMemory kind);
int address_space_unmap(PhysAddr start, uint64_t size);
/// Map a device and count its pages as remapped.
int map_device(PhysAddr start, uint64_t size);
/// Set this CPU's stage-1 registers (not SCTLR_EL2 yet).
void address_space_load();

/// This CPU's window: the page of `address` until the next call; returns where `address` itself is.
void* window(PhysAddr address, HypMemory kind);

/// Temporary mapping of a page-aligned range of RAM, `largest` bytes at most, for its scope. One at a time (management
/// operations only); needs no memory.
class RangeMapping {
  public:
    static constexpr uint64_t largest = 448 * page_size;

    explicit RangeMapping(PhysRange range);
    ~RangeMapping();
    RangeMapping(const RangeMapping&) = delete;
    RangeMapping& operator=(const RangeMapping&) = delete;
    [[nodiscard]] const void* start() const;

  private:
    uint64_t pages_;
};

} // namespace gaol

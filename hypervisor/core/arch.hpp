// SPDX-License-Identifier: Apache-2.0
// What the core asks of an architecture. arch/<arch>/ implements it; the host tests implement it over plain memory.
#pragma once

#include "hypervisor/core/address.hpp"
#include "hypervisor/core/cell_config.hpp"

#include <cstddef>
#include <cstdint>

namespace gaol {
struct Cell;
struct Cpu;

/// What becomes of translation tables that a change makes superfluous.
enum class Tables {
    tidy, ///< back to the pool
    kept, ///< they stay for the reverse change
};
} // namespace gaol

namespace gaol::arch {

/// One turn of a waiting loop: gives the processor (or the emulator) to others.
void relax();
/// Microseconds of a clock that all CPUs share.
uint64_t microseconds();
/// Let `cpu` look at its requests soon.
void kick(Cpu& cpu);
/// The logical number of the CPU that runs this.
uint32_t this_cpu_id();

/// The hypervisor's own memory: pointer and physical address of the same byte.
void* pool_pointer(PhysAddr address);
PhysAddr pool_address(const void* pointer);

/// Stage 2 of a cell. Results are 0 or -ENOMEM; flags are JH_MEM_*. What is mapped or unmapped is page aligned.
/// Unmapping keeps the tables: to map the same again needs no memory.
int stage2_create(Cell& cell);
void stage2_destroy(Cell& cell);
int stage2_map(Cell& cell, GuestAddr guest, PhysAddr phys, uint64_t size, uint64_t flags, Tables tables = Tables::tidy);
int stage2_unmap(Cell& cell, GuestAddr guest, uint64_t size);
/// Forget every cached translation of the cell, on all CPUs.
void stage2_flush(const Cell& cell);
/// Copy from a cell's memory as the cell sees it; false when a byte of it is not readable RAM of the cell.
bool read_guest(const Cell& cell, GuestAddr from, void* to, size_t size);

/// Write a word of physical memory that is no part of the hypervisor's own; false when nothing is there.
bool write_physical(PhysAddr address, uint32_t value);
/// Make memory that was written through caches visible to a CPU without caches, and the reverse.
void clean_invalidate(PhysRange range);
void clean_invalidate_object(const void* object, size_t size);
/// Device access of `size` (1, 2, 4, 8) bytes inside a page for a sub-page region that is passed through; false when
/// the bus or the device refuses it.
bool device_read(PhysAddr address, unsigned size, uint64_t& value);
bool device_write(PhysAddr address, uint64_t value, unsigned size);

/// Interrupt numbers that exist (0 up to this, exclusive).
uint32_t interrupt_limit();
/// Quiet the interrupts and route them to the cell's first CPU.
void interrupts_assign(const InterruptSet& interrupts, const Cell& owner);
/// Route interrupts that point to CPUs outside the owner back to the owner's first CPU.
void interrupts_reroute(const InterruptSet& interrupts, const Cell& owner);
/// Make a shared interrupt pending.
void interrupt_raise(uint32_t interrupt);
/// Physical memory that no cell may ever have (interrupt controller).
bool reserved_for_hypervisor(PhysRange range);
/// Bits of physical and guest addresses.
unsigned address_bits();

} // namespace gaol::arch

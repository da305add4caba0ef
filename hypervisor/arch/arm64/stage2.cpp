// SPDX-License-Identifier: Apache-2.0
// 40-bit guest addresses: tables start at level 1 with two concatenated pages (Arm ARM D8.2).
#include "hypervisor/arch/arm64/stage2.hpp"

#include "hypervisor/arch/arm64/address_space.hpp"
#include "hypervisor/arch/arm64/page_table.hpp"
#include "hypervisor/arch/arm64/sysreg.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

#include <cstring>

namespace gaol {

namespace {

constexpr TableGeometry geometry{1, 40};
constexpr uint64_t attribute_device = 1u << 2; // device-nGnRE
constexpr uint64_t attribute_normal = 0xfu << 2 | 3u << 8;
constexpr uint64_t attribute_memory_type = 0xfu << 2;
constexpr uint64_t attribute_read = 1u << 6;
constexpr uint64_t attribute_write = 1u << 7;
constexpr uint64_t attribute_accessed = 1u << 10;
constexpr uint64_t attribute_execute_never = uint64_t{1} << 54;

uint64_t attributes(uint64_t flags) {
    uint64_t bits = attribute_accessed;
    bits |= (flags & JH_MEM_IO) != 0 ? attribute_device : attribute_normal;
    bits |= (flags & JH_MEM_READ) != 0 ? attribute_read : 0;
    bits |= (flags & JH_MEM_WRITE) != 0 ? attribute_write : 0;
    bits |= (flags & JH_MEM_EXECUTE) == 0 ? attribute_execute_never : 0;
    bits |= (flags & JH_MEM_NO_HUGEPAGES) != 0 ? PageTable::attribute_pages_only : 0;
    return bits;
}

void flush(const void* cell) {
    arch::stage2_flush(*static_cast<const Cell*>(cell));
}

PageTable table(const Cell& cell) {
    return {geometry, hypervisor().pool, cell.stage2, flush, &cell};
}

} // namespace

uint64_t stage2_control() {
    constexpr uint64_t res1 = uint64_t{1} << 31;
    constexpr uint64_t walks = uint64_t{3} << 12 | uint64_t{1} << 10 | uint64_t{1} << 8;
    constexpr uint64_t start_level_1 = uint64_t{1} << 6;
    constexpr uint64_t physical_40_bits = uint64_t{2} << 16;
    return res1 | physical_40_bits | walks | start_level_1 | (64 - geometry.address_bits);
}

uint64_t stage2_base(const Cell& cell) {
    return reinterpret_cast<uint64_t>(cell.stage2) | uint64_t{cell.slot} << 48;
}

namespace arch {

unsigned address_bits() {
    return geometry.address_bits;
}

int stage2_create(Cell& cell) {
    cell.stage2 = PageTable::allocate_root(geometry, hypervisor().pool);
    return cell.stage2 == nullptr ? -JH_ENOMEM : 0;
}

void stage2_destroy(Cell& cell) {
    if (cell.stage2 == nullptr) {
        return;
    }
    stage2_flush(cell);
    table(cell).destroy();
    cell.stage2 = nullptr;
}

int stage2_map(Cell& cell, GuestAddr guest, PhysAddr phys, uint64_t size, uint64_t flags, Tables tables) {
    return table(cell).map(guest.value, phys.value, size, attributes(flags), tables);
}

int stage2_unmap(Cell& cell, GuestAddr guest, uint64_t size) {
    return table(cell).unmap(guest.value, size, Tables::kept);
}

void stage2_flush(const Cell& cell) {
    const uint64_t mine = SYSREG_READ(vttbr_el2);
    dsb_ish();
    SYSREG_WRITE(vttbr_el2, stage2_base(cell));
    isb();
    asm volatile("tlbi vmalls12e1is" ::: "memory");
    dsb_ish();
    SYSREG_WRITE(vttbr_el2, mine);
    isb();
}

bool read_guest(const Cell& cell, GuestAddr from, void* to, size_t size) {
    auto* destination = static_cast<uint8_t*>(to);
    while (size > 0) {
        const PageTable::Leaf leaf = table(cell).find(from.value);
        if (!leaf.valid || (leaf.attributes & attribute_memory_type) != attribute_memory_type ||
            (leaf.attributes & attribute_read) == 0) {
            return false;
        }
        const size_t rest = page_size - (from.value & page_mask);
        const size_t part = rest < size ? rest : size;
        std::memcpy(destination, window(PhysAddr{leaf.target}, HypMemory::constants), part);
        destination += part;
        from = from + part;
        size -= part;
    }
    return true;
}

} // namespace arch
} // namespace gaol

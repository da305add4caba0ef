// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/address_space.hpp"

#include "abi/hypercall.h"
#include "hypervisor/arch/arm64/page_table.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

constexpr TableGeometry geometry{0, 48};
constexpr uint64_t window_base = 0x700000000000; // one page a CPU, and behind them the pages of RangeMapping
constexpr uint64_t range_first = 64;
static_assert(range_first >= max_cpus && range_first + RangeMapping::largest / page_size <= 512); // one table

constexpr uint64_t mair = 0x04 | 0xff << 8; // index 0: device-nGnRE, 1: normal write-back
constexpr uint64_t tcr_res1 = uint64_t{1} << 31 | uint64_t{1} << 23;
constexpr uint64_t tcr_walks = uint64_t{3} << 12 | uint64_t{1} << 10 | uint64_t{1} << 8; // inner shareable, write-back

uint64_t* root;
uint64_t* window_entry; // of CPU 0; the next CPUs' follow

void flush(const void*) {
    dsb_ish();
    asm volatile("tlbi alle2is" ::: "memory");
    dsb_ish();
    isb();
}

PageTable table() {
    return {geometry, hypervisor().pool, root, flush, nullptr};
}

uint64_t attributes(HypMemory kind) {
    constexpr uint64_t common = 1u << 10 | 1u << 6; // access flag, RES1
    constexpr uint64_t normal = common | 1u << 2 | 3u << 8;
    constexpr uint64_t read_only = 1u << 7;
    constexpr uint64_t execute_never = uint64_t{1} << 54;
    switch (kind) {
    case HypMemory::code:
        return normal | read_only;
    case HypMemory::constants:
        return normal | read_only | execute_never;
    case HypMemory::data:
        return normal | execute_never;
    default:
        return common | execute_never;
    }
}

} // namespace

int address_space_create(uint32_t cpus) {
    root = static_cast<uint64_t*>(PageTable::allocate_root(geometry, hypervisor().pool));
    if (root == nullptr) {
        return -JH_ENOMEM;
    }
    // A page at the window makes the tables above it; they stay.
    PageTable tables = table();
    const uint64_t anything = hypervisor().memory.start.value;
    if (tables.map(window_base, anything, cpus * page_size, attributes(HypMemory::constants)) != 0) {
        return -JH_ENOMEM;
    }
    window_entry = tables.page_entry(window_base);
    return 0;
}

int address_space_map(PhysAddr start, uint64_t size, HypMemory kind) {
    return table().map(start.value, start.value, size, attributes(kind));
}

int address_space_unmap(PhysAddr start, uint64_t size) {
    const int error = table().unmap(start.value, size);
    flush(nullptr);
    return error;
}

int map_device(PhysAddr start, uint64_t size) {
    const uint64_t first = page_down(start.value);
    const uint64_t length = page_up(start.value + size) - first;
    hypervisor().remapped_pages += length / page_size;
    return address_space_map(PhysAddr{first}, length, HypMemory::device);
}

void address_space_load() {
    const uint64_t physical_size = SYSREG_READ(id_aa64mmfr0_el1) & 0xf;
    SYSREG_WRITE(mair_el2, mair);
    SYSREG_WRITE(tcr_el2, tcr_res1 | physical_size << 16 | tcr_walks | (64 - geometry.address_bits));
    SYSREG_WRITE(ttbr0_el2, reinterpret_cast<uint64_t>(root));
    dsb_sy();
    isb();
    asm volatile("tlbi alle2" ::: "memory");
    dsb_sy();
    isb();
}

void* window(PhysAddr address, HypMemory kind) {
    const uint32_t cpu = this_cpu().id;
    const uint64_t virt = window_base + cpu * page_size;
    __atomic_store_n(&window_entry[cpu], 0, __ATOMIC_RELEASE);
    asm volatile("dsb ishst; tlbi vae2, %0; dsb ish" ::"r"(virt >> 12) : "memory");
    __atomic_store_n(&window_entry[cpu], page_down(address.value) | attributes(kind) | 3, __ATOMIC_RELEASE);
    asm volatile("dsb ishst; isb" ::: "memory");
    return reinterpret_cast<void*>(virt + (address.value & page_mask));
}

RangeMapping::RangeMapping(PhysRange range) : pages_(range.size / page_size) {
    for (uint64_t page = 0; page < pages_; ++page) {
        __atomic_store_n(&window_entry[range_first + page],
                         (range.start.value + page * page_size) | attributes(HypMemory::data) | 3, __ATOMIC_RELEASE);
    }
    dsb_ish();
    isb();
}

RangeMapping::~RangeMapping() {
    for (uint64_t page = 0; page < pages_; ++page) {
        __atomic_store_n(&window_entry[range_first + page], 0, __ATOMIC_RELEASE);
    }
    flush(nullptr);
}

const void* RangeMapping::start() const {
    return reinterpret_cast<const void*>(window_base + range_first * page_size);
}

} // namespace gaol

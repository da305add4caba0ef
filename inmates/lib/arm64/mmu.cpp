// SPDX-License-Identifier: Apache-2.0
// Source: Arm ARM D8 (VMSAv8-64 translation tables), SCTLR_EL1, TCR_EL1, MAIR_EL1.
#include "inmates/lib/arm64/mmu.hpp"

#include "inmates/lib/arm64/sysreg.hpp"

extern "C" {
extern char rodata_start[], writable_start[], writable_end[], stack_guard[], exception_stack_guard[];
extern char RAM_SIZE[];
std::uint64_t mmu_build(std::uint64_t load_base);
void mmu_enable(std::uint64_t table);
}

namespace inmate {
namespace {

constexpr std::uint64_t page_size = 0x1000;
constexpr std::uint64_t entries = 512;
constexpr std::uint64_t block_size = page_size * entries; // level 2
constexpr std::uint64_t address_limit = 1ull << 39;

constexpr std::uint64_t valid = 1u << 0;
constexpr std::uint64_t table_or_page = 1u << 1;
constexpr std::uint64_t attribute_shift = 2;
constexpr std::uint64_t read_only_bit = 1u << 7;
constexpr std::uint64_t inner_shareable = 3u << 8;
constexpr std::uint64_t access_flag = 1u << 10;
constexpr std::uint64_t never_execute = 1ull << 53 | 1ull << 54;
constexpr std::uint64_t address_mask = 0x0000fffffffff000;

using Table = std::uint64_t[entries];
constexpr unsigned pool_size = 16;

[[gnu::section(".page_tables"), gnu::aligned(4096)]] Table pool[pool_size];
unsigned used_tables;
std::uint64_t image_base; // physical address of the image's first byte

constexpr std::uint64_t attributes(Memory memory, Access access) {
    std::uint64_t bits = static_cast<std::uint64_t>(memory) << attribute_shift | inner_shareable | access_flag;
    if (access != Access::read_write) {
        bits |= read_only_bit;
    }
    if (access != Access::read_execute) {
        bits |= never_execute;
    }
    return bits;
}

/// The tables are reached by their linked address when the MMU is on and by their physical one before: the compiler's
/// addresses are relative to the program counter, so `pool` is right in both worlds; entries hold physical ones.
std::uint64_t physical(const Table& table, bool mmu_on) {
    return reinterpret_cast<std::uint64_t>(&table) + (mmu_on ? image_base : 0);
}

Table& table_at(std::uint64_t address, bool mmu_on) {
    return *reinterpret_cast<Table*>(address - (mmu_on ? image_base : 0));
}

Table* next_table(Table& table, std::uint64_t index, bool mmu_on) {
    if (table[index] & valid) {
        return table[index] & table_or_page ? &table_at(table[index] & address_mask, mmu_on) : nullptr;
    }
    if (used_tables == pool_size) {
        return nullptr;
    }
    Table& fresh = pool[used_tables++];
    table[index] = physical(fresh, mmu_on) | table_or_page | valid;
    return &fresh;
}

bool map_pages(std::uint64_t from, std::uint64_t to, std::uint64_t size, std::uint64_t bits, bool mmu_on) {
    for (std::uint64_t done = 0; done < size;) {
        const std::uint64_t address = from + done;
        const std::uint64_t target = to + done;
        Table* level2 = next_table(pool[0], address >> 30 & (entries - 1), mmu_on);
        if (!level2) {
            return false;
        }
        std::uint64_t& block = (*level2)[address >> 21 & (entries - 1)];
        const bool whole_block = (address | target) % block_size == 0 && size - done >= block_size;
        if (whole_block && !(block & valid)) {
            block = target | bits | valid;
            done += block_size;
            continue;
        }
        if (block & valid && !(block & table_or_page)) { // already inside of a block
            done += block_size - address % block_size;
            continue;
        }
        Table* level3 = next_table(*level2, address >> 21 & (entries - 1), mmu_on);
        if (!level3) {
            return false;
        }
        std::uint64_t& page = (*level3)[address >> 12 & (entries - 1)];
        if (!(page & valid)) {
            page = target | bits | table_or_page | valid;
        }
        done += page_size;
    }
    return true;
}

void map_image(std::uint64_t load_base, std::uint64_t from, std::uint64_t to, Access access) {
    map_pages(from, load_base + from, to - from, attributes(Memory::normal, access), false);
}

/// The linked address of a symbol, also while the MMU is off.
template <class Symbol> std::uint64_t linked(const Symbol& symbol, std::uint64_t load_base) {
    return reinterpret_cast<std::uint64_t>(&symbol) - load_base;
}

} // namespace

bool map(std::uint64_t address, std::uint64_t size, Memory memory, Access access) {
    const std::uint64_t start = address & ~(page_size - 1);
    const std::uint64_t end = (address + size + page_size - 1) & ~(page_size - 1);
    if (end <= start || end > address_limit) {
        return false;
    }
    const bool mapped = map_pages(start, start, end - start, attributes(memory, access), true);
    data_barrier();
    instruction_barrier();
    return mapped;
}

} // namespace inmate

using namespace inmate;

/// Runs with the MMU off. Returns the physical address of the level 1 table.
std::uint64_t mmu_build(std::uint64_t load_base) {
    image_base = load_base;
    used_tables = 1; // pool[0] is level 1
    const std::uint64_t guard = linked(stack_guard, load_base);
    const std::uint64_t exception_guard = linked(exception_stack_guard, load_base);
    const std::uint64_t rodata = linked(rodata_start, load_base);
    const std::uint64_t writable = linked(writable_start, load_base);
    map_image(load_base, 0, rodata, Access::read_execute);
    map_image(load_base, rodata, writable, Access::read_only);
    map_image(load_base, writable, guard, Access::read_write);
    map_image(load_base, guard + page_size, exception_guard, Access::read_write);
    map_image(load_base, exception_guard + page_size, linked(writable_end, load_base), Access::read_write);
    if (load_base != 0) { // the instructions that turn the MMU on
        map_pages(load_base, load_base, rodata, attributes(Memory::normal, Access::read_execute), false);
    }
    return physical(pool[0], false);
}

void mmu_enable(std::uint64_t table) {
    constexpr std::uint64_t mair = 0x00 | 0xffull << 8; // device-nGnRnE, normal write-back
    constexpr std::uint64_t size_39_bits = 64 - 39;
    constexpr std::uint64_t walk_cacheable = 1u << 8 | 1u << 10 | 3u << 12; // inner, outer write-back, inner shareable
    constexpr std::uint64_t no_upper_half = 1u << 23;                       // EPD1
    constexpr std::uint64_t sctlr_reserved_ones = 0x30d00800;
    constexpr std::uint64_t sctlr_mmu = 1u << 0, sctlr_dcache = 1u << 2, sctlr_sp_check = 1u << 3,
                            sctlr_icache = 1u << 12;
    const std::uint64_t physical_size = SYSREG_READ(id_aa64mmfr0_el1) & 7;
    SYSREG_WRITE(mair_el1, mair);
    SYSREG_WRITE(tcr_el1, size_39_bits | walk_cacheable | no_upper_half | physical_size << 32);
    SYSREG_WRITE(ttbr0_el1, table);
    asm volatile("tlbi vmalle1\n\tic iallu\n\tdsb sy\n\tisb" ::: "memory");
    SYSREG_WRITE(sctlr_el1, sctlr_reserved_ones | sctlr_mmu | sctlr_dcache | sctlr_sp_check | sctlr_icache);
    instruction_barrier();
}

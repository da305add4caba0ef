// SPDX-License-Identifier: Apache-2.0
// The rest of core/arch.hpp on arm64: waiting, time, caches, access to memory outside the hypervisor.
#include "hypervisor/arch/arm64/address_space.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/arch/arm64/sysreg.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

/// One load or store for a cell, `true` when the bus took it. A synchronous abort goes on behind it (vectors.S) with x0
/// lost, so that a config with an address that leads nowhere ends its cell and not the machine.
#define GUARDED(instruction, address, operand)                                                                         \
    ({                                                                                                                 \
        uint64_t guarded_value = (operand);                                                                            \
        uint64_t guarded_done = 0;                                                                                     \
        uint64_t* const guarded_slot = fixup_slot(&this_cpu());                                                        \
        asm volatile("adr x1, 1f\n"                                                                                    \
                     "str x1, [%[slot]]\n" instruction "\n"                                                            \
                     "dsb sy\n"                                                                                        \
                     "mov %[done], #1\n"                                                                               \
                     "1: str xzr, [%[slot]]"                                                                           \
                     : [value] "+&r"(guarded_value), [done] "+&r"(guarded_done)                                        \
                     : [at] "r"(address), [slot] "r"(guarded_slot)                                                     \
                     : "x0", "x1", "memory");                                                                          \
        store_back(operand, guarded_value);                                                                            \
        guarded_done != 0;                                                                                             \
    })

namespace gaol {

namespace {
inline void store_back(uint64_t& operand, uint64_t value) {
    operand = value;
}
inline void store_back(uint64_t&&, uint64_t) {}
} // namespace

constinit Hypervisor the_hypervisor;

Hypervisor& hypervisor() {
    return the_hypervisor;
}

namespace arch {

void relax() {
    asm volatile("yield" ::: "memory");
}

uint64_t microseconds() {
    isb();
    const uint64_t frequency = SYSREG_READ(cntfrq_el0);
    const uint64_t ticks = SYSREG_READ(cntpct_el0);
    return ticks / frequency * 1000000 + ticks % frequency * 1000000 / frequency;
}

uint32_t this_cpu_id() {
    return this_cpu().id;
}

void* pool_pointer(PhysAddr address) {
    return reinterpret_cast<void*>(address.value);
}
PhysAddr pool_address(const void* pointer) {
    return PhysAddr{reinterpret_cast<uint64_t>(pointer)};
}

bool write_physical(PhysAddr address, uint32_t value) {
    auto* word = static_cast<volatile uint32_t*>(window(address, HypMemory::data));
    const bool done = GUARDED("str %w[value], [%[at]]", word, uint64_t{value});
    clean_invalidate_object(const_cast<uint32_t*>(word), sizeof(*word));
    return done;
}

void clean_invalidate_object(const void* object, size_t size) {
    const uint64_t line = 4u << (SYSREG_READ(ctr_el0) >> 16 & 0xf);
    const auto start = reinterpret_cast<uint64_t>(object);
    for (uint64_t address = start & ~(line - 1); address < start + size; address += line) {
        asm volatile("dc civac, %0" ::"r"(address) : "memory");
    }
    dsb_sy();
}

void clean_invalidate(PhysRange range) {
    for (uint64_t done = 0; done < range.size; done += RangeMapping::largest) {
        const uint64_t rest = range.size - done;
        const PhysRange part{range.start + done, rest < RangeMapping::largest ? rest : RangeMapping::largest};
        clean_invalidate_object(RangeMapping(part).start(), part.size);
    }
}

bool device_read(PhysAddr address, unsigned size, uint64_t& value) {
    const void* at = window(address, HypMemory::device);
    switch (size) {
    case 1:
        return GUARDED("ldrb %w[value], [%[at]]", at, value);
    case 2:
        return GUARDED("ldrh %w[value], [%[at]]", at, value);
    case 4:
        return GUARDED("ldr %w[value], [%[at]]", at, value);
    default:
        return GUARDED("ldr %[value], [%[at]]", at, value);
    }
}

bool device_write(PhysAddr address, uint64_t value, unsigned size) {
    const void* at = window(address, HypMemory::device);
    switch (size) {
    case 1:
        return GUARDED("strb %w[value], [%[at]]", at, value);
    case 2:
        return GUARDED("strh %w[value], [%[at]]", at, value);
    case 4:
        return GUARDED("str %w[value], [%[at]]", at, value);
    default:
        return GUARDED("str %[value], [%[at]]", at, value);
    }
}

} // namespace arch
} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// The rest of core/arch.hpp on arm64: waiting, time, caches, access to memory outside the hypervisor.
#include "hypervisor/arch/arm64/address_space.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/arch/arm64/sysreg.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

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

void write_physical(PhysAddr address, uint32_t value) {
    auto* word = static_cast<volatile uint32_t*>(window(address, HypMemory::data));
    *word = value;
    clean_invalidate_object(const_cast<uint32_t*>(word), sizeof(*word));
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
    const RangeMapping mapping(range);
    if (mapping.start() != 0) {
        clean_invalidate_object(reinterpret_cast<const void*>(mapping.start()), range.size);
    }
}

uint64_t device_read(PhysAddr address, unsigned size) {
    const void* at = window(address, HypMemory::device);
    switch (size) {
    case 1:
        return *static_cast<const volatile uint8_t*>(at);
    case 2:
        return *static_cast<const volatile uint16_t*>(at);
    case 4:
        return *static_cast<const volatile uint32_t*>(at);
    default:
        return *static_cast<const volatile uint64_t*>(at);
    }
}

void device_write(PhysAddr address, uint64_t value, unsigned size) {
    void* at = window(address, HypMemory::device);
    switch (size) {
    case 1:
        *static_cast<volatile uint8_t*>(at) = static_cast<uint8_t>(value);
        break;
    case 2:
        *static_cast<volatile uint16_t*>(at) = static_cast<uint16_t>(value);
        break;
    case 4:
        *static_cast<volatile uint32_t*>(at) = static_cast<uint32_t>(value);
        break;
    default:
        *static_cast<volatile uint64_t*>(at) = value;
        break;
    }
}

} // namespace arch
} // namespace gaol

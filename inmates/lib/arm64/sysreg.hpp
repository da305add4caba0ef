// SPDX-License-Identifier: Apache-2.0
// System registers by name.
#pragma once

#include <cstdint>

#define SYSREG_READ(name)                                                                                              \
    ([] {                                                                                                              \
        std::uint64_t sysreg_value;                                                                                    \
        asm volatile("mrs %0, " #name : "=r"(sysreg_value)::"memory");                                                 \
        return sysreg_value;                                                                                           \
    }())

#define SYSREG_WRITE(name, value) asm volatile("msr " #name ", %0" ::"r"(std::uint64_t{value}) : "memory")

namespace inmate {

inline void instruction_barrier() {
    asm volatile("isb" ::: "memory");
}
inline void data_barrier() {
    asm volatile("dsb sy" ::: "memory");
}

/// Sleeps until an interrupt is pending, masked or not.
inline void wait_for_interrupt() {
    asm volatile("dsb sy\n\twfi" ::: "memory");
}

inline void mask_interrupts() {
    asm volatile("msr daifset, #2" ::: "memory");
}
/// Pending interrupts are taken before this returns.
inline void unmask_interrupts() {
    asm volatile("msr daifclr, #2\n\tisb" ::: "memory");
}

} // namespace inmate

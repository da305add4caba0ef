// SPDX-License-Identifier: Apache-2.0
// The counter that all cells share. Freestanding. Source: Arm ARM, Generic Timer (CNTVCT_EL0, CNTFRQ_EL0).
#pragma once

#include <cstdint>
#include <string_view>

namespace hil::bench {

/// A point in time or a distance, in ticks of the clock that the record names.
using Ticks = std::uint64_t;

struct ClockInfo {
    std::string_view name;
    std::uint64_t hz;
};

#if defined(__aarch64__)
/// The virtual counter. With CNTVOFF_EL2 = 0 in every cell it is the one architectural counter of the machine.
struct SharedCounter {
    /// Not earlier than every instruction before it: the instruction barrier keeps the read from being hoisted.
    static Ticks now() {
        Ticks value;
        asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value)::"memory");
        return value;
    }

    static ClockInfo info() {
        std::uint64_t hz;
        asm("mrs %0, cntfrq_el0" : "=r"(hz));
        return {"CNTVCT_EL0", hz};
    }
};
#endif

} // namespace hil::bench

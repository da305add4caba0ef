// SPDX-License-Identifier: Apache-2.0
// GICv3 with system registers. Source: Arm GIC architecture specification v3 (IHI 0069).
#pragma once

#include "bench/core/clock.hpp"

#include <cstdint>

namespace inmate {

/// A GIC interrupt id: 16-31 private to the CPU, 32 and above shared.
enum class IntId : std::uint32_t {
};

inline constexpr IntId virtual_timer_interrupt{27};

constexpr IntId shared_interrupt(std::uint32_t spi) {
    return IntId{spi + 32};
}

/// Runs with interrupts masked on the exception stack; `stamp` is the counter at the vector's first instruction.
using InterruptHandler = void (*)(void* context, hil::bench::Ticks stamp);

/// Brings up this CPU's redistributor and interface at the bases of the communication region. Says on the console what
/// is wrong and returns false if that does not work.
bool gic_open();

/// False when the table is full. Shared interrupts are routed to this CPU and edge triggered. An interrupt may have
/// several handlers, as PCI's pins do: each of them is called.
bool interrupt_enable(IntId interrupt, InterruptHandler handler, void* context);
/// All handlers of the interrupt go.
void interrupt_disable(IntId interrupt);

} // namespace inmate

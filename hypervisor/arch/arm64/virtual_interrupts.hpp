// SPDX-License-Identifier: Apache-2.0
// Delivery to the cells: list registers of the CPU interface, what waits for one, and software-generated interrupts.
#pragma once

#include "hypervisor/arch/arm64/per_cpu.hpp"

#include <cstdint>

namespace gaol {

/// The virtual CPU interface as Linux has set the physical one, and back (with what has not been delivered yet).
void virtual_interrupts_from_native(PerCpu& cpu);
void virtual_interrupts_to_native(PerCpu& cpu);
/// Nothing pending, everything disabled, as after reset. Shared interrupts in the hardware are left alone: by now they
/// may be another CPU's. Whoever stops a CPU has given them back (release_shared(), arch::interrupts_assign()).
void virtual_interrupts_reset(PerCpu& cpu);

/// The CPU stops: shared interrupts that its cell has not seen become pending again, those that it has seen and will
/// not finish may come anew.
void release_shared(PerCpu& cpu);
/// A stopped CPU has acknowledged shared interrupts that are routed to it: on to a CPU of the cell that runs.
void pass_on_shared(PerCpu& cpu);
/// Forget shared interrupts that the root cell has lost while this CPU of it stood still: they are quiet, and a cell's.
void drop_lost(PerCpu& cpu);

/// A hardware interrupt that this CPU has acknowledged and that stays active until the cell deactivates it.
void inject_hardware(PerCpu& cpu, uint32_t interrupt, uint8_t priority);
/// Make SGIs (a bit each) pending on this CPU.
void inject_sgis(PerCpu& cpu, uint32_t sgis);
/// Fill free list registers from what waits. Cheap when there is nothing.
void refill(PerCpu& cpu);

/// Make an SGI pending on any CPU of the cell.
void post_sgi(PerCpu& target, uint32_t sgi);
/// A cell's write to ICC_SGI1R_EL1 (or its siblings): reaches CPUs of its own cell only.
void generate_sgi(PerCpu& cpu, uint64_t value);

} // namespace gaol

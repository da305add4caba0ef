// SPDX-License-Identifier: Apache-2.0
// What a CPU does between an exit and the return to its cell: stand still, wait to be started, start.
#pragma once

#include "hypervisor/arch/arm64/frame.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"

namespace gaol {

/// Serve the requests of others; returns when the CPU may run its cell (again, or from a new start).
void serve_all_requests(PerCpu& cpu, Frame& frame);
inline void serve_requests(PerCpu& cpu, Frame& frame) {
    if (!cpu.undisturbed()) {
        serve_all_requests(cpu, frame);
    }
}
/// Acknowledge every pending interrupt: kicks are noted, the cell's are injected.
void take_interrupts(PerCpu& cpu);
/// The violation has been reported: park until a manager starts or takes the CPU.
void park(PerCpu& cpu, Frame& frame);
/// Translation and traps for the CPU's cell.
void load_cell(const PerCpu& cpu);

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// Taking the machine over from a running Linux, and giving it back.
#pragma once

#include "hypervisor/arch/arm64/frame.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"

namespace gaol {

/// Hypercall 0 on this CPU: goes back to Linux and never returns, or returns -EBUSY with nothing changed.
int64_t leave_hypervisor(PerCpu& cpu, const Frame& frame);

} // namespace gaol

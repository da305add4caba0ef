// SPDX-License-Identifier: Apache-2.0
// Power control (PSCI, DEN 0022) and the SMC calling convention (DEN 0028) for cells.
#pragma once

#include "hypervisor/arch/arm64/frame.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"

namespace gaol {

/// Serve the call in x0; false when it is none that a cell may make.
bool secure_monitor_call(PerCpu& cpu, Frame& frame);

} // namespace gaol

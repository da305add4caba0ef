// SPDX-License-Identifier: Apache-2.0
// The distributor and the redistributors as a cell sees them: its own interrupts and CPUs, nothing else.
#pragma once

#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/core/mmio.hpp"

namespace gaol {

MmioResult virtual_gic_access(PerCpu& cpu, MmioAccess& access);

} // namespace gaol

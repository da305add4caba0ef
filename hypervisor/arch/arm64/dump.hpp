// SPDX-License-Identifier: Apache-2.0
// The reports of a violation and of a fault of the hypervisor's own, in the form that Jailhouse's users know.
#pragma once

#include "hypervisor/arch/arm64/frame.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/core/text.hpp"

#include <cstdint>

namespace gaol {

/// "FATAL: <what> (exception class 0x..)", registers, "Parking CPU ...". `what` is "unhandled trap" or "forbidden
/// access".
void report_violation(Text& out, const PerCpu& cpu, const Frame& frame, const char* what, uint64_t syndrome);

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// What each CPU has for itself; TPIDR_EL2 leads to it.
#pragma once

#include "hypervisor/arch/arm64/per_cpu_layout.h"
#include "hypervisor/arch/arm64/sysreg.hpp"
#include "hypervisor/core/bits.hpp"
#include "hypervisor/core/cell_config.hpp"
#include "hypervisor/core/cpu.hpp"

#include <atomic>
#include <cstdint>

namespace gaol {

/// EL2 as Linux's stub had it, put back at disable.
struct NativeState {
    uint64_t sp, sctlr, tcr, mair, ttbr0, vbar, hcr, vtcr, vttbr, cptr, hstr, mdcr, cnthctl, cntvoff, tpidr, icc_sre,
        ich_hcr;
    uint64_t pmr, ctlr, bpr1, group0, group1; ///< CPU interface
    uint32_t sgi_enable;
    uint8_t sgi_priority[16];
};

/// Virtual interrupts of a CPU beside what is in its list registers.
struct VirtualInterrupts {
    std::atomic<uint32_t> pending_sgis{0}; ///< other CPUs of the cell set bits here
    std::atomic<uint32_t> sgi_enable{0};
    uint8_t sgi_priority[16] = {};
    InterruptSet waiting; ///< hardware interrupts that found no list register
    uint32_t waiting_count = 0;
    uint64_t control = 1; ///< what ICH_HCR_EL2 has
};

struct PerCpu : Cpu {
    uint64_t redistributor = 0; ///< physical address of this CPU's GICR frames
    VirtualInterrupts interrupts;
    NativeState native = {};
};
static_assert(sizeof(PerCpu) <= PER_CPU_FIXUP); // behind it: the fixup address, then the stack of gaol_own_fault

/// See PER_CPU_FIXUP.
inline uint64_t* fixup_slot(void* area) {
    return reinterpret_cast<uint64_t*>(static_cast<char*>(area) + PER_CPU_FIXUP);
}

inline PerCpu& this_cpu() {
    return *reinterpret_cast<PerCpu*>(SYSREG_READ(tpidr_el2));
}

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// Sources: Arm ARM (DDI 0487) D13.2, reset values; D13.3 debug, D13.4 performance monitors.
#include "hypervisor/arch/arm64/reset.hpp"

#include "hypervisor/arch/arm64/sysreg.hpp"

namespace gaol {

namespace {

/// EL1 as architecture leaves it at reset, MMU and caches off; nothing of the former cell stays readable.
void reset_el1() {
    SYSREG_WRITE(sctlr_el1, 0x30d00800); // RES1 bits
    SYSREG_WRITE(cpacr_el1, 0);
    SYSREG_WRITE(ttbr0_el1, 0);
    SYSREG_WRITE(ttbr1_el1, 0);
    SYSREG_WRITE(tcr_el1, 0);
    SYSREG_WRITE(mair_el1, 0);
    SYSREG_WRITE(amair_el1, 0);
    SYSREG_WRITE(vbar_el1, 0);
    SYSREG_WRITE(esr_el1, 0);
    SYSREG_WRITE(far_el1, 0);
    SYSREG_WRITE(afsr0_el1, 0);
    SYSREG_WRITE(afsr1_el1, 0);
    SYSREG_WRITE(elr_el1, 0);
    SYSREG_WRITE(spsr_el1, 0);
    SYSREG_WRITE(sp_el0, 0);
    SYSREG_WRITE(sp_el1, 0);
    SYSREG_WRITE(par_el1, 0);
    SYSREG_WRITE(contextidr_el1, 0);
    SYSREG_WRITE(csselr_el1, 0);
    SYSREG_WRITE(tpidr_el0, 0);
    SYSREG_WRITE(tpidrro_el0, 0);
    SYSREG_WRITE(tpidr_el1, 0);
    SYSREG_WRITE(cntkctl_el1, 0);
    SYSREG_WRITE(cntp_ctl_el0, 0);
    SYSREG_WRITE(cntp_cval_el0, 0);
    SYSREG_WRITE(cntv_ctl_el0, 0);
    SYSREG_WRITE(cntv_cval_el0, 0);
    SYSREG_WRITE(cntvoff_el2, 0);
}

/// The floating-point registers may hold another cell's data.
void clear_vector_registers() {
    asm volatile(".arch_extension fp\n.arch_extension simd\n"
                 ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
                 "movi v\\n\\().2d, #0\n"
                 ".endr\n"
                 "msr fpcr, xzr\n"
                 "msr fpsr, xzr\n" ::
                     : "memory");
}

#define RESET_DEBUG_PAIR(kind, number)                                                                                 \
    case number:                                                                                                       \
        SYSREG_WRITE(dbg##kind##cr##number##_el1, 0);                                                                  \
        SYSREG_WRITE(dbg##kind##vr##number##_el1, 0);                                                                  \
        [[fallthrough]];
// From the last that the CPU has down to the first.
#define RESET_DEBUG_PAIRS(kind)                                                                                        \
    RESET_DEBUG_PAIR(kind, 15)                                                                                         \
    RESET_DEBUG_PAIR(kind, 14)                                                                                         \
    RESET_DEBUG_PAIR(kind, 13)                                                                                         \
    RESET_DEBUG_PAIR(kind, 12)                                                                                         \
    RESET_DEBUG_PAIR(kind, 11)                                                                                         \
    RESET_DEBUG_PAIR(kind, 10)                                                                                         \
    RESET_DEBUG_PAIR(kind, 9)                                                                                          \
    RESET_DEBUG_PAIR(kind, 8)                                                                                          \
    RESET_DEBUG_PAIR(kind, 7)                                                                                          \
    RESET_DEBUG_PAIR(kind, 6)                                                                                          \
    RESET_DEBUG_PAIR(kind, 5)                                                                                          \
    RESET_DEBUG_PAIR(kind, 4)                                                                                          \
    RESET_DEBUG_PAIR(kind, 3)                                                                                          \
    RESET_DEBUG_PAIR(kind, 2)                                                                                          \
    RESET_DEBUG_PAIR(kind, 1)                                                                                          \
    RESET_DEBUG_PAIR(kind, 0)

void reset_breakpoints(uint64_t last) {
    switch (last) {
        RESET_DEBUG_PAIRS(b)
    default:
        break;
    }
}

void reset_watchpoints(uint64_t last) {
    switch (last) {
        RESET_DEBUG_PAIRS(w)
    default:
        break;
    }
}

void reset_debug() {
    const uint64_t features = SYSREG_READ(id_aa64dfr0_el1);
    SYSREG_WRITE(mdscr_el1, 0);
    SYSREG_WRITE(mdccint_el1, 0);
    reset_breakpoints(features >> 12 & 0xf);
    reset_watchpoints(features >> 20 & 0xf);
}

void reset_counters() {
    const uint64_t version = SYSREG_READ(id_aa64dfr0_el1) >> 8 & 0xf;
    if (version == 0 || version == 0xf) {
        return; // none, or none that the architecture describes
    }
    constexpr uint64_t reset_all = 2u | 4u; // event and cycle counters, none enabled
    constexpr uint64_t all = 0xffffffff;
    SYSREG_WRITE(pmcr_el0, reset_all);
    SYSREG_WRITE(pmcntenclr_el0, all);
    SYSREG_WRITE(pmintenclr_el1, all);
    SYSREG_WRITE(pmovsclr_el0, all);
    SYSREG_WRITE(pmuserenr_el0, 0);
    SYSREG_WRITE(pmccfiltr_el0, 0);
    const uint64_t counters = SYSREG_READ(pmcr_el0) >> 11 & 0x1f;
    for (uint64_t counter = 0; counter < counters; ++counter) {
        SYSREG_WRITE(pmselr_el0, counter);
        isb();
        SYSREG_WRITE(pmxevtyper_el0, 0);
        SYSREG_WRITE(pmxevcntr_el0, 0);
    }
    SYSREG_WRITE(pmselr_el0, 0);
    SYSREG_WRITE(pmccntr_el0, 0);
}

} // namespace

void reset_registers() {
    reset_el1();
    clear_vector_registers();
    reset_debug();
    reset_counters();
    isb();
}

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/cpu_control.hpp"

#include "hypervisor/arch/arm64/gic.hpp"
#include "hypervisor/arch/arm64/stage2.hpp"
#include "hypervisor/arch/arm64/virtual_interrupts.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/core/suspension.hpp"

#include <cstring>

namespace gaol {

namespace {

constexpr uint32_t special_interrupts = 1020;

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
    SYSREG_WRITE(mdscr_el1, 0);
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

void start_cpu(PerCpu& cpu, Frame& frame) {
    gic::reset_private(cpu);
    reset_el1();
    clear_vector_registers();
    load_cell(cpu);
    std::memset(&frame, 0, sizeof(frame));
    frame.x[0] = cpu.start_argument;
    frame.pc = cpu.start_address;
    frame.spsr = 0x3c5; // EL1h, all interrupts masked
    asm volatile("tlbi vmalls12e1; ic iallu; dsb nsh; isb" ::: "memory");
    cpu.state = CpuState::running;
}

void turn_off(PerCpu& cpu) {
    cpu.turn_off = false;
    cpu.state = CpuState::off;
    SYSREG_WRITE(cntp_ctl_el0, 0);
    SYSREG_WRITE(cntv_ctl_el0, 0);
    gic::reset_private(cpu);
}

} // namespace

void load_cell(const PerCpu& cpu) {
    SYSREG_WRITE(vttbr_el2, stage2_base(*cpu.cell));
    SYSREG_WRITE(cnthctl_el2, SYSREG_READ(cnthctl_el2) | 3); // timer and counter are the cell's
    isb();
}

void take_interrupts(PerCpu& cpu) {
    for (;;) {
        const auto interrupt = static_cast<uint32_t>(READ_GIC(ICC_IAR1_EL1) & 0xffffff);
        if (interrupt >= special_interrupts) {
            return;
        }
        const auto priority = static_cast<uint8_t>(READ_GIC(ICC_RPR_EL1));
        WRITE_GIC(ICC_EOIR1_EL1, interrupt);
        if (interrupt >= 16 && interrupt != hypervisor().platform().arm.maintenance_irq) {
            cpu.count(JH_STAT_ARM_VIRQ);
            inject_hardware(cpu, interrupt, priority);
            continue;
        }
        WRITE_GIC(ICC_DIR_EL1, interrupt);
        if (interrupt < 16 && interrupt != gic::kick_sgi) {
            inject_sgis(cpu, 1u << interrupt); // sent before this CPU was taken over
            continue;
        }
        cpu.count(interrupt < 16 ? JH_STAT_ARM_VSGI : JH_STAT_ARM_MAINTENANCE);
        refill(cpu);
    }
}

void serve_requests(PerCpu& cpu, Frame& frame) {
    for (;;) {
        wait_while_suspended(cpu);
        if (cpu.turn_off) {
            turn_off(cpu);
        } else if (cpu.start) {
            cpu.start = false;
            start_cpu(cpu, frame);
        } else if (cpu.state == CpuState::running) {
            return;
        } else {
            asm volatile("dsb sy; wfi" ::: "memory");
            take_interrupts(cpu);
        }
    }
}

void park(PerCpu& cpu, Frame& frame) {
    cpu_failed(cpu);
    serve_requests(cpu, frame);
}

} // namespace gaol

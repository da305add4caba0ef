// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/cpu_control.hpp"

#include "hypervisor/arch/arm64/gic.hpp"
#include "hypervisor/arch/arm64/reset.hpp"
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

void start_cpu(PerCpu& cpu, Frame& frame) {
    gic::reset_private(cpu);
    reset_registers();
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
    cpu_stopped(cpu, CpuState::off);
    reset_registers(); // timers and counters stand still meanwhile, and whoever has the CPU next finds nothing
    gic::reset_private(cpu);
    load_cell(cpu); // its new owner's, if it has changed: the tables of the old one are gone
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

void serve_all_requests(PerCpu& cpu, Frame& frame) {
    for (;;) {
        wait_while_suspended(cpu);
        drop_lost(cpu);
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
            pass_on_shared(cpu);
        }
    }
}

void park(PerCpu& cpu, Frame& frame) {
    release_shared(cpu);
    cpu_stopped(cpu, CpuState::failed);
    serve_requests(cpu, frame);
}

} // namespace gaol

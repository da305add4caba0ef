// SPDX-License-Identifier: Apache-2.0
// Everything that brings a cell into the hypervisor: judged, served, or reported and parked.
#include "abi/gaol_image.h"
#include "abi/hypercall.h"
#include "hypervisor/arch/arm64/cpu_control.hpp"
#include "hypervisor/arch/arm64/dump.hpp"
#include "hypervisor/arch/arm64/frame.hpp"
#include "hypervisor/arch/arm64/launch.hpp"
#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/arch/arm64/psci.hpp"
#include "hypervisor/arch/arm64/virtual_gic.hpp"
#include "hypervisor/arch/arm64/virtual_interrupts.hpp"
#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/vpci.hpp"

namespace gaol {

namespace {

enum ExceptionClass : uint32_t {
    class_hvc = 0x16,
    class_smc = 0x17,
    class_system_register = 0x18,
    class_instruction_abort = 0x20,
    class_data_abort = 0x24,
};

/// ESR_EL2 of an exit.
struct Syndrome {
    uint64_t value;

    [[nodiscard]] uint32_t exception_class() const { return value >> 26 & 0x3f; }
    [[nodiscard]] uint64_t instruction_size() const { return (value >> 25 & 1) != 0 ? 4 : 2; }
    [[nodiscard]] uint32_t immediate() const { return value & 0xffff; }
    // data abort
    [[nodiscard]] bool decoded() const { return (value >> 24 & 1) != 0; }
    [[nodiscard]] unsigned size() const { return decoded() ? 1u << (value >> 22 & 3) : 1; }
    [[nodiscard]] bool sign_extend() const { return (value >> 21 & 1) != 0; }
    [[nodiscard]] unsigned operand() const { return value >> 16 & 0x1f; }
    [[nodiscard]] bool wide() const { return (value >> 15 & 1) != 0; }
    [[nodiscard]] bool write() const { return (value >> 6 & 1) != 0; }
    [[nodiscard]] bool cache_maintenance() const { return (value >> 8 & 1) != 0; }
    [[nodiscard]] bool permission() const { return (value & 0x3c) == 0x0c; }
    [[nodiscard]] bool on_table_walk() const { return (value >> 7 & 1) != 0; }
};

/// The guest address that faulted.
uint64_t fault_address(Syndrome syndrome) {
    const uint64_t far = SYSREG_READ(far_el2);
    if (!syndrome.permission() || syndrome.on_table_walk()) {
        return (SYSREG_READ(hpfar_el2) & 0xfffffffff0) << 8 | (far & page_mask);
    }
    // HPFAR_EL2 is not valid then: ask stage 1.
    const uint64_t kept = SYSREG_READ(par_el1);
    asm volatile("at s1e1r, %0; isb" ::"r"(far) : "memory");
    const uint64_t result = SYSREG_READ(par_el1);
    SYSREG_WRITE(par_el1, kept);
    return (result & 1) != 0 ? far : (result & 0xfffffffff000) | (far & page_mask);
}

uint64_t extend(uint64_t value, Syndrome syndrome) {
    const unsigned bits = 8 * syndrome.size();
    if (bits == 64) {
        return value;
    }
    value &= (uint64_t{1} << bits) - 1;
    if (syndrome.sign_extend() && (value >> (bits - 1) & 1) != 0) {
        value |= ~uint64_t{0} << bits;
    }
    return syndrome.wide() ? value : value & 0xffffffff;
}

MmioResult dispatch(PerCpu& cpu, MmioAccess& access) {
    MmioResult result = virtual_gic_access(cpu, access);
    if (result == MmioResult::unclaimed) {
        result = vpci_access(*cpu.cell, access);
    }
    if (result == MmioResult::unclaimed) {
        result = subpage_access(*cpu.cell, access);
    }
    return result;
}

void violation(PerCpu& cpu, Frame& frame, const char* what, Syndrome syndrome) {
    {
        ConsoleOut out;
        report_violation(out, cpu, frame, what, syndrome.value);
    }
    park(cpu, frame);
}

void data_abort(PerCpu& cpu, Frame& frame, Syndrome syndrome) {
    cpu.count(JH_STAT_MMIO);
    MmioAccess access{fault_address(syndrome), syndrome.size(), syndrome.write(), 0};
    MmioResult result = MmioResult::unclaimed;
    if (syndrome.decoded() && !syndrome.cache_maintenance() && !syndrome.on_table_walk()) {
        access.value = extend(frame.get(syndrome.operand()), Syndrome{syndrome.value & ~(uint64_t{1} << 21)});
        result = dispatch(cpu, access);
    }
    if (result == MmioResult::done) {
        if (!access.write) {
            frame.set(syndrome.operand(), extend(access.value, syndrome));
        }
        frame.pc += syndrome.instruction_size();
        return;
    }
    ConsoleOut out;
    if (result == MmioResult::unclaimed) {
        out << "Unhandled data " << (access.write ? "write" : "read") << " at 0x" << hex(access.address) << '('
            << access.size << ")\n";
    } else {
        vpci_describe(out, access);
    }
    report_violation(out, cpu, frame, result == MmioResult::unclaimed ? "unhandled trap" : "forbidden access",
                     syndrome.value);
    out.finish();
    park(cpu, frame);
}

void instruction_abort(PerCpu& cpu, Frame& frame, Syndrome syndrome) {
    ConsoleOut out;
    out << "FATAL: instruction abort at 0x" << hex(fault_address(syndrome)) << '\n';
    report_violation(out, cpu, frame, "forbidden access", syndrome.value);
    out.finish();
    park(cpu, frame);
}

void hypervisor_call(PerCpu& cpu, Frame& frame, Syndrome syndrome) {
    if (syndrome.immediate() != JH_HVC_IMMEDIATE) {
        violation(cpu, frame, "forbidden access", syndrome);
        return;
    }
    if (frame.x[0] == JH_HC_DISABLE) {
        cpu.count(JH_STAT_HYPERCALL);
        frame.x[0] = static_cast<uint64_t>(leave_hypervisor(cpu, frame)); // comes back only when it may not leave
        return;
    }
    const int64_t result = hypercall(cpu, frame.x[0], frame.x[1], frame.x[2]);
    // A turn of a call that waits for a cell's reply is no call: the caller made one.
    cpu.count(result == -JH_EAGAIN ? JH_STAT_MANAGEMENT : JH_STAT_HYPERCALL);
    if (result == -JH_EAGAIN && frame.x[2] != GAOL_CALL_MAY_PAUSE) {
        frame.pc -= 4; // the same call again, once the root cell has taken its interrupts
        return;
    }
    frame.x[0] = static_cast<uint64_t>(result);
}

void monitor_call(PerCpu& cpu, Frame& frame, Syndrome syndrome) {
    frame.pc += 4;
    if (syndrome.immediate() == 0 && secure_monitor_call(cpu, frame)) {
        return;
    }
    ConsoleOut out;
    out << "Unhandled SMC arch trap " << syndrome.immediate() << '\n';
    report_violation(out, cpu, frame, "unhandled trap", syndrome.value);
    out.finish();
    park(cpu, frame);
}

void system_register(PerCpu& cpu, Frame& frame, Syndrome syndrome) {
    cpu.count(JH_STAT_ARM_CP15);
    // ISS of an access: Op0, Op2, Op1, CRn, Rt, CRm, direction. ICC_SGI1R, ASGI1R, SGI0R differ in Op2/CRm only.
    constexpr uint64_t register_mask = 0x3ffc1e;
    constexpr uint64_t icc_sgi1r = 3u << 20 | 5u << 17 | 0u << 14 | 12u << 10 | 11u << 1;
    constexpr uint64_t icc_asgi1r = 3u << 20 | 6u << 17 | 0u << 14 | 12u << 10 | 11u << 1;
    constexpr uint64_t icc_sgi0r = 3u << 20 | 7u << 17 | 0u << 14 | 12u << 10 | 11u << 1;
    constexpr uint64_t actlr_el1 = 3u << 20 | 1u << 17 | 0u << 14 | 1u << 10 | 0u << 1;
    const uint64_t name = syndrome.value & register_mask;
    const bool write = (syndrome.value & 1) == 0;
    if (write && (name == icc_sgi1r || name == icc_asgi1r || name == icc_sgi0r)) {
        if (name == icc_sgi1r) {
            cpu.count(JH_STAT_ARM_VSGI);
            generate_sgi(cpu, frame.get(syndrome.value >> 5 & 0x1f));
        }
        frame.pc += 4;
        return;
    }
    if (name == actlr_el1) { // what the CPU says, and nothing to set
        if (!write) {
            frame.set(syndrome.value >> 5 & 0x1f, SYSREG_READ(actlr_el1));
        }
        frame.pc += 4;
        return;
    }
    violation(cpu, frame, "unhandled trap", syndrome); // implementation-defined ones: they may steer what CPUs share
}

} // namespace

extern "C" void gaol_synchronous(Frame& frame) {
    PerCpu& cpu = this_cpu();
    const Syndrome syndrome{SYSREG_READ(esr_el2)};
    cpu.count(JH_STAT_TOTAL);
    switch (syndrome.exception_class()) {
    case class_hvc:
        hypervisor_call(cpu, frame, syndrome);
        break;
    case class_smc:
        monitor_call(cpu, frame, syndrome);
        break;
    case class_system_register:
        system_register(cpu, frame, syndrome);
        break;
    case class_instruction_abort:
        instruction_abort(cpu, frame, syndrome);
        break;
    case class_data_abort:
        data_abort(cpu, frame, syndrome);
        break;
    default:
        violation(cpu, frame, "unhandled trap", syndrome);
        break;
    }
    serve_requests(cpu, frame);
}

extern "C" void gaol_interrupt(Frame& frame) {
    PerCpu& cpu = this_cpu();
    cpu.count(JH_STAT_TOTAL);
    take_interrupts(cpu);
    serve_requests(cpu, frame);
}

extern "C" void gaol_serror(Frame& frame) {
    PerCpu& cpu = this_cpu();
    cpu.count(JH_STAT_TOTAL);
    violation(cpu, frame, "unhandled trap", Syndrome{SYSREG_READ(esr_el2)});
    serve_requests(cpu, frame);
}

} // namespace gaol

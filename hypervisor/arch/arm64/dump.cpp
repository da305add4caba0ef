// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/dump.hpp"

#include "hypervisor/arch/arm64/sysreg.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

uint64_t stack_pointer(const Frame& frame) {
    return (frame.spsr & 1) != 0 && (frame.spsr >> 2 & 3) == 1 ? SYSREG_READ(sp_el1) : SYSREG_READ(sp_el0);
}

void dump_registers(Text& out, const Frame& frame, uint64_t stack, uint64_t syndrome) {
    out << " pc: " << hex(frame.pc, 16) << "   lr: " << hex(frame.x[30], 16) << " spsr: " << hex(frame.spsr, 8)
        << "     EL" << (frame.spsr >> 2 & 3) << '\n';
    out << " sp: " << hex(stack, 16) << "  elr: " << hex(frame.pc, 16) << "  esr: " << hex(syndrome >> 26, 2) << ' '
        << hex(syndrome >> 25 & 1) << ' ' << hex(syndrome & 0x1ffffff, 7) << '\n';
    for (unsigned number = 0; number < 30; ++number) {
        out << (number < 10 ? " x" : "x") << number << ": " << hex(frame.x[number], 16)
            << (number % 3 == 2 ? "\n" : "  ");
    }
    out << '\n';
}

void dump_stack(Text& out, const PerCpu& cpu, uint64_t stack) {
    const uint64_t top = reinterpret_cast<uint64_t>(&cpu) + PER_CPU_SIZE;
    out << "Hypervisor stack before exception ";
    if (stack < top - PER_CPU_STACK_SIZE || stack % 8 != 0) {
        out << "(overflown)";
    }
    out << '\n';
    for (uint64_t word = stack; stack >= top - PER_CPU_STACK_SIZE && word < top && word < stack + 256; word += 8) {
        out << ' ' << hex(*reinterpret_cast<const uint64_t*>(word & ~uint64_t{7}), 16)
            << ((word - stack) % 32 == 24 ? "\n" : "");
    }
}

[[noreturn]] void stop_for_ever() {
    for (;;) {
        asm volatile("msr daifset, #15; wfi");
    }
}

} // namespace

void report_violation(Text& out, const PerCpu& cpu, const Frame& frame, const char* what, uint64_t syndrome) {
    out << "\nFATAL: " << what << " (exception class 0x" << hex(syndrome >> 26, 2) << ")\n"
        << "Cell state before exception:\n";
    dump_registers(out, frame, stack_pointer(frame), syndrome);
    out << "Parking CPU " << cpu.id << " (Cell: \"" << cpu.cell->name() << "\")\n";
}

extern "C" [[noreturn]] void gaol_own_fault(const Frame& frame, uint64_t kind, uint64_t stack) {
    constexpr const char* kinds[] = {"synchronous abort", "unexpected interrupt", "unexpected fast interrupt",
                                     "system error"};
    const uint64_t syndrome = SYSREG_READ(esr_el2);
    const PerCpu& cpu = this_cpu();
    {
        ConsoleOut out;
        out << "\nHypervisor fault at 0x" << hex(SYSREG_READ(far_el2)) << ", image at 0x"
            << hex(hypervisor().memory.start.value) << '\n';
        out << "FATAL: Unhandled HYP exception: " << kinds[kind & 3] << " from EL2\n";
        dump_registers(out, frame, stack, syndrome);
        dump_stack(out, cpu, stack);
        out << "\nStopping CPU " << cpu.id << " (Cell: \"" << (cpu.cell != nullptr ? cpu.cell->name() : "") << "\")\n";
    }
    stop_for_ever();
}

} // namespace gaol

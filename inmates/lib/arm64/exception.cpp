// SPDX-License-Identifier: Apache-2.0
// Source: Arm ARM, ESR_EL1 (exception classes and the ISS of aborts).
#include "inmates/lib/arm64/exception.hpp"

#include "inmates/lib/arm64/sysreg.hpp"
#include "inmates/lib/comm_region.hpp"
#include "inmates/lib/print.hpp"

extern "C" [[noreturn]] void exception_report(const inmate::ExceptionFrame& frame, std::uint64_t kind);

namespace inmate {
namespace {

std::string_view class_name(std::uint64_t exception_class) {
    switch (exception_class) {
    case 0x00:
        return "unknown or undefined instruction";
    case 0x01:
        return "trapped WFI or WFE";
    case 0x07:
        return "floating point or SIMD, which inmates do not use";
    case 0x0e:
        return "illegal execution state";
    case 0x15:
        return "SVC";
    case 0x18:
        return "trapped system register";
    case 0x20:
    case 0x21:
        return "instruction abort";
    case 0x22:
        return "misaligned pc";
    case 0x24:
    case 0x25:
        return "data abort";
    case 0x26:
        return "misaligned stack pointer";
    case 0x2f:
        return "SError";
    case 0x3c:
        return "BRK";
    default:
        return "other";
    }
}

std::string_view fault_name(std::uint64_t status) {
    switch (status >> 2) {
    case 0:
        return "address size fault";
    case 1:
        return "translation fault";
    case 2:
        return "access flag fault";
    case 3:
        return "permission fault";
    default:
        return status == 0x10 ? "external abort" : status == 0x21 ? "alignment fault" : "fault";
    }
}

void print_abort(const ExceptionFrame& frame, std::uint64_t exception_class) {
    const bool data = exception_class == 0x24 || exception_class == 0x25;
    const std::uint64_t status = frame.esr & 0x3f;
    print(" ", fault_name(status));
    if (status >> 2 < 4) {
        print(" at level ", status & 3);
    }
    if (data) {
        print(frame.esr & 1u << 6 ? " on a write to " : " on a read of ");
    } else {
        print(" at ");
    }
    println(hex(frame.far, 16));
}

/// Kinds as start.S numbers them: 4 per source, in the order synchronous, IRQ, FIQ, SError.
std::string_view kind_name(std::uint64_t kind) {
    constexpr std::string_view names[] = {"exception", "interrupt", "fast interrupt", "SError"};
    return names[kind & 3];
}

} // namespace

void halt() {
    mask_interrupts();
    for (;;) {
        wait_for_interrupt();
        asm volatile("yield");
    }
}

} // namespace inmate

using namespace inmate;

void exception_report(const ExceptionFrame& frame, std::uint64_t kind) {
    static bool reporting; // a fault while reporting one leaves what could be said
    if (!reporting) {
        reporting = true;
        const std::uint64_t exception_class = frame.esr >> 26 & 0x3f;
        println();
        println("inmate: unexpected ", kind_name(kind), kind / 4 == 1 ? " in a handler" : "", ", class ",
                hex(exception_class, 2), " (", class_name(exception_class), ")");
        if (exception_class >= 0x20 && exception_class <= 0x25 && exception_class != 0x22) {
            print_abort(frame, exception_class);
        }
        println(" elr ", hex(frame.elr, 16), " esr ", hex(frame.esr, 8), " far ", hex(frame.far, 16), " spsr ",
                hex(frame.spsr, 8), " sp ", hex(frame.sp, 16));
        for (unsigned index = 0; index < 31; ++index) {
            print(index % 4 == 0 ? " x" : "  x", index, " ", hex(frame.x[index], 16));
            if (index % 4 == 3 || index == 30) {
                println();
            }
        }
        println("inmate: cell failed");
    }
    set_cell_state(JH_CELL_FAILED);
    halt();
}

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_syndrome.hpp"

#include <array>
#include <cstdio>
#include <utility>

namespace hil {
namespace {

using R = TrapRegister;

std::string hex(std::uint64_t value) {
    std::array<char, 24> out{};
    std::snprintf(out.data(), out.size(), "0x%llx", static_cast<unsigned long long>(value));
    return out.data();
}

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 34> classes{{
    {0x00, "unknown reason (an undefined instruction, as a rule)"},
    {0x01, "trapped WFI or WFE"},
    {0x03, "trapped MCR or MRC, coprocessor 15"},
    {0x04, "trapped MCRR or MRRC, coprocessor 15"},
    {0x05, "trapped MCR or MRC, coprocessor 14"},
    {0x06, "trapped LDC or STC"},
    {0x07, "trapped floating point or SIMD"},
    {0x08, "trapped VMRS (identification registers)"},
    {0x09, "trapped pointer authentication"},
    {0x0c, "trapped MRRC, coprocessor 14"},
    {0x0d, "branch target exception"},
    {0x0e, "illegal execution state"},
    {0x11, "SVC from AArch32"},
    {0x12, "HVC from AArch32"},
    {0x13, "SMC from AArch32"},
    {0x15, "SVC from AArch64"},
    {0x16, "HVC from AArch64"},
    {0x17, "SMC from AArch64"},
    {0x18, "trapped MSR, MRS or system instruction"},
    {0x19, "trapped SVE"},
    {0x1a, "trapped ERET"},
    {0x20, "instruction abort from a lower exception level"},
    {0x21, "instruction abort from the hypervisor itself"},
    {0x22, "misaligned pc"},
    {0x24, "data abort from a lower exception level"},
    {0x25, "data abort from the hypervisor itself"},
    {0x26, "misaligned sp"},
    {0x28, "floating point exception from AArch32"},
    {0x2c, "floating point exception from AArch64"},
    {0x2f, "SError"},
    {0x30, "breakpoint from a lower exception level"},
    {0x32, "software step from a lower exception level"},
    {0x34, "watchpoint from a lower exception level"},
    {0x3c, "BRK instruction"},
}};

std::string transfer_name(const AbortSyndrome& abort, TrapArch arch) {
    const std::string number = std::to_string(abort.transfer);
    if (arch == TrapArch::arm) {
        return "r" + number;
    }
    if (abort.transfer == 31) {
        return abort.wide ? "xzr" : "wzr";
    }
    return (abort.wide ? "x" : "w") + number;
}

void note(TrapEvent& event, std::string text) {
    event.notes.push_back(std::move(text));
}

void compare_abort(TrapEvent& event, const AbortSyndrome& abort) {
    if (event.kind == TrapKind::data || event.kind == TrapKind::mmio) {
        if (!abort.data) {
            note(event, "the first line tells of a data access, the syndrome of an instruction abort");
            return;
        }
        if (event.access != TrapAccess::unknown && (event.access == TrapAccess::write) != abort.write) {
            note(event, std::string("the first line says ") + std::string(to_string(event.access)) +
                            ", the syndrome says " + (abort.write ? "write" : "read"));
        }
        if (event.size && abort.valid && *event.size != abort.size) {
            note(event, "the first line says " + std::to_string(*event.size) + " bytes, the syndrome says " +
                            std::to_string(abort.size));
        }
    } else if (event.kind == TrapKind::instruction && abort.data) {
        note(event, "the first line tells of an instruction abort, the syndrome of a data access");
    }
}

} // namespace

std::optional<AbortSyndrome> decode_abort(std::uint32_t esr) {
    const std::uint32_t ec = exception_class_of(esr);
    if (ec != 0x20 && ec != 0x21 && ec != 0x24 && ec != 0x25) {
        return std::nullopt;
    }
    AbortSyndrome abort;
    abort.data = ec >= 0x24;
    abort.status = esr & 0x3f;
    abort.walk = (esr >> 7 & 1) != 0;
    abort.far_valid = (esr >> 10 & 1) == 0;
    if (!abort.data) {
        return abort;
    }
    abort.write = (esr >> 6 & 1) != 0;
    abort.cache_maintenance = (esr >> 8 & 1) != 0;
    abort.valid = (esr >> 24 & 1) != 0;
    if (abort.valid) {
        abort.size = 1u << (esr >> 22 & 3);
        abort.sign_extend = (esr >> 21 & 1) != 0;
        abort.transfer = esr >> 16 & 0x1f;
        abort.wide = (esr >> 15 & 1) != 0;
    }
    return abort;
}

std::string_view exception_class_name(std::uint32_t exception_class) {
    for (const auto& [code, name] : classes) {
        if (code == exception_class) {
            return name;
        }
    }
    return "a class that the architecture reserves";
}

std::string fault_status_name(std::uint32_t status) {
    static constexpr std::array<std::string_view, 4> levelled{"address size fault", "translation fault",
                                                              "access flag fault", "permission fault"};
    if (status < 0x10) {
        return std::string(levelled[status >> 2]) + ", level " + std::to_string(status & 3);
    }
    if (status >= 0x14 && status <= 0x17) {
        return "synchronous external abort on a table walk, level " + std::to_string(status & 3);
    }
    if (status >= 0x1c && status <= 0x1f) {
        return "parity or ECC error on a table walk, level " + std::to_string(status & 3);
    }
    switch (status) {
    case 0x10:
        return "synchronous external abort";
    case 0x11:
        return "tag check fault";
    case 0x18:
        return "parity or ECC error";
    case 0x21:
        return "alignment fault";
    case 0x22:
        return "debug event";
    case 0x30:
        return "TLB conflict abort";
    case 0x34:
        return "fault of a cache lockdown";
    case 0x35:
        return "unsupported exclusive or atomic access";
    default:
        return "fault status " + hex(status);
    }
}

std::string describe_syndrome(std::uint32_t esr, TrapArch arch) {
    const std::uint32_t ec = exception_class_of(esr);
    std::string text = "class " + hex(ec) + ": " + std::string(exception_class_name(ec));
    text += is_long_instruction(esr) ? "; 32-bit instruction" : "; 16-bit instruction, or none";
    if (const auto abort = decode_abort(esr)) {
        text += "; " + fault_status_name(abort->status);
        if (abort->data) {
            text += abort->write ? "; write" : "; read";
            text += abort->valid ? " of " + std::to_string(abort->size) + " byte(s), register " +
                                       transfer_name(*abort, arch) + (abort->sign_extend ? ", sign-extended" : "")
                                 : "; no instruction syndrome: neither size nor register is known";
            text += abort->cache_maintenance ? "; cache maintenance" : "";
        }
        text += abort->walk ? "; met while the guest's own page table was walked" : "";
        text += abort->far_valid ? "" : "; the fault address is not valid";
    } else if (ec == 0x16 || ec == 0x12 || ec == 0x15 || ec == 0x11 || ec == 0x17 || ec == 0x3c) {
        text += "; immediate " + hex(esr & 0xffff);
    } else if (ec == 0x18) {
        const std::uint32_t iss = iss_of(esr);
        text += "; S" + std::to_string(iss >> 20 & 3) + "_" + std::to_string(iss >> 14 & 7) + "_C" +
                std::to_string(iss >> 10 & 15) + "_C" + std::to_string(iss >> 1 & 15) + "_" +
                std::to_string(iss >> 17 & 7) + ((iss & 1) != 0 ? ", read into x" : ", written from x") +
                std::to_string(iss >> 5 & 31);
    } else if (ec == 0x03 || ec == 0x05) {
        const std::uint32_t iss = iss_of(esr);
        text += std::string(ec == 0x03 ? "; p15" : "; p14") + ", " + std::to_string(iss >> 14 & 7) + ", r" +
                std::to_string(iss >> 5 & 15) + ", c" + std::to_string(iss >> 10 & 15) + ", c" +
                std::to_string(iss >> 1 & 15) + ", " + std::to_string(iss >> 17 & 7) +
                ((iss & 1) != 0 ? " (read)" : " (write)");
    } else if (ec == 0x01) {
        text += (esr & 1) != 0 ? "; WFE" : "; WFI";
    }
    return text;
}

std::string describe_mode(std::uint32_t psr, TrapArch arch) {
    if (arch == TrapArch::arm64 && (psr & 0x10) == 0) {
        const std::uint32_t level = psr >> 2 & 3;
        return "EL" + std::to_string(level) + ((psr & 1) != 0 ? "h (own stack pointer)" : "t (SP_EL0)") +
               ((psr & 0x80) != 0 ? ", IRQs masked" : "");
    }
    static constexpr std::array<std::pair<std::uint32_t, std::string_view>, 9> modes{{
        {0x10, "User"},
        {0x11, "FIQ"},
        {0x12, "IRQ"},
        {0x13, "Supervisor"},
        {0x16, "Monitor"},
        {0x17, "Abort"},
        {0x1a, "Hyp"},
        {0x1b, "Undefined"},
        {0x1f, "System"},
    }};
    std::string text = "unknown mode " + hex(psr & 0x1f);
    for (const auto& [code, name] : modes) {
        if (code == (psr & 0x1f)) {
            text = std::string(name) + " mode";
        }
    }
    text = (arch == TrapArch::arm64 ? "AArch32, " : "") + text;
    return text + ((psr & 0x20) != 0 ? ", Thumb" : ", ARM") + ((psr & 0x80) != 0 ? ", IRQs masked" : "");
}

void note_contradictions(TrapEvent& event) {
    if (event.syndrome) {
        const std::uint32_t ec = exception_class_of(*event.syndrome);
        if (event.exception_class && *event.exception_class != ec) {
            note(event, "the FATAL line says class " + hex(*event.exception_class) + ", the syndrome says " + hex(ec));
        }
        if (const auto abort = decode_abort(*event.syndrome); abort && event.has_first_line) {
            compare_abort(event, *abort);
        }
    }
    const auto spsr = event.registers.get(R::a64_spsr);
    if (event.el && spsr && (*spsr & 0x10) == 0 && (*spsr >> 2 & 3) != *event.el) {
        note(event,
             "the dump says EL" + std::to_string(*event.el) + ", its spsr says EL" + std::to_string(*spsr >> 2 & 3));
    }
}

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_event.hpp"

#include <algorithm>
#include <utility>

namespace hil {
namespace {

using R = TrapRegister;

constexpr std::array<std::pair<R, const char*>, 34> fixed_names{{
    {R::a64_pc, "pc"},
    {R::a64_lr, "lr"},
    {R::a64_spsr, "spsr"},
    {R::a64_sp, "sp"},
    {R::a64_elr, "elr"},
    {R::a64_esr, "esr"},
    {R::arm_pc, "pc"},
    {R::arm_cpsr, "cpsr"},
    {R::arm_hsr, "hsr"},
    {R::error_code, "error_code"},
    {R::physical_cpu, "physical_cpu"},
    {R::exitinfo1, "exitinfo1"},
    {R::exitinfo2, "exitinfo2"},
    {R::qualification, "qualification"},
    {R::vectoring_info, "vectoring_info"},
    {R::interrupt_info, "interrupt_info"},
    {R::rip, "rip"},
    {R::rsp, "rsp"},
    {R::flags, "flags"},
    {R::rax, "rax"},
    {R::rbx, "rbx"},
    {R::rcx, "rcx"},
    {R::rdx, "rdx"},
    {R::rsi, "rsi"},
    {R::rdi, "rdi"},
    {R::cs, "cs"},
    {R::cs_base, "cs_base"},
    {R::ar_bytes, "ar_bytes"},
    {R::lma, "efer_lma"},
    {R::cr0, "cr0"},
    {R::cr2, "cr2"},
    {R::cr3, "cr3"},
    {R::cr4, "cr4"},
    {R::efer, "efer"},
}};

bool has_dump(const TrapEvent& event) {
    return event.registers.size() > 0;
}

/// Rows of the dump are absent, or one of the two registers that count most is.
bool lacks_registers(const TrapEvent& event) {
    const bool x86 = event.arch == TrapArch::x86;
    const std::size_t all = event.arch == TrapArch::arm64 ? 35 : event.arch == TrapArch::arm ? 18 : 17;
    return !event.pc || (!x86 && !event.syndrome) ||
           (event.registers.size() < all && !(x86 && event.kind == TrapKind::hyp));
}

} // namespace

std::string name_of(TrapRegister reg) {
    if (reg >= R::x0 && reg <= R::x29) {
        return "x" + std::to_string(static_cast<int>(reg) - static_cast<int>(R::x0));
    }
    if (reg >= R::r0 && reg <= R::r14) {
        return "r" + std::to_string(static_cast<int>(reg) - static_cast<int>(R::r0));
    }
    const auto found = std::find_if(fixed_names.begin(), fixed_names.end(), [reg](auto& n) { return n.first == reg; });
    return found == fixed_names.end() ? "?" : found->second;
}

std::string_view to_string(TrapArch arch) {
    constexpr std::array<std::string_view, 4> names{"unknown", "arm", "arm64", "x86"};
    return names[static_cast<std::size_t>(arch)];
}

std::string_view to_string(TrapKind kind) {
    constexpr std::array<std::string_view, 13> names{"unknown", "data",       "instruction", "pio", "mmio",
                                                     "msr",     "pci-config", "apic",        "hvc", "smc",
                                                     "vmexit",  "hyp",        "other"};
    return names[static_cast<std::size_t>(kind)];
}

std::string_view to_string(TrapAccess access) {
    constexpr std::array<std::string_view, 3> names{"unknown", "read", "write"};
    return names[static_cast<std::size_t>(access)];
}

std::string_view to_string(TrapOutcome outcome) {
    constexpr std::array<std::string_view, 3> names{"unknown", "parked", "stopped"};
    return names[static_cast<std::size_t>(outcome)];
}

std::string_view to_string(TrapField field) {
    constexpr std::array<std::string_view, 9> names{"arch", "kind", "access", "address", "size", "exception_class",
                                                    "cpu",  "cell", "pc"};
    return names[static_cast<std::size_t>(field)];
}

double confidence_of(const TrapEvent& event) {
    double doubt = 0;
    doubt += event.has_first_line || event.kind == TrapKind::hvc || event.kind == TrapKind::smc ? 0 : 0.3;
    doubt += has_dump(event) ? 0 : 0.2;
    doubt += has_dump(event) && lacks_registers(event) ? 0.05 : 0;
    doubt += event.outcome == TrapOutcome::unknown ? 0.1 : 0;
    doubt += event.recovered ? 0.15 : 0;
    doubt += 0.05 * static_cast<double>(event.inferred.count());
    doubt += 0.1 * static_cast<double>(std::min<std::size_t>(event.notes.size(), 3));
    return std::max(0.1, 1.0 - doubt);
}

std::vector<std::string> missing_from(const TrapEvent& event) {
    std::vector<std::string> missing;
    const bool arm = event.arch == TrapArch::arm || event.arch == TrapArch::arm64;
    const bool x86 = event.arch == TrapArch::x86;
    const bool named_by_class = event.kind == TrapKind::hvc || event.kind == TrapKind::smc;
    if (!event.has_first_line && !named_by_class) {
        missing.emplace_back("the first line of the report, which names the access and its address");
    } else if (!event.address &&
               (event.kind == TrapKind::data || event.kind == TrapKind::instruction || event.kind == TrapKind::mmio)) {
        missing.emplace_back("the address, which stands in the first line of the report");
    }
    if (!event.has_class_line && !x86 && event.kind != TrapKind::hyp && event.kind != TrapKind::unknown) {
        missing.emplace_back("the FATAL line with the exception class");
    }
    if (!has_dump(event)) {
        missing.emplace_back("the register dump, which holds the pc and the syndrome");
    } else {
        if (!event.pc) {
            missing.emplace_back("the row with the pc");
        }
        if (arm && !event.syndrome) {
            missing.emplace_back("the syndrome (esr or hsr)");
        }
        if (lacks_registers(event)) {
            missing.emplace_back("some rows of the register dump");
        }
    }
    if (event.outcome == TrapOutcome::unknown) {
        missing.emplace_back(event.kind == TrapKind::hyp ? "the Stopping line, which names the CPU and the cell"
                                                         : "the Parking line, which names the CPU and the cell");
    } else if (!event.cell || !event.cpu) {
        missing.emplace_back("a legible Parking line: the cell or the CPU in it cannot be read");
    }
    return missing;
}

} // namespace hil

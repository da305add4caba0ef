// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_causes.hpp"

#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_syndrome.hpp"
#include "hil/lib/trap_x86.hpp"
#include "hil/lib/value_range.hpp"

#include <array>
#include <optional>

namespace hil {
namespace {

using R = TrapRegister;

/// Owners of a call by SMC or HVC: bits 29…24 of the function number (SMC Calling Convention, ARM DEN 0028).
struct CallOwner {
    std::uint32_t first;
    std::uint32_t last;
    std::string_view name;
    std::string_view fix;
};

constexpr std::array<CallOwner, 7> call_owners{{
    {0, 0, "the architecture's calls", "keep the guest from it"},
    {1, 1, "calls of the CPU's maker", "keep the guest from it: leave that driver out of its kernel"},
    {2, 3, "calls of the chip's or the board's maker",
     "keep the guest from it: leave the firmware driver out of its kernel or its device tree"},
    {4, 4, "standard calls: PSCI and its like",
     "keep the guest from it: a PSCI function that the hypervisor does not have, or leave that driver out"},
    {5, 6, "calls of a hypervisor", "keep the guest from it: it takes this hypervisor for another one"},
    {48, 49, "calls of trusted applications", "keep the guest from it: leave that driver out of its kernel"},
    {50, 63, "calls of a trusted OS, such as Trusty or OP-TEE",
     "keep the guest from it: leave the driver of the trusted OS out of its kernel or its device tree"},
}};

const CallOwner* owner_of_call(std::uint64_t function) {
    return range_holding(call_owners, function >> 24 & 0x3f);
}

std::optional<std::uint64_t> first_argument(const TrapEvent& event) {
    return event.registers.get(event.arch == TrapArch::arm ? R::r0 : R::x0);
}

bool is_psci(std::uint64_t function) {
    return (function & ~std::uint64_t{0x4000001f}) == 0x84000000;
}

/// What keeps a Linux from an MSR: options of its command line.
struct MsrAdvice {
    std::uint64_t first;
    std::uint64_t last;
    std::string_view advice;
};

constexpr std::array<MsrAdvice, 12> msr_advice{{
    {0xc1, 0xc8, "Linux: nmi_watchdog=0, and no perf"},
    {0x179, 0x17b, "Linux: mce=off"},
    {0x186, 0x18d, "Linux: nmi_watchdog=0, and no perf"},
    {0x198, 0x199, "Linux: intel_pstate=disable, or no cpufreq driver"},
    {0x19a, 0x19c, "a Linux kernel without its thermal drivers"},
    {0x309, 0x390, "Linux: nmi_watchdog=0, and no perf"},
    {0x400, 0x47f, "Linux: mce=off"},
    {0x606, 0x64f, "a Linux kernel without the RAPL power driver"},
    {0x770, 0x774, "Linux: intel_pstate=disable"},
    {0xc0010000, 0xc0010007, "Linux: nmi_watchdog=0, and no perf"},
    {0xc0010200, 0xc001020b, "Linux: nmi_watchdog=0, and no perf"},
    {0xc0002000, 0xc00023ff, "Linux: mce=off"},
}};

std::string_view advice_for_msr(std::uint64_t msr) {
    if (msr >= 0x4b564d00 && msr <= 0x4b564dff) {
        const std::uint64_t which = msr & 0xff;
        return which <= 1   ? "Linux: no-kvmclock, or a machine that hides KVM (QEMU: -cpu …,kvm=off)"
               : which == 2 ? "Linux: no-kvmapf, or a machine that hides KVM (QEMU: -cpu …,kvm=off)"
               : which == 3 ? "Linux: no-steal-acc, or a machine that hides KVM (QEMU: -cpu …,kvm=off)"
                            : "a machine that hides KVM (QEMU: -cpu …,kvm=off)";
    }
    const MsrAdvice* known = range_holding(msr_advice, msr);
    return known == nullptr ? "a kernel option, another CPU model, or a kernel without that driver" : known->advice;
}

/// The value that an LVT entry was to get, as the message prints it: "(reg 35, value 00000700)".
std::optional<std::uint32_t> lvt_value(const TrapEvent& event) {
    for (const std::string& message : event.messages) {
        const std::size_t at = message.find("value ");
        if (message.find("LVT delivery mode") != std::string::npos && at != std::string::npos) {
            try {
                return static_cast<std::uint32_t>(std::stoul(message.substr(at + 6), nullptr, 16));
            } catch (const std::exception&) {
                return std::nullopt; // the digits are damaged
            }
        }
    }
    return std::nullopt;
}

std::string_view delivery_mode(std::uint32_t lvt) {
    static constexpr std::array<std::string_view, 8> modes{
        "fixed", "reserved", "SMI", "reserved", "NMI", "INIT", "reserved", "ExtINT, interrupts of an 8259"};
    return modes[lvt >> 8 & 7];
}

} // namespace

TrapCause hvc_cause(const TrapEvent& event) {
    TrapCause out{"the guest made a hypervisor call that is none of Jailhouse's (its immediate is 0x4a48)",
                  "look at the instruction at the pc: a PSCI or KVM call by HVC, or a stray one"};
    if (event.syndrome) {
        out.cause += "; this one has " + trap_hex(*event.syndrome & 0xffff);
    }
    return out;
}

TrapCause smc_cause(const TrapEvent& event) {
    TrapCause out{"the guest called the secure firmware (SMC), which the hypervisor handles only for PSCI and the "
                  "architecture's own calls",
                  "keep the guest from it: leave the firmware driver out of its kernel or its device tree"};
    const auto function = first_argument(event);
    if (!function) {
        return out;
    }
    out.cause += "; function " + trap_hex(*function);
    if (const CallOwner* owner = (*function & 0x80000000) == 0 ? nullptr : owner_of_call(*function)) {
        out.cause += " (" + std::string(owner->name) + ")";
        out.fix = owner->fix;
    }
    return out;
}

TrapCause msr_cause(const TrapEvent& event) {
    const std::string_view advice =
        event.address ? advice_for_msr(*event.address) : "look at the MSR that the first line names";
    return {"the guest touched an MSR that the hypervisor neither passes through nor emulates",
            "no config line grants an MSR: keep the guest from using it (" + std::string(advice) + ")"};
}

TrapCause apic_cause(const TrapEvent& event) {
    TrapCause out{"the guest programmed its local APIC in a way that the hypervisor refuses",
                  "keep the guest from it; Linux: check the kernel options for the APIC and the performance counters"};
    if (const auto value = lvt_value(event)) {
        out.cause += ": delivery mode " + std::to_string(*value >> 8 & 7) + " (" + std::string(delivery_mode(*value)) +
                     ") in an entry of the local vector table";
        if ((*value >> 8 & 7) == 7) {
            out.fix = "keep the guest from it: a cell has no 8259 (PIC); Linux must not be told of one by the loader "
                      "or the firmware tables";
        }
    }
    return out;
}

TrapCause vmexit_cause(const TrapEvent& event) {
    const auto code = event.code;
    const bool amd = !event.messages.empty() && event.messages.back().find("#VMEXIT") != std::string::npos;
    const std::string name = !code ? "" : amd ? svm_exit_name(*code) : std::string(vmx_exit_name(*code));
    const bool triple = code && (amd ? *code == 0x7f : (*code & 0xffff) == 2);
    TrapCause out{"the processor left the guest for a reason that the hypervisor does not handle",
                  triple ? "the guest faulted, and faulted again while handling that: look at its page tables (CR3), "
                           "its IDT and the instruction at the pc; without an IDT any exception ends like this"
                         : "look at the instruction at the pc"};
    if (code) {
        out.cause += ": " + (amd ? trap_hex(*code) : std::to_string(*code)) + (name.empty() ? "" : ", " + name);
    }
    if (const auto q = event.registers.get(R::qualification); q && code && !amd) {
        const std::string text = vmx_qualification_text(*code, *q);
        out.cause += text.empty() ? "" : " (" + text + ")";
    }
    return out;
}

TrapCause hypervisor_cause(const TrapEvent& event) {
    TrapCause out{"the hypervisor itself failed, not a cell",
                  "the machine must be reset; report it with the hypervisor's version, the system config and this "
                  "dump; the hypervisor's own ELF (--elf) names the function"};
    if (event.code) {
        out.cause +=
            ": exception #" + std::to_string(*event.code) + " (" + std::string(x86_exception_name(*event.code)) + ")";
        if (const auto error = event.registers.get(R::error_code); error && *event.code == 14) {
            out.cause += ", " + page_fault_text(*error);
        }
    } else if (event.syndrome) {
        out.cause += ": " + describe_syndrome(*event.syndrome, event.arch);
        const auto function = first_argument(event);
        if (exception_class_of(*event.syndrome) == 0 && function && is_psci(*function)) {
            out.cause += "; the first argument register holds " + trap_hex(*function) +
                         ", a PSCI function: an SMC is undefined on a machine without firmware at EL3";
            out.fix += "; look whether the machine boots with TF-A (BL31) that offers PSCI";
        }
    }
    return out;
}

TrapCause other_cause(const TrapEvent& event) {
    if (!event.exception_class || event.arch == TrapArch::x86) {
        return {};
    }
    return {"an exception of class " + trap_hex(*event.exception_class) + " (" +
                std::string(exception_class_name(*event.exception_class)) + ") that the hypervisor does not handle",
            ""};
}

TrapGuest guest_of(const TrapEvent& event) {
    const auto spsr = event.registers.get(R::a64_spsr);
    const auto cpsr = event.registers.get(R::arm_cpsr);
    const auto cs = event.registers.get(R::cs);
    const bool protection = (event.registers.get(R::cr0).value_or(0) & 1) != 0;
    const bool user =
        (spsr && (*spsr & 0xf) == 0) || (cpsr && (*cpsr & 0x1f) == 0x10) || (cs && protection && (*cs & 3) == 3);
    if (user) {
        return TrapGuest::user_program;
    }
    if (!event.pc) {
        return TrapGuest::unknown;
    }
    switch (event.arch) {
    case TrapArch::arm64:
        return *event.pc >> 48 == 0xffff ? TrapGuest::kernel : TrapGuest::unknown;
    case TrapArch::x86:
        return *event.pc >> 47 == 0x1ffff ? TrapGuest::kernel : TrapGuest::unknown;
    case TrapArch::arm:
        return *event.pc >= 0xbf000000 && *event.pc <= 0xffffffff ? TrapGuest::kernel : TrapGuest::unknown;
    case TrapArch::unknown:
        break;
    }
    return TrapGuest::unknown;
}

} // namespace hil

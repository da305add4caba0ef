// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_x86.hpp"

#include "hil/lib/value_range.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

namespace hil {
namespace {

struct Named {
    std::uint64_t value;
    std::string_view name;
};

std::string_view lookup(std::span<const Named> table, std::uint64_t value) {
    const auto found = std::find_if(table.begin(), table.end(), [value](const Named& n) { return n.value == value; });
    return found == table.end() ? std::string_view{} : found->name;
}

constexpr std::array<Named, 64> vmx_exits{{
    {0, "exception or NMI"},
    {1, "external interrupt"},
    {2, "triple fault"},
    {3, "INIT signal"},
    {4, "start-up IPI (SIPI)"},
    {5, "I/O SMI"},
    {6, "other SMI"},
    {7, "interrupt window"},
    {8, "NMI window"},
    {9, "task switch"},
    {10, "CPUID"},
    {11, "GETSEC"},
    {12, "HLT"},
    {13, "INVD"},
    {14, "INVLPG"},
    {15, "RDPMC"},
    {16, "RDTSC"},
    {17, "RSM"},
    {18, "VMCALL"},
    {19, "VMCLEAR"},
    {20, "VMLAUNCH"},
    {21, "VMPTRLD"},
    {22, "VMPTRST"},
    {23, "VMREAD"},
    {24, "VMRESUME"},
    {25, "VMWRITE"},
    {26, "VMXOFF"},
    {27, "VMXON"},
    {28, "control register access"},
    {29, "MOV DR"},
    {30, "I/O instruction"},
    {31, "RDMSR"},
    {32, "WRMSR"},
    {33, "VM-entry failure: invalid guest state"},
    {34, "VM-entry failure: MSR loading"},
    {36, "MWAIT"},
    {37, "monitor trap flag"},
    {39, "MONITOR"},
    {40, "PAUSE"},
    {41, "VM-entry failure: machine check"},
    {43, "TPR below threshold"},
    {44, "APIC access"},
    {45, "virtualized EOI"},
    {46, "access to GDTR or IDTR"},
    {47, "access to LDTR or TR"},
    {48, "EPT violation"},
    {49, "EPT misconfiguration"},
    {50, "INVEPT"},
    {51, "RDTSCP"},
    {52, "VMX preemption timer"},
    {53, "INVVPID"},
    {54, "WBINVD or WBNOINVD"},
    {55, "XSETBV"},
    {56, "APIC write"},
    {57, "RDRAND"},
    {58, "INVPCID"},
    {59, "VMFUNC"},
    {60, "ENCLS"},
    {61, "RDSEED"},
    {62, "page-modification log full"},
    {63, "XSAVES"},
    {64, "XRSTORS"},
    {67, "UMWAIT"},
    {68, "TPAUSE"},
}};

constexpr std::array<Named, 44> svm_exits{{
    {0x60, "INTR"},
    {0x61, "NMI"},
    {0x62, "SMI"},
    {0x63, "INIT"},
    {0x64, "VINTR"},
    {0x65, "CR0 selective write"},
    {0x66, "IDTR read"},
    {0x67, "GDTR read"},
    {0x68, "LDTR read"},
    {0x69, "TR read"},
    {0x6a, "IDTR write"},
    {0x6b, "GDTR write"},
    {0x6c, "LDTR write"},
    {0x6d, "TR write"},
    {0x6e, "RDTSC"},
    {0x6f, "RDPMC"},
    {0x70, "PUSHF"},
    {0x71, "POPF"},
    {0x72, "CPUID"},
    {0x73, "RSM"},
    {0x74, "IRET"},
    {0x75, "software interrupt"},
    {0x76, "INVD"},
    {0x77, "PAUSE"},
    {0x78, "HLT"},
    {0x79, "INVLPG"},
    {0x7a, "INVLPGA"},
    {0x7b, "I/O instruction"},
    {0x7c, "RDMSR or WRMSR"},
    {0x7d, "task switch"},
    {0x7e, "FERR freeze"},
    {0x7f, "SHUTDOWN (triple fault)"},
    {0x80, "VMRUN"},
    {0x81, "VMMCALL"},
    {0x82, "VMLOAD"},
    {0x83, "VMSAVE"},
    {0x84, "STGI"},
    {0x85, "CLGI"},
    {0x86, "SKINIT"},
    {0x87, "RDTSCP"},
    {0x8d, "XSETBV"},
    {0x400, "nested page fault"},
    {0x401, "AVIC incomplete IPI"},
    {0x402, "AVIC access to an unaccelerated register"},
}};

constexpr std::array<std::string_view, 22> exceptions{"divide error",
                                                      "debug",
                                                      "NMI",
                                                      "breakpoint",
                                                      "overflow",
                                                      "bound range",
                                                      "invalid opcode",
                                                      "device not available",
                                                      "double fault",
                                                      "coprocessor segment overrun",
                                                      "invalid TSS",
                                                      "segment not present",
                                                      "stack fault",
                                                      "general protection",
                                                      "page fault",
                                                      "reserved",
                                                      "x87 error",
                                                      "alignment check",
                                                      "machine check",
                                                      "SIMD error",
                                                      "virtualization",
                                                      "control protection"};

struct PortRange {
    std::uint64_t first;
    std::uint64_t last;
    std::string_view name;
};

constexpr std::array<PortRange, 34> ports{{
    {0x00, 0x1f, "DMA controller 1"},
    {0x20, 0x21, "interrupt controller (PIC) 1"},
    {0x2e, 0x2f, "Super I/O configuration"},
    {0x40, 0x43, "interval timer (PIT)"},
    {0x4e, 0x4f, "Super I/O or TPM configuration"},
    {0x60, 0x60, "keyboard controller, data"},
    {0x61, 0x61, "NMI status and speaker control"},
    {0x64, 0x64, "keyboard controller, command"},
    {0x70, 0x71, "CMOS and real-time clock"},
    {0x80, 0x80, "POST code (used as a delay)"},
    {0x81, 0x8f, "DMA page registers"},
    {0x92, 0x92, "system control port A"},
    {0xa0, 0xa1, "interrupt controller (PIC) 2"},
    {0xb2, 0xb3, "power management (SMI command)"},
    {0xc0, 0xdf, "DMA controller 2"},
    {0xed, 0xed, "I/O delay"},
    {0xf0, 0xf1, "coprocessor"},
    {0x170, 0x177, "secondary IDE"},
    {0x1ce, 0x1d1, "VGA (Bochs)"},
    {0x1f0, 0x1f7, "primary IDE"},
    {0x278, 0x27f, "parallel port 2"},
    {0x2e8, 0x2ef, "serial port COM4"},
    {0x2f8, 0x2ff, "serial port COM2"},
    {0x376, 0x376, "secondary IDE control"},
    {0x378, 0x37f, "parallel port 1"},
    {0x3b0, 0x3df, "VGA"},
    {0x3e8, 0x3ef, "serial port COM3"},
    {0x3f0, 0x3f7, "floppy controller"},
    {0x3f8, 0x3ff, "serial port COM1"},
    {0x4d0, 0x4d1, "interrupt edge/level control"},
    {0x510, 0x51b, "QEMU firmware configuration"},
    {0xcf8, 0xcfb, "PCI configuration address"},
    {0xcf9, 0xcf9, "reset control"},
    {0xcfc, 0xcff, "PCI configuration data"},
}};

constexpr std::array<Named, 62> msrs{{
    {0x10, "IA32_TIME_STAMP_COUNTER"},
    {0x17, "IA32_PLATFORM_ID"},
    {0x1b, "IA32_APIC_BASE"},
    {0x34, "MSR_SMI_COUNT"},
    {0x35, "MSR_CORE_THREAD_COUNT"},
    {0x3a, "IA32_FEATURE_CONTROL"},
    {0x3b, "IA32_TSC_ADJUST"},
    {0x48, "IA32_SPEC_CTRL"},
    {0x49, "IA32_PRED_CMD"},
    {0x79, "IA32_BIOS_UPDT_TRIG"},
    {0x8b, "IA32_BIOS_SIGN_ID (microcode revision)"},
    {0xc1, "IA32_PMC0"},
    {0xce, "MSR_PLATFORM_INFO"},
    {0xe1, "IA32_UMWAIT_CONTROL"},
    {0xe2, "MSR_PKG_CST_CONFIG_CONTROL"},
    {0xe7, "IA32_MPERF"},
    {0xe8, "IA32_APERF"},
    {0xfe, "IA32_MTRRCAP"},
    {0x10a, "IA32_ARCH_CAPABILITIES"},
    {0x122, "IA32_TSX_CTRL"},
    {0x140, "MISC_FEATURE_ENABLES"},
    {0x174, "IA32_SYSENTER_CS"},
    {0x175, "IA32_SYSENTER_ESP"},
    {0x176, "IA32_SYSENTER_EIP"},
    {0x179, "IA32_MCG_CAP"},
    {0x17a, "IA32_MCG_STATUS"},
    {0x17b, "IA32_MCG_CTL"},
    {0x186, "IA32_PERFEVTSEL0"},
    {0x198, "IA32_PERF_STATUS"},
    {0x199, "IA32_PERF_CTL"},
    {0x19a, "IA32_CLOCK_MODULATION"},
    {0x19b, "IA32_THERM_INTERRUPT"},
    {0x19c, "IA32_THERM_STATUS"},
    {0x1a0, "IA32_MISC_ENABLE"},
    {0x1a2, "MSR_TEMPERATURE_TARGET"},
    {0x1ad, "MSR_TURBO_RATIO_LIMIT"},
    {0x1b0, "IA32_ENERGY_PERF_BIAS"},
    {0x1b1, "IA32_PACKAGE_THERM_STATUS"},
    {0x1d9, "IA32_DEBUGCTL"},
    {0x277, "IA32_PAT"},
    {0x2ff, "IA32_MTRR_DEF_TYPE"},
    {0x309, "IA32_FIXED_CTR0"},
    {0x345, "IA32_PERF_CAPABILITIES"},
    {0x38d, "IA32_FIXED_CTR_CTRL"},
    {0x38f, "IA32_PERF_GLOBAL_CTRL"},
    {0x606, "MSR_RAPL_POWER_UNIT"},
    {0x611, "MSR_PKG_ENERGY_STATUS"},
    {0x6e0, "IA32_TSC_DEADLINE"},
    {0x770, "IA32_PM_ENABLE (HWP)"},
    {0x774, "IA32_HWP_REQUEST"},
    {0xda0, "IA32_XSS"},
    {0x4b564d00, "KVM wall clock"},
    {0x4b564d01, "KVM system time"},
    {0x4b564d02, "KVM asynchronous page faults"},
    {0x4b564d03, "KVM steal time"},
    {0x4b564d04, "KVM paravirtual end of interrupt"},
    {0xc0000080, "EFER"},
    {0xc0000103, "TSC_AUX"},
    {0xc0010015, "HWCR (AMD)"},
    {0xc001001f, "NB_CFG (AMD)"},
    {0xc0010055, "interrupt pending message (AMD)"},
    {0xc0011029, "DE_CFG (AMD)"},
}};

constexpr std::array<Named, 20> apic_registers{{
    {0x20, "ID"},
    {0x30, "version"},
    {0x80, "task priority"},
    {0x90, "arbitration priority"},
    {0xa0, "processor priority"},
    {0xb0, "end of interrupt"},
    {0xd0, "logical destination"},
    {0xe0, "destination format"},
    {0xf0, "spurious interrupt vector"},
    {0x280, "error status"},
    {0x2f0, "LVT CMCI"},
    {0x300, "interrupt command, low"},
    {0x310, "interrupt command, high"},
    {0x320, "LVT timer"},
    {0x330, "LVT thermal sensor"},
    {0x340, "LVT performance counter"},
    {0x350, "LVT LINT0"},
    {0x360, "LVT LINT1"},
    {0x370, "LVT error"},
    {0x380, "timer initial count"},
}};

std::string port_text(std::uint64_t port) {
    char text[12];
    std::snprintf(text, sizeof text, "0x%x", static_cast<unsigned>(port & 0xffff));
    return text;
}

} // namespace

std::string_view vmx_exit_name(std::uint32_t reason) {
    return lookup(vmx_exits, reason & 0xffff);
}

std::string vmx_qualification_text(std::uint32_t reason, std::uint64_t q) {
    switch (reason & 0xffff) {
    case 28:
        return std::string((q >> 4 & 3) == 0   ? "MOV to CR"
                           : (q >> 4 & 3) == 1 ? "MOV from CR"
                           : (q >> 4 & 3) == 2 ? "CLTS, CR"
                                               : "LMSW, CR") +
               std::to_string(q & 15);
    case 30:
        return std::string((q & 8) != 0 ? "in" : "out") + " of " + std::to_string((q & 7) + 1) + " byte(s), port " +
               port_text(q >> 16 & 0xffff);
    case 44:
        return "offset " + std::to_string(q & 0xfff) +
               ((q >> 12 & 15) == 1   ? ", write"
                : (q >> 12 & 15) == 0 ? ", read"
                                      : "");
    case 48:
        return std::string((q & 1) != 0 ? "read" : "") + ((q & 2) != 0 ? " write" : "") +
               ((q & 4) != 0 ? " execute" : "");
    default:
        return "";
    }
}

std::string svm_exit_name(std::uint32_t code) {
    if (code < 0x20) {
        return std::string(code < 0x10 ? "read of CR" : "write of CR") + std::to_string(code & 15);
    }
    if (code < 0x40) {
        return std::string(code < 0x30 ? "read of DR" : "write of DR") + std::to_string(code & 15);
    }
    if (code < 0x60) {
        const auto name = x86_exception_name(code - 0x40);
        return "exception #" + std::to_string(code - 0x40) + (name.empty() ? "" : " (" + std::string(name) + ")");
    }
    if (code == 0xffffffff) {
        return "INVALID: the guest's state was refused";
    }
    return std::string(lookup(svm_exits, code));
}

std::string_view x86_exception_name(std::uint32_t vector) {
    return vector < exceptions.size() ? exceptions[vector] : std::string_view{};
}

std::string_view pio_port_name(std::uint64_t port) {
    const PortRange* range = range_holding(ports, port);
    return range == nullptr ? std::string_view{} : range->name;
}

std::string msr_name(std::uint64_t msr) {
    if (const auto name = lookup(msrs, msr); !name.empty()) {
        return std::string(name);
    }
    if (msr >= 0x200 && msr <= 0x21f) {
        return std::string((msr & 1) == 0 ? "IA32_MTRR_PHYSBASE" : "IA32_MTRR_PHYSMASK") +
               std::to_string((msr - 0x200) / 2);
    }
    if (msr >= 0x400 && msr < 0x480) {
        static constexpr std::array<std::string_view, 4> part{"CTL", "STATUS", "ADDR", "MISC"};
        return "IA32_MC" + std::to_string((msr - 0x400) / 4) + "_" + std::string(part[msr & 3]);
    }
    if (msr >= 0x800 && msr < 0x900) {
        const std::string name = apic_register_name((msr - 0x800) << 4);
        return "x2APIC" + (name.empty() ? std::string{} : " " + name);
    }
    if (msr >= 0xc0002000 && msr < 0xc0002400) {
        static constexpr std::array<std::string_view, 8> part{"CTL",    "STATUS", "ADDR", "MISC0",
                                                              "CONFIG", "IPID",   "SYND", "reserved"};
        const std::uint64_t offset = msr & 15;
        return "MCA_" + (offset < 8 ? std::string(part[offset]) : std::string("register")) + " of bank " +
               std::to_string((msr - 0xc0002000) / 16) + " (AMD scalable MCA)";
    }
    return msr >= 0x480 && msr <= 0x492 ? "a VMX capability" : "";
}

std::string apic_register_name(std::uint64_t offset) {
    if (offset >= 0x100 && offset < 0x280) {
        return offset < 0x180 ? "in-service" : offset < 0x200 ? "trigger mode" : "interrupt request";
    }
    if (offset == 0x390 || offset == 0x3e0) {
        return offset == 0x390 ? "timer current count" : "timer divide";
    }
    return std::string(lookup(apic_registers, offset));
}

std::string page_fault_text(std::uint64_t error) {
    std::string text = (error & 1) != 0 ? "protection violation" : "page not present";
    text += (error & 2) != 0 ? ", write" : ", read";
    text += (error & 4) != 0 ? ", user mode" : ", supervisor mode";
    text += (error & 8) != 0 ? ", reserved bit set in a page table" : "";
    text += (error & 16) != 0 ? ", instruction fetch" : "";
    return text;
}

std::string x86_mode_text(const TrapRegisters& registers) {
    using R = TrapRegister;
    constexpr std::uint64_t long_segment = 0x2200; // the L bit: bit 13 as VMX keeps the rights, bit 9 as SVM does
    const auto cr0 = registers.get(R::cr0);
    const auto cs = registers.get(R::cs);
    const auto rights = registers.get(R::ar_bytes);
    const auto lma = registers.get(R::lma);
    if (!cr0 || !cs || !rights || !lma) {
        return "";
    }
    if ((*cr0 & 1) == 0) {
        return "real mode";
    }
    const std::string mode = *lma == 0                       ? "protected mode"
                             : (*rights & long_segment) != 0 ? "64-bit mode"
                                                             : "compatibility mode";
    return mode + ", ring " + std::to_string(*cs & 3) + ((*cr0 >> 31 & 1) != 0 ? "" : ", paging off");
}

} // namespace hil

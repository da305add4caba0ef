// SPDX-License-Identifier: Apache-2.0
// TrapEvent: one panic report of a partitioning hypervisor, as it was read from a console or a mail.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

enum class TrapArch : std::uint8_t {
    unknown,
    arm,
    arm64,
    x86
};

/// What was trapped. `unknown`: only the end of a report was there. `other`: a known form that fits none of the kinds.
enum class TrapKind : std::uint8_t {
    unknown,
    data,
    instruction,
    pio,
    mmio,
    msr,
    pci_config,
    apic,
    hvc,
    smc,
    vmexit,
    hyp,
    other
};

enum class TrapAccess : std::uint8_t {
    unknown,
    read,
    write
};

/// parked: the cell's CPU is held. stopped: the hypervisor itself failed on that CPU.
enum class TrapOutcome : std::uint8_t {
    unknown,
    parked,
    stopped
};

/// Everything that a dump names, in the order in which it is printed (the assembly relies on that order).
enum class TrapRegister : std::uint8_t {
    // arm64
    a64_pc,
    a64_lr,
    a64_spsr,
    a64_sp,
    a64_elr,
    a64_esr,
    x0,
    x29 = x0 + 29,
    // arm
    arm_pc,
    arm_cpsr,
    arm_hsr,
    r0,
    r14 = r0 + 14,
    // x86
    error_code,
    physical_cpu,
    exitinfo1,
    exitinfo2,
    qualification,
    vectoring_info,
    interrupt_info,
    rip,
    rsp,
    flags,
    rax,
    rbx,
    rcx,
    rdx,
    rsi,
    rdi,
    cs,
    cs_base,
    ar_bytes,
    lma,
    cr0,
    cr2,
    cr3,
    cr4,
    efer,
    count
};

constexpr std::size_t trap_register_count = static_cast<std::size_t>(TrapRegister::count);

/// The architecture that prints a register.
constexpr TrapArch arch_of(TrapRegister reg) {
    if (reg < TrapRegister::arm_pc) {
        return TrapArch::arm64;
    }
    return reg < TrapRegister::error_code ? TrapArch::arm : TrapArch::x86;
}
/// The name as the dump prints it, lower case ("x21", "r0", "rip").
std::string name_of(TrapRegister reg);

/// The registers that a dump held; what was elided or damaged is absent.
class TrapRegisters {
  public:
    [[nodiscard]] bool has(TrapRegister reg) const { return present_[index(reg)]; }
    [[nodiscard]] std::optional<std::uint64_t> get(TrapRegister reg) const {
        return has(reg) ? std::optional<std::uint64_t>(value_[index(reg)]) : std::nullopt;
    }
    void set(TrapRegister reg, std::uint64_t value) {
        value_[index(reg)] = value;
        present_[index(reg)] = true;
    }
    void erase(TrapRegister reg) { present_[index(reg)] = false; }
    [[nodiscard]] bool empty() const { return present_.none(); }
    [[nodiscard]] std::size_t size() const { return present_.count(); }

  private:
    static std::size_t index(TrapRegister reg) { return static_cast<std::size_t>(reg); }
    std::array<std::uint64_t, trap_register_count> value_;
    std::bitset<trap_register_count> present_;
};

/// The members of a TrapEvent that may be inferred (read from damaged text, or concluded from another member).
enum class TrapField : std::uint8_t {
    arch,
    kind,
    access,
    address,
    size,
    exception_class,
    cpu,
    cell,
    pc,
    count
};

/// One report. An empty optional means: not in the text, or not readable without guessing.
struct TrapEvent {
    TrapArch arch = TrapArch::unknown;
    TrapKind kind = TrapKind::unknown;
    TrapAccess access = TrapAccess::unknown;
    TrapOutcome outcome = TrapOutcome::unknown;
    bool has_first_line = false;          // the line that names what was trapped
    bool has_class_line = false;          // "FATAL: … (exception class 0x…)"
    bool forbidden = false;               // "forbidden access" (refused) rather than "unhandled trap" (nobody there)
    bool recovered = false;               // at least one element was read from damaged text
    std::optional<std::uint64_t> address; // physical address, port, MSR, APIC offset or PCI register, by kind
    std::optional<std::uint32_t> size;    // bytes, as printed
    std::optional<std::uint32_t> exception_class;
    std::optional<std::uint32_t> cpu;
    std::optional<std::string> cell;
    std::optional<std::uint64_t> pc;
    std::optional<std::uint32_t> syndrome; // ESR_EL2 / HSR, 32 bits
    std::optional<std::uint32_t> el;       // exception level named by an arm64 dump
    std::optional<std::uint32_t> code;     // VM-exit reason, #VMEXIT exit code, exception vector, SMC trap number
    std::optional<std::uint32_t> pci_bdf;  // bus << 8 | device << 3 | function
    TrapRegisters registers;
    std::bitset<static_cast<std::size_t>(TrapField::count)> inferred;
    std::vector<std::string> messages; // the lines that say what happened, cleaned, in order
    std::vector<std::string> notes;    // contradictions and doubts, for a person
    std::string text;                  // the report as it stood, at most 8 KiB
    std::uint64_t first_line = 0;      // 1-based lines of the input, inclusive
    std::uint64_t last_line = 0;

    void infer(TrapField field) { inferred[static_cast<std::size_t>(field)] = true; }
    [[nodiscard]] bool is_inferred(TrapField field) const { return inferred[static_cast<std::size_t>(field)]; }
};

std::string_view to_string(TrapArch arch);
std::string_view to_string(TrapKind kind);
std::string_view to_string(TrapAccess access);
std::string_view to_string(TrapOutcome outcome);
std::string_view to_string(TrapField field);

/// 0…1: how much of the report was there and read without doubt.
double confidence_of(const TrapEvent& event);

/// What is missing from a report, by name, each a phrase for a person ("the Parking line, which names the CPU and the
/// cell").
std::vector<std::string> missing_from(const TrapEvent& event);

} // namespace hil

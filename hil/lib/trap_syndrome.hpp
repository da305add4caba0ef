// SPDX-License-Identifier: Apache-2.0
// Decoding of what the processor says about a trap. Sources: Arm Architecture Reference Manual (ESR_ELx, HSR, SPSR,
// CPSR), Intel SDM volume 3 appendix C (basic exit reasons, qualifications), AMD APM volume 2 appendix C (exit codes).
#pragma once

#include "hil/lib/trap_event.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hil {

/// An abort's syndrome, ESR_EL2 or HSR with class 0x20, 0x21, 0x24 or 0x25.
struct AbortSyndrome {
    bool data = false;
    bool valid = false;             // ISV: size and register are known
    std::uint32_t size = 0;         // bytes, when valid
    bool sign_extend = false;       // when valid
    std::uint32_t transfer = 0;     // register number, when valid
    bool wide = false;              // 64-bit register, when valid
    bool write = false;             // WnR
    bool walk = false;              // S1PTW: the fault was met during the guest's own table walk
    bool far_valid = true;          // FnV clear
    bool cache_maintenance = false; // CM
    std::uint32_t status = 0;       // DFSC or IFSC, 6 bits
};

constexpr std::uint32_t exception_class_of(std::uint32_t esr) {
    return esr >> 26;
}
constexpr bool is_long_instruction(std::uint32_t esr) {
    return (esr >> 25 & 1) != 0;
}
constexpr std::uint32_t iss_of(std::uint32_t esr) {
    return esr & 0x1ffffff;
}

/// The abort in `esr`; nothing for other classes.
std::optional<AbortSyndrome> decode_abort(std::uint32_t esr);

/// "data abort from a lower exception level".
std::string_view exception_class_name(std::uint32_t exception_class);

/// "translation fault, level 2".
std::string fault_status_name(std::uint32_t status);

/// One sentence for any syndrome.
std::string describe_syndrome(std::uint32_t esr, TrapArch arch);

/// "EL1, SP_EL1 (EL1h)" or "Supervisor mode, Thumb": CPSR or SPSR, from arm or arm64.
std::string describe_mode(std::uint32_t psr, TrapArch arch);

/// Adds a note to the event for each place where its first line, its class line, its mode and its syndrome disagree.
void note_contradictions(TrapEvent& event);

} // namespace hil

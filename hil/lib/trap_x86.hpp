// SPDX-License-Identifier: Apache-2.0
// Names of x86 things in a trap. Sources: Intel SDM volume 3 appendix C and volume 4, AMD APM volume 2 appendix C, the
// ports of the PC platform.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace hil {

/// Basic exit reason of VMX ("triple fault"); empty when reserved.
std::string_view vmx_exit_name(std::uint32_t reason);
/// What the exit qualification says for a reason; empty when nothing.
std::string vmx_qualification_text(std::uint32_t reason, std::uint64_t qualification);
/// Exit code of SVM ("SHUTDOWN (triple fault)"); empty when reserved.
std::string svm_exit_name(std::uint32_t code);
/// "page fault" for 14.
std::string_view x86_exception_name(std::uint32_t vector);
/// The device behind a port, empty when unknown.
std::string_view pio_port_name(std::uint64_t port);
/// The name of an MSR, empty when unknown.
std::string msr_name(std::uint64_t msr);
/// The register of the local APIC at an offset of its page, empty when unknown.
std::string apic_register_name(std::uint64_t offset);
/// The page fault's error code in words.
std::string page_fault_text(std::uint64_t error_code);
/// "64-bit mode, ring 0": what the processor was in, from CR0, EFER and CS; empty when the dump lacks one of them.
std::string x86_mode_text(const TrapRegisters& registers);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// What a trap's own text tells of its cause, without configs: calls, MSRs, the APIC, exits, the hypervisor's own
// faults.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <string>

namespace hil {

/// Why it trapped, and what to do: each a clause without a full stop; empty when nothing can be said.
struct TrapCause {
    std::string cause;
    std::string fix;
};

TrapCause hvc_cause(const TrapEvent& event);
TrapCause smc_cause(const TrapEvent& event);
TrapCause msr_cause(const TrapEvent& event);
TrapCause apic_cause(const TrapEvent& event);
TrapCause vmexit_cause(const TrapEvent& event);
TrapCause hypervisor_cause(const TrapEvent& event);
TrapCause other_cause(const TrapEvent& event);

/// Who ran when it trapped, as far as the pc and the processor's mode tell.
enum class TrapGuest : std::uint8_t {
    unknown,
    kernel,      // the pc is in the part of the address space where Linux has its kernel
    user_program // an unprivileged mode: a program under an operating system
};
TrapGuest guest_of(const TrapEvent& event);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_explanation.hpp"
#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_syndrome.hpp"

namespace hil {
namespace {

using K = TrapKind;

std::string cell_of(const TrapEvent& event) {
    return event.cell ? "cell \"" + *event.cell + "\"" : "a cell that the text does not name";
}

std::string what(const TrapEvent& event) {
    std::string text;
    switch (event.kind) {
    case K::instruction:
        text = "an instruction fetch";
        break;
    case K::data:
    case K::mmio:
        text = event.access == TrapAccess::unknown ? "an access" : "a " + std::string(to_string(event.access));
        break;
    case K::pio:
        text = "a port " + std::string(event.access == TrapAccess::unknown ? "access" : to_string(event.access));
        break;
    case K::msr:
        text = "an MSR " + std::string(event.access == TrapAccess::unknown ? "access" : to_string(event.access));
        break;
    case K::pci_config:
        text = "a PCI configuration " +
               std::string(event.access == TrapAccess::unknown ? "access" : to_string(event.access));
        break;
    case K::apic:
        text = "an APIC " + std::string(event.access == TrapAccess::unknown ? "access" : to_string(event.access));
        break;
    case K::hvc:
        text = "a hypervisor call (HVC)";
        break;
    case K::smc:
        text = "a firmware call (SMC)";
        break;
    case K::vmexit:
        text = "a VM exit";
        break;
    case K::hyp:
        return "";
    default:
        text = "a trap";
    }
    const auto abort = event.syndrome ? decode_abort(*event.syndrome) : std::nullopt;
    if (event.size && *event.size > 0 && !(abort && abort->data && !abort->valid)) {
        text += " of " + std::to_string(*event.size) + (*event.size == 1 ? " byte" : " bytes");
    }
    if (event.address) {
        text += (event.kind == K::pio    ? " at port "
                 : event.kind == K::apic ? " at offset "
                                         : " at ") +
                trap_hex(*event.address);
    }
    return text;
}

} // namespace

std::string trap_summary(const TrapEvent& event, const TrapExplanation& told) {
    std::string text = event.cpu ? "CPU " + std::to_string(*event.cpu) : "A CPU";
    text += event.kind == K::hyp && !event.cell ? "" : " of " + cell_of(event);
    text += event.outcome == TrapOutcome::parked    ? " was parked"
            : event.outcome == TrapOutcome::stopped ? " was stopped"
            : event.kind == K::hyp                  ? " failed"
            : event.kind == K::unknown              ? " trapped"
                                                    : " trapped on";
    if (event.kind == K::hyp) {
        text += ": a fault in the hypervisor.";
    } else if (event.kind == K::unknown) {
        text += event.outcome == TrapOutcome::unknown ? "." : " after a trap.";
    } else {
        text += (event.outcome == TrapOutcome::unknown ? " " : " after ") + what(event) + ".";
    }
    if (!told.device.empty()) {
        text += " That is " + told.device + ".";
    }
    if (!told.place.empty()) {
        text += " The pc is in " + told.place + ".";
    }
    if (!told.cause.empty()) {
        text += " Cause: " + told.cause + (told.cause.ends_with('.') ? "" : ".");
    }
    if (!told.fix.empty()) {
        text += " Fix: " + told.fix + ".";
    }
    for (const std::string& note : event.notes) {
        text += " Note: " + note + ".";
    }
    return text;
}

} // namespace hil

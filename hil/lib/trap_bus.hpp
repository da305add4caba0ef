// SPDX-License-Identifier: Apache-2.0
// Why an access to an x86 port or to a PCI configuration register was not allowed.
#pragma once

#include "hil/lib/trap_context.hpp"
#include "hil/lib/trap_explanation.hpp"

namespace hil {

/// Fills in cause, fix and config lines for an event of kind pio. Its device, when known, is in `out` already.
void explain_port(const TrapContext& known, TrapExplanation& out);
/// The same for an event of kind pci_config.
void explain_pci_config(const TrapContext& known, TrapExplanation& out);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// Why an access to memory, or an instruction fetch, was not allowed: which region of which config is absent, too short,
// too narrow or somebody else's.
#pragma once

#include "hil/lib/trap_advice.hpp"
#include "hil/lib/trap_context.hpp"
#include "hil/lib/trap_explanation.hpp"

namespace hil {

/// Fills in pattern, cause, fix and config lines for an event of kind data, mmio or instruction.
/// device: what lies at the address, as far as known.
void explain_access(const TrapContext& known, const AdviceDevice& device, TrapExplanation& out);

} // namespace hil

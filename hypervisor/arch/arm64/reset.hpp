// SPDX-License-Identifier: Apache-2.0
// A CPU's registers as after power-on: what one cell leaves behind is not there for the next.
#pragma once

namespace gaol {

/// EL1's system registers, timers, floating point, self-hosted debug and performance counters.
void reset_registers();

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// The communication region of a cell (abi/comm_region.h): information at start, messages while it runs.
#pragma once

#include "abi/comm_region.h"

#include <cstdint>

namespace gaol {

struct Cell;

/// Fill the page for a cell that is about to start: state running, no message.
void comm_prepare(Cell& cell);
/// What the cell says about itself; an impossible value counts as failed.
jh_cell_state comm_state(const Cell& cell);
void comm_set_state(Cell& cell, jh_cell_state state);
/// Send a message and wait for the reply, for the cell's end, or until msg_reply_timeout microseconds are over (0: for
/// ever). True when the cell answered `wanted`, cannot answer (passive), or has ended.
bool comm_ask(Cell& cell, jh_message message, jh_reply wanted);

} // namespace gaol

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
/// A message that is on its way: who was asked, and when. No cell: none is.
struct Question {
    Cell* cell = nullptr;
    uint64_t asked_at = 0; ///< microseconds
};

enum class Answer {
    pending, ///< look again
    yes,     ///< the cell answered as wanted, cannot answer (passive), or has ended
    no,      ///< another answer, or none within msg_reply_timeout microseconds (0: there is no limit)
};

/// Send a message to the cell, unless it is on its way already, and look once for the reply. Never waits.
Answer comm_ask(Question& question, Cell& cell, jh_message message, jh_reply wanted);

} // namespace gaol

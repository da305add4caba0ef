// SPDX-License-Identifier: Apache-2.0
// Recovery: elements of a report that another writer's bytes cut in pieces are read by aligning their form with the
// text.
#pragma once

#include "hil/lib/trap_assembly.hpp"

#include <string_view>
#include <vector>

namespace hil {

/// Fills what the scanner could not read in `drafts` from the text around what it could. A value is taken only where
/// the alignment leaves no choice; otherwise it stays unknown.
void recover_traps(std::string_view text, std::vector<TrapDraft>& drafts);

} // namespace hil

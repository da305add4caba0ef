// SPDX-License-Identifier: Apache-2.0
// TrapEvent as JSON: what `hil explain --json`, events.jsonl and the reports carry. docs/explain.md describes the keys.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <nlohmann/json.hpp>

namespace hil {

/// "0x1c2006c"
std::string trap_hex(std::uint64_t value);

/// The event's own members; cause, fix and device are added by explain_trap().
nlohmann::ordered_json trap_json(const TrapEvent& event);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// The communication region: what the cell learns from the hypervisor, its state and its messages.
#pragma once

#include "abi/comm_region.h"

#include <cstdint>

namespace inmate {

/// Where every cell of this project maps its communication region.
inline constexpr std::uint64_t comm_region_address = 0x80000000;

inline jh_comm_arm& comm_region() {
    return *reinterpret_cast<jh_comm_arm*>(comm_region_address);
}

/// True when signature and revision are those of abi/comm_region.h.
bool comm_region_valid();

void set_cell_state(jh_cell_state state);

/// Answers the hypervisor's messages: a shutdown request is approved, or denied with `shutdown=deny` on the command
/// line. True when a shutdown was approved: the caller cleans up and returns from inmate_main. Call it in every loop.
bool shutdown_requested();

} // namespace inmate

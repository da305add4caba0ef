// SPDX-License-Identifier: Apache-2.0
// Judges configs before anything is done with them. Every refusal names the field, what was found and what is allowed.
#pragma once

#include "abi/cell_config.h"
#include "hypervisor/core/cell_config.hpp"

#include <cstddef>
#include <cstdint>

namespace gaol {

/// Largest cell config, in bytes.
inline constexpr size_t max_config_size = 65536;

/// The descriptor and its arrays inside `available` bytes: everything that needs no knowledge of other cells.
/// `whole`: the config must end where its arrays end. 0 or a negative errno, with a line on the console.
int check_cell(const jh_cell& cell, uint64_t available);
/// The part of a system config that must be right before its hardware is touched: header, platform, console.
int check_platform(const jh_system& system, uint64_t available, PhysRange memory);
/// Its root cell, once the interrupt controller is known. `online`: the CPUs that were handed over.
int check_root(const jh_system& system, uint64_t available, const CpuSet& online);
/// What a checked cell wants against what there is: CPUs, names, ids, memory, interrupts.
int check_claims(const CellConfig& config);

} // namespace gaol

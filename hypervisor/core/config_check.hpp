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
/// 0 or a negative errno, with a line on the console.
int check_cell(const jh_cell& cell, uint64_t available);
/// The part of a system config that must be right before its hardware is touched: header, platform, console.
int check_platform(const jh_system& system, uint64_t available, PhysRange memory);
/// Is there a UART at the config's debug console that can be written? Asked before there is a console to speak on.
bool console_usable(const jh_console& console, PhysRange memory);
/// Its root cell, once the interrupt controller is known. `online`: the CPUs that were handed over.
int check_root(const jh_system& system, uint64_t available, const CpuSet& online);
/// Does [start, start + size) wrap or leave the machine's address space?
bool out_of_range(uint64_t start, uint64_t size);
/// What a checked cell wants against what there is: CPUs, names, ids, memory, interrupts.
int check_claims(const CellConfig& config);

} // namespace gaol

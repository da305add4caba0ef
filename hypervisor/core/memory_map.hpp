// SPDX-License-Identifier: Apache-2.0
// Who may reach which memory: a cell's own regions, what the root cell loses by them, and what it regains.
#pragma once

#include "abi/cell_config.h"
#include "hypervisor/core/address.hpp"
#include "hypervisor/core/mmio.hpp"

namespace gaol {

struct Cell;

/// Neither start nor size at page boundaries: such regions are not mapped but passed through access by access.
bool is_subpage(const jh_memory& region);

/// Map the cell's regions into its own space.
int map_cell(Cell& cell);
/// Take what the cell gets away from the root cell.
int take_from_root(const Cell& cell);
/// Give the root cell back what its own config says about the cell's memory.
int return_to_root(const Cell& cell);
/// Let the root write the loadable regions, or no longer.
int lend_loadable(const Cell& cell, bool lend);
/// Clean and invalidate the caches for memory that changes hands.
void flush_cell_memory(const Cell& cell);

/// Does a cell that is no root own physical memory in this range? Its name is what a refusal tells.
Cell* exclusive_owner(PhysRange range);
/// Is all of the range in page-sized regions of the root cell's config?
bool root_has(PhysRange range);

/// Access to a sub-page region of the cell, or of the root to what is left of a page that a cell has a part of.
MmioResult subpage_access(const Cell& cell, MmioAccess& access);

} // namespace gaol

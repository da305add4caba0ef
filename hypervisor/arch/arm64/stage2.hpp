// SPDX-License-Identifier: Apache-2.0
// Stage 2: the second translation, from a cell's addresses to physical ones.
#pragma once

#include "hypervisor/core/cell.hpp"

#include <cstdint>

namespace gaol {

/// VTCR_EL2 of every cell.
uint64_t stage2_control();
/// VTTBR_EL2 of a cell: its tables and its VMID.
uint64_t stage2_base(const Cell& cell);

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// Judges the PCI devices of a config and the memory behind them.
#pragma once

#include "abi/cell_config.h"

namespace gaol {

/// All devices of a cell whose memory regions have been checked. 0 or a negative errno, with a line on the console.
int check_pci(const jh_cell& cell);

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// What cells share is judged across cells: each config may be right by itself, and two of them together wrong.
#pragma once

#include "hypervisor/core/cell_config.hpp"

namespace gaol {

/// A checked cell against those that exist: it takes nothing away that another one shares, and neither can write the
/// other's state tables or a foreign output section. 0 or a negative errno, with a line on the console.
int check_sharing(const CellConfig& config);

} // namespace gaol

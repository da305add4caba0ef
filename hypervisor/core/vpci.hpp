// SPDX-License-Identifier: Apache-2.0
// The virtual PCI bus of a cell: config space over ECAM, and the BARs of its devices.
#pragma once

#include "hypervisor/core/ivshmem.hpp"
#include "hypervisor/core/text.hpp"

#include <cstdint>

namespace gaol {

/// A function number in the field's form, "00:01.0".
struct PciName {
    uint16_t bdf;
};
Text& operator<<(Text& out, PciName name);

/// Set the cell's devices up and connect them. On failure nothing is left behind.
int vpci_create(Cell& cell);
void vpci_destroy(Cell& cell);
/// All devices of the cell as after power-on.
void vpci_reset(Cell& cell);

/// ECAM and BARs of the calling cell.
MmioResult vpci_access(Cell& cell, MmioAccess& access);
/// The line for an access that vpci_access() has forbidden.
void vpci_describe(Text& out, const MmioAccess& access);

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// What is known of the machine that the configs are for: from its devices.yaml and, if given, its device tree.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hil/lib/cell_devices.hpp"
#include "hil/lib/cell_range.hpp"
#include "hil/lib/result.hpp"

namespace hil {

/// The interrupt controller as the device tree gives it.
struct BoardGic {
    unsigned version = 0; ///< 2 or 3; 0 when the tree names another controller
    std::string compatible;
    std::vector<AddressRange> registers;           ///< GICv2: GICD, GICC, GICH, GICV; GICv3: GICD, GICR
    std::optional<uint32_t> maintenance_interrupt; ///< interrupt id
};

struct Board {
    DeviceTable table;               ///< by name; of devices.yaml
    std::vector<CellDevice> devices; ///< of the device tree; those whose status is okay are used by the root
    std::vector<AddressRange> ram;   ///< memory of the device tree
    std::optional<BoardGic> gic;     ///< of the device tree
    std::optional<unsigned> cpus;    ///< of the device tree

    /// What is at an address, for a person: "uart0 (PL011 UART)"; empty if nothing is known.
    [[nodiscard]] std::string device_text(uint64_t address) const;
};

/// Reads a flattened device tree. Addresses are translated through the `ranges` of the buses above.
[[nodiscard]] Result<Board> read_board(std::span<const uint8_t> device_tree);

} // namespace hil

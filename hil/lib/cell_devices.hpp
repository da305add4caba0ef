// SPDX-License-Identifier: Apache-2.0
// A board's devices by name: what a devices.yaml lists.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hil/lib/result.hpp"

namespace hil {

/// One device of a board: a range of physical addresses and what is known of it.
struct CellDevice {
    std::string name;                 ///< one word, as used in a cell's YAML: "uart0"
    std::string description;          ///< for a person: "PL011 UART"
    uint64_t address = 0;             ///< physical
    uint64_t size = 0;                ///< bytes
    uint64_t flags = 0;               ///< memory flags of a region that maps it (jh_memory.flags)
    std::vector<uint32_t> interrupts; ///< GIC interrupt ids
    bool used_by_root = false;        ///< the root cell's Linux drives it: it must stay mapped there
    bool emulated = false;            ///< the hypervisor traps and emulates it: no cell maps it
    /// Other devices that its user touches as well (the clock controller of a UART), by name.
    std::vector<std::string> needs;
};

/// The devices of a board, in the order of its devices.yaml.
struct DeviceTable {
    std::vector<CellDevice> devices;
    /// RAM that the root cell's Linux uses, as address and size (what `mem=` leaves it); empty if unknown.
    std::vector<std::pair<uint64_t, uint64_t>> linux_ram;

    [[nodiscard]] const CellDevice* by_name(std::string_view name) const;
    /// The device whose range holds the address; the smallest one where ranges nest.
    [[nodiscard]] const CellDevice* at(uint64_t address) const;
    /// The device with exactly this range.
    [[nodiscard]] const CellDevice* exactly(uint64_t address, uint64_t size) const;
};

/// Reads the text of a devices.yaml. Errors name the line.
[[nodiscard]] Result<DeviceTable> parse_device_table(std::string_view yaml);

} // namespace hil

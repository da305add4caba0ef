// SPDX-License-Identifier: Apache-2.0
// Cell and system configuration files (.cell) of revision 14 as a model: parsed from bytes and written back without
// loss.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/cell_config.h"
#include "hil/lib/result.hpp"

namespace hil {

/// A whole configuration file. The fixed parts are the ABI's own structs, so that padding and unknown bits survive.
struct CellConfig {
    /// Set in a system config. Its member root_cell is not used: that is `cell`.
    std::optional<jh_system> system;
    /// The cell's descriptor. Its counts (cpu_set_size, num_*) follow the arrays below whenever the file is written.
    jh_cell cell{};
    std::vector<uint8_t> cpu_set; ///< bitmap, bit 0 of byte 0 is CPU 0
    std::vector<jh_memory> memory;
    std::vector<jh_cache> caches;
    std::vector<jh_irqchip> irqchips;
    std::vector<jh_pio> pio;
    std::vector<jh_pci_device> pci_devices;
    std::vector<jh_pci_capability> pci_capabilities;
    std::vector<uint32_t> stream_ids;

    [[nodiscard]] bool is_system() const { return system.has_value(); }
    [[nodiscard]] jh_architecture architecture() const {
        return static_cast<jh_architecture>(system ? system->architecture : cell.architecture);
    }
    /// The name up to its NUL.
    [[nodiscard]] std::string name() const;
    /// The CPUs in the set, ascending.
    [[nodiscard]] std::vector<uint32_t> cpus() const;
};

/// Reads a file's bytes. Refused, with the field and its offset named: a wrong signature, another revision (by number),
/// an unknown architecture, a file shorter or longer than its arrays.
[[nodiscard]] Result<CellConfig> parse_cell_config(std::span<const uint8_t> bytes);

/// The file's bytes: for every file that parses, serialise(parse(file)) is the file.
[[nodiscard]] std::vector<uint8_t> serialise_cell_config(const CellConfig& config);

/// A new, empty config of the given architecture: signature and revision set, cpu set of eight bytes.
[[nodiscard]] CellConfig empty_cell_config(bool is_system, jh_architecture architecture);

/// "x86", "arm", "arm64"; empty for another number.
[[nodiscard]] std::string_view architecture_name(uint32_t architecture);

} // namespace hil

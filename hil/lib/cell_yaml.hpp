// SPDX-License-Identifier: Apache-2.0
// Configuration files as YAML that a person can edit (docs/cell-configs.md), in both directions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hil/lib/cell_config.hpp"
#include "hil/lib/cell_devices.hpp"
#include "hil/lib/result.hpp"

namespace hil {

/// What a configuration file's bytes have no room for: the names its YAML gives to things, by index.
struct CellConfigNames {
    std::vector<std::string> memory;      ///< of each memory region
    std::vector<std::string> pci_devices; ///< of each PCI device; an ivshmem device's link
};

struct NamedCellConfig {
    CellConfig config;
    CellConfigNames names;
};

/// Reads YAML. `devices` resolves `device: NAME`. Errors name the line and the key.
[[nodiscard]] Result<NamedCellConfig> cell_config_from_yaml(std::string_view yaml, const DeviceTable& devices);

/// The value of the key "devices": a path beside the YAML file; empty if there is none or the text is no YAML.
[[nodiscard]] std::string devices_file_of(std::string_view yaml);

/// Writes YAML whose compilation (with the same devices) is the same file.
[[nodiscard]] std::string cell_config_to_yaml(const CellConfig& config, const DeviceTable& devices);

/// Names from what is known: ivshmem sections, comm region, device table, loadable RAM.
[[nodiscard]] CellConfigNames derive_names(const CellConfig& config, const DeviceTable& devices);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// A configuration file on disk, as YAML or as bytes.
#pragma once

#include <filesystem>
#include <optional>

#include "hil/lib/cell_yaml.hpp"

namespace hil {

/// A configuration with where it came from.
struct CellFile {
    std::filesystem::path path;
    NamedCellConfig named;
    DeviceTable devices; ///< of the YAML's key "devices"; empty for a binary file
};

/// Whole file as bytes.
[[nodiscard]] Result<std::vector<uint8_t>> read_file_bytes(const std::filesystem::path& path);
/// Writes beside the target and renames: a reader never sees half a file.
[[nodiscard]] Status write_file_bytes(const std::filesystem::path& path, std::span<const uint8_t> bytes);

[[nodiscard]] Result<DeviceTable> read_device_table(const std::filesystem::path& path);

/// Reads YAML (named .yaml or .yml) or a binary .cell. Errors begin with the path.
[[nodiscard]] Result<CellFile> read_cell_file(const std::filesystem::path& path);

} // namespace hil

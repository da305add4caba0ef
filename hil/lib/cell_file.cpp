// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_file.hpp"

#include <fstream>
#include <iterator>
#include <system_error>

namespace hil {
namespace {

Error at_path(const std::filesystem::path& path, const std::string& message) {
    return {path.string() + ": " + message};
}

Result<std::string> read_text(const std::filesystem::path& path) {
    const Result<std::vector<uint8_t>> bytes = read_file_bytes(path);
    if (!bytes) {
        return bytes.error();
    }
    return std::string(bytes->begin(), bytes->end());
}

Result<CellFile> read_yaml(const std::filesystem::path& path) {
    const Result<std::string> text = read_text(path);
    if (!text) {
        return text.error();
    }
    CellFile file{.path = path, .named = {}, .devices = {}};
    if (const std::string devices = devices_file_of(*text); !devices.empty()) {
        Result<DeviceTable> table = read_device_table(path.parent_path() / devices);
        if (!table) {
            return table.error();
        }
        file.devices = std::move(*table);
    }
    Result<NamedCellConfig> named = cell_config_from_yaml(*text, file.devices);
    if (!named) {
        return at_path(path, named.error().message);
    }
    file.named = std::move(*named);
    return file;
}

} // namespace

Result<std::vector<uint8_t>> read_file_bytes(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream || std::filesystem::is_directory(path)) {
        return at_path(path, "cannot be read: no such file, or no permission");
    }
    return std::vector<uint8_t>{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Status write_file_bytes(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
    const std::filesystem::path partial = path.string() + ".part";
    std::ofstream stream(partial, std::ios::binary | std::ios::trunc);
    stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    stream.close();
    std::error_code code;
    if (stream) {
        std::filesystem::rename(partial, path, code);
    }
    if (!stream || code) {
        return at_path(path, "cannot be written: does its directory exist?");
    }
    return Nothing{};
}

Result<DeviceTable> read_device_table(const std::filesystem::path& path) {
    const Result<std::string> text = read_text(path);
    if (!text) {
        return text.error();
    }
    Result<DeviceTable> table = parse_device_table(*text);
    return table ? std::move(table) : at_path(path, table.error().message);
}

Result<CellFile> read_cell_file(const std::filesystem::path& path) {
    if (path.extension() == ".yaml" || path.extension() == ".yml") {
        return read_yaml(path);
    }
    const Result<std::vector<uint8_t>> bytes = read_file_bytes(path);
    if (!bytes) {
        return bytes.error();
    }
    Result<CellConfig> config = parse_cell_config(*bytes);
    if (!config) {
        return at_path(path, config.error().message);
    }
    CellConfigNames names = derive_names(*config, {});
    return CellFile{.path = path, .named = {std::move(*config), std::move(names)}, .devices = {}};
}

} // namespace hil

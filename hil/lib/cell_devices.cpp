// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/cell_devices.hpp"

#include "abi/cell_config.h"
#include "hil/lib/cell_yaml_map.hpp"

namespace hil {
namespace {

constexpr uint64_t interrupt_limit = 1020; // GIC: 1020 and above are special

bool read_yes(YamlMap& map, const std::string& key) {
    const std::string text = map.text(key).value_or("no");
    if (text != "yes" && text != "no") {
        map.error(key, "must be yes or no");
    }
    return text == "yes";
}

CellDevice read_device(const YAML::Node& node, const std::string& where, YamlErrors& errors) {
    CellDevice device;
    device.flags = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | JH_MEM_IO_32;
    YamlMap map(node, where, errors);
    map.require("name");
    map.require("address");
    map.require("size");
    device.name = map.text("name").value_or("");
    device.description = map.text("description").value_or("");
    device.address = map.number("address", device.address);
    device.size = map.number("size", device.size);
    device.flags = map.flags("flags", memory_flag_words(), device.flags);
    for (const auto& [first, last] : map.ranges("interrupts", interrupt_limit)) {
        for (uint64_t interrupt = first; interrupt <= last; ++interrupt) {
            device.interrupts.push_back(static_cast<uint32_t>(interrupt));
        }
    }
    device.used_by_root = read_yes(map, "used-by-root");
    device.emulated = read_yes(map, "emulated");
    for_each_in_list(map.child("needs"), where + ": needs", errors, [&](const YAML::Node& name, const std::string& at) {
        if (name.IsScalar()) {
            device.needs.push_back(name.Scalar());
        } else {
            errors.add(name, at + ": expected a device's name");
        }
    });
    map.finish();
    return device;
}

} // namespace

const CellDevice* DeviceTable::by_name(std::string_view name) const {
    for (const CellDevice& device : devices) {
        if (device.name == name) {
            return &device;
        }
    }
    return nullptr;
}

const CellDevice* DeviceTable::at(uint64_t address) const {
    const CellDevice* best = nullptr;
    for (const CellDevice& device : devices) {
        const bool inside = address >= device.address && address - device.address < device.size;
        if (inside && (best == nullptr || device.size < best->size)) {
            best = &device;
        }
    }
    return best;
}

const CellDevice* DeviceTable::exactly(uint64_t address, uint64_t size) const {
    for (const CellDevice& device : devices) {
        if (device.address == address && device.size == size) {
            return &device;
        }
    }
    return nullptr;
}

Result<DeviceTable> parse_device_table(std::string_view yaml) {
    DeviceTable table;
    YamlErrors errors;
    try {
        const YAML::Node document = YAML::Load(std::string(yaml));
        YamlMap map(document, "devices file", errors);
        for_each_in_list(map.child("devices"), "devices", errors, [&](const YAML::Node& node, const std::string& at) {
            table.devices.push_back(read_device(node, at, errors));
        });
        for_each_in_list(map.child("linux-ram"), "linux-ram", errors,
                         [&](const YAML::Node& node, const std::string& at) {
                             YamlMap ram(node, at, errors);
                             ram.require("address");
                             ram.require("size");
                             const uint64_t address = ram.number("address", uint64_t{0});
                             table.linux_ram.emplace_back(address, ram.number("size", uint64_t{0}));
                             ram.finish();
                         });
        map.finish();
        for (const CellDevice& device : table.devices) {
            if (table.by_name(device.name) != &device) {
                errors.add_line(-1, "devices: name \"" + device.name + "\" is there twice");
            }
        }
    } catch (const YAML::Exception& exception) {
        return Error{"line " + std::to_string(exception.mark.line + 1) + ": " + exception.msg};
    }
    if (errors.any()) {
        return errors.first();
    }
    return table;
}

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "hil/lib/cell_yaml.hpp"
#include "hil/lib/cell_yaml_map.hpp"

namespace hil {
namespace {

constexpr uint32_t largest_cpu_set = 16u << 20; // bytes; keeps a typing error from filling the host's memory
constexpr uint32_t ivshmem_registers_bar = 0xfffff000;
constexpr uint32_t ivshmem_msix_bar = 0xfffffe00;

template <typename T> std::span<uint8_t> raw_bytes(T& object) {
    return {reinterpret_cast<uint8_t*>(&object), sizeof(T)};
}

/// One pass over a document.
class CellYamlReader {
  public:
    explicit CellYamlReader(const DeviceTable& devices) : devices_(devices) {}

    Result<NamedCellConfig> read(const YAML::Node& document) {
        YamlMap map(document, "config", errors_);
        map.require("kind");
        map.require("architecture");
        map.require("name");
        const uint8_t architecture = map.word("architecture", architecture_words(), uint8_t{JH_ARCH_ARM64});
        if (architecture_name(architecture).empty()) {
            map.error("architecture", "known are x86, arm and arm64");
        }
        const std::string kind = map.text("kind").value_or("");
        if (kind != "cell" && kind != "system") {
            map.error("kind", "must be cell or system");
        }
        // For people and for the tools that resolve names; nothing of them is in the file.
        (void)map.text("comment");
        (void)map.text("devices");
        config_ = empty_cell_config(kind == "system", static_cast<jh_architecture>(architecture));
        if (config_.system) {
            read_system(map);
        }
        read_cell(map);
        map.finish();
        if (errors_.any()) {
            return errors_.first();
        }
        return NamedCellConfig{std::move(config_), std::move(names_)};
    }

  private:
    /// Calls function(entry, "key[index]") for each entry of the list under the key.
    template <typename Function> void each(YamlMap& map, const std::string& key, Function function) {
        for_each_in_list(map.child(key), key, errors_, function);
    }

    void read_system(YamlMap& map) {
        jh_system& system = *config_.system;
        map.require("hypervisor-memory");
        system.flags = map.flags("system-flags", system_flag_words(), system.flags);
        map.hex_bytes("root-header", raw_bytes(config_.cell).first(8));
        if (const YAML::Node node = map.child("hypervisor-memory"); node.IsDefined()) {
            YamlMap memory(node, "hypervisor-memory", errors_);
            system.hypervisor_memory = read_memory(memory);
            memory.finish();
        }
        if (const YAML::Node node = map.child("debug-console"); node.IsDefined()) {
            system.debug_console = read_console(node, "debug-console");
        }
        if (const YAML::Node node = map.child("platform"); node.IsDefined()) {
            read_platform(node, system.platform);
        }
    }

    void read_platform(const YAML::Node& node, jh_platform& platform) {
        YamlMap map(node, "platform", errors_);
        platform.pci_mmconfig_base = map.number("pci-mmconfig-base", platform.pci_mmconfig_base);
        platform.pci_mmconfig_end_bus = map.number("pci-mmconfig-end-bus", platform.pci_mmconfig_end_bus);
        platform.pci_is_virtual = map.number("pci-is-virtual", platform.pci_is_virtual);
        platform.pci_domain = map.number("pci-domain", platform.pci_domain);
        size_t unit = 0;
        each(map, "iommu", [&](const YAML::Node& entry, const std::string& at) {
            if (unit == JH_MAX_IOMMU_UNITS) {
                errors_.add(entry, at + ": a system has at most eight IOMMU units");
            } else if (unit < JH_MAX_IOMMU_UNITS && !entry.IsNull()) {
                platform.iommu_units[unit] = read_iommu(entry, at);
            }
            ++unit;
        });
        if (const YAML::Node part = map.child("arm"); part.IsDefined()) {
            YamlMap arm(part, "platform: arm", errors_);
            platform.arm.maintenance_irq = arm.number("maintenance-irq", platform.arm.maintenance_irq);
            platform.arm.gic_version = arm.number("gic-version", platform.arm.gic_version);
            arm.hex_bytes("padding", platform.arm.padding);
            platform.arm.gicd_base = arm.number("gicd-base", platform.arm.gicd_base);
            platform.arm.gicc_base = arm.number("gicc-base", platform.arm.gicc_base);
            platform.arm.gich_base = arm.number("gich-base", platform.arm.gich_base);
            platform.arm.gicv_base = arm.number("gicv-base", platform.arm.gicv_base);
            platform.arm.gicr_base = arm.number("gicr-base", platform.arm.gicr_base);
            arm.finish();
        }
        if (const YAML::Node part = map.child("x86"); part.IsDefined()) {
            YamlMap x86(part, "platform: x86", errors_);
            platform.x86.pm_timer_address = x86.number("pm-timer-address", platform.x86.pm_timer_address);
            platform.x86.apic_mode = x86.number("apic-mode", platform.x86.apic_mode);
            platform.x86.padding = x86.number("padding", platform.x86.padding);
            platform.x86.vtd_interrupt_limit = x86.number("vtd-interrupt-limit", platform.x86.vtd_interrupt_limit);
            platform.x86.tsc_khz = x86.number("tsc-khz", platform.x86.tsc_khz);
            platform.x86.apic_khz = x86.number("apic-khz", platform.x86.apic_khz);
            x86.hex_bytes("rest", raw_bytes(platform.arm).subspan(sizeof(platform.x86)));
            x86.finish();
        }
        map.finish();
    }

    jh_iommu read_iommu(const YAML::Node& node, const std::string& where) {
        jh_iommu unit{};
        YamlMap map(node, where, errors_);
        unit.type = map.word("type", iommu_type_words(), unit.type);
        unit.base = map.number("base", unit.base);
        unit.size = map.number("size", unit.size);
        if (const YAML::Node part = map.child("amd"); part.IsDefined()) {
            YamlMap amd(part, where + ": amd", errors_);
            unit.amd.bdf = amd.bdf("bdf", unit.amd.bdf);
            unit.amd.base_cap = amd.number("base-cap", unit.amd.base_cap);
            unit.amd.msi_cap = amd.number("msi-cap", unit.amd.msi_cap);
            unit.amd.features = amd.number("features", unit.amd.features);
            amd.finish();
        }
        if (const YAML::Node part = map.child("pvu"); part.IsDefined()) {
            YamlMap pvu(part, where + ": pvu", errors_);
            unit.tipvu.tlb_base = pvu.number("tlb-base", unit.tipvu.tlb_base);
            unit.tipvu.tlb_size = pvu.number("tlb-size", unit.tipvu.tlb_size);
            pvu.finish();
        }
        map.hex_bytes("raw", raw_bytes(unit.tipvu));
        map.finish();
        return unit;
    }

    jh_console read_console(const YAML::Node& node, const std::string& where) {
        jh_console console{};
        YamlMap map(node, where, errors_);
        if (const CellDevice* device = named_device(map)) {
            console.address = device->address;
            console.size = static_cast<uint32_t>(device->size);
        }
        console.address = map.number("address", console.address);
        console.size = map.number("size", console.size);
        console.type = map.word("type", console_type_words(), console.type);
        console.flags = map.flags("flags", console_flag_words(), console.flags);
        console.divider = map.number("divider", console.divider);
        console.gate_nr = map.number("gate", console.gate_nr);
        console.clock_reg = map.number("clock-register", console.clock_reg);
        map.finish();
        return console;
    }

    const CellDevice* named_device(YamlMap& map) {
        const auto name = map.text("device");
        if (!name) {
            return nullptr;
        }
        const CellDevice* device = devices_.by_name(*name);
        if (device == nullptr) {
            std::vector<std::string_view> known;
            for (const CellDevice& entry : devices_.devices) {
                known.push_back(entry.name);
            }
            map.error("device", "\"" + *name + "\" is not in the device table" +
                                    (known.empty() ? " (none was given: key \"devices\")" : suggestion(*name, known)));
        }
        return device;
    }

    /// The keys of a region, without its name; the caller finishes the map.
    jh_memory read_memory(YamlMap& map) {
        jh_memory memory{};
        if (const CellDevice* device = named_device(map)) {
            memory = {device->address, device->address, device->size, device->flags};
        } else {
            map.require("physical");
            map.require("size");
        }
        memory.phys_start = map.number("physical", memory.phys_start);
        memory.virt_start = memory.phys_start;
        memory.virt_start = map.number("virtual", memory.virt_start);
        memory.size = map.number("size", memory.size);
        memory.flags = map.flags("flags", memory_flag_words(), memory.flags);
        (void)map.text("comment");
        return memory;
    }

    void read_cell(YamlMap& map) {
        jh_cell& cell = config_.cell;
        read_name(map);
        cell.id = map.number("id", cell.id);
        cell.flags = map.flags("flags", cell_flag_words(), cell.flags);
        read_cpus(map);
        cell.vpci_irq_base = map.number("vpci-irq-base", cell.vpci_irq_base);
        cell.cpu_reset_address = map.number("reset-address", cell.cpu_reset_address);
        cell.msg_reply_timeout = map.number("message-timeout", cell.msg_reply_timeout);
        if (const YAML::Node node = map.child("console"); node.IsDefined()) {
            cell.console = read_console(node, "console");
        }
        each(map, "memory", [&](const YAML::Node& node, const std::string& at) {
            YamlMap region(node, at, errors_);
            names_.memory.push_back(region.text("name").value_or(region.text("device").value_or("")));
            config_.memory.push_back(read_memory(region));
            region.finish();
        });
        each(map, "caches",
             [&](const YAML::Node& node, const std::string& at) { config_.caches.push_back(read_cache(node, at)); });
        each(map, "irqchips", [&](const YAML::Node& node, const std::string& at) {
            config_.irqchips.push_back(read_irqchip(node, at));
        });
        each(map, "pio", [&](const YAML::Node& node, const std::string& at) {
            YamlMap pio(node, at, errors_);
            jh_pio& range = config_.pio.emplace_back();
            range.base = pio.number("base", range.base);
            range.length = pio.number("length", range.length);
            (void)pio.text("comment");
            pio.finish();
        });
        each(map, "pci", [&](const YAML::Node& node, const std::string& at) { read_pci_device(node, at); });
        each(map, "pci-capabilities", [&](const YAML::Node& node, const std::string& at) {
            config_.pci_capabilities.push_back(read_capability(node, at));
        });
        read_stream_ids(map);
    }

    void read_name(YamlMap& map) {
        jh_cell& cell = config_.cell;
        const std::string name = map.text("name").value_or("");
        if (name.size() >= JH_CELL_NAME_SIZE) {
            map.error("name", "\"" + name + "\" is longer than 31 characters");
            return;
        }
        std::copy(name.begin(), name.end(), std::begin(cell.name));
        map.hex_bytes("name-bytes", raw_bytes(cell.name));
    }

    void read_cpus(YamlMap& map) {
        const uint32_t size = map.number("cpu-set-size", 8u);
        if (size > largest_cpu_set) {
            map.error("cpu-set-size", "at most " + std::to_string(largest_cpu_set) + " bytes are supported");
            return;
        }
        config_.cpu_set.assign(size, 0);
        for (const auto& [first, last] : map.ranges("cpus", uint64_t{size} * 8)) {
            for (uint64_t cpu = first; cpu <= last; ++cpu) {
                config_.cpu_set[cpu / 8] = static_cast<uint8_t>(config_.cpu_set[cpu / 8] | 1u << cpu % 8);
            }
        }
    }

    jh_cache read_cache(const YAML::Node& node, const std::string& where) {
        jh_cache cache{};
        YamlMap map(node, where, errors_);
        cache.start = map.number("start", cache.start);
        cache.size = map.number("size", cache.size);
        cache.type = map.number("type", cache.type);
        cache.padding = map.number("padding", cache.padding);
        cache.flags = map.number("flags", cache.flags);
        map.finish();
        return cache;
    }

    jh_irqchip read_irqchip(const YAML::Node& node, const std::string& where) {
        jh_irqchip chip{};
        YamlMap map(node, where, errors_);
        if (const CellDevice* device = named_device(map)) {
            chip.address = device->address;
        }
        chip.address = map.number("address", chip.address);
        chip.id = map.number("id", chip.id);
        chip.pin_base = map.number("pin-base", chip.pin_base);
        constexpr uint64_t pins = sizeof(chip.pin_bitmap) * 8;
        for (const auto& [first, last] : map.ranges("interrupts", uint64_t{chip.pin_base} + pins)) {
            if (first < chip.pin_base) {
                map.error("interrupts", std::to_string(first) + " is below pin-base " + std::to_string(chip.pin_base));
                break;
            }
            for (uint64_t pin = first - chip.pin_base; pin <= last - chip.pin_base; ++pin) {
                chip.pin_bitmap[pin / 32] |= 1u << pin % 32;
            }
        }
        (void)map.text("comment");
        map.finish();
        return chip;
    }

    jh_pci_capability read_capability(const YAML::Node& node, const std::string& where) {
        jh_pci_capability capability{};
        YamlMap map(node, where, errors_);
        capability.id = map.number("id", capability.id);
        capability.start = map.number("start", capability.start);
        capability.len = map.number("length", capability.len);
        capability.flags = map.flags("flags", capability_flag_words(), capability.flags);
        (void)map.text("comment");
        map.finish();
        return capability;
    }

    void read_pci_device(const YAML::Node& node, const std::string& where) {
        jh_pci_device device{};
        YamlMap map(node, where, errors_);
        map.require("type");
        const auto link = map.text("link");
        names_.pci_devices.push_back(map.text("name").value_or(link.value_or("")));
        (void)map.text("comment");
        device.type = map.word("type", pci_type_words(), device.type);
        device.iommu = map.number("iommu", device.iommu);
        device.domain = map.number("domain", device.domain);
        device.bdf = map.bdf("bdf", device.bdf);
        read_bars(map, device);
        device.caps_start = map.number("first-capability", device.caps_start);
        device.num_caps = map.number("capabilities", device.num_caps);
        device.num_msi_vectors = map.number("msi-vectors", device.num_msi_vectors);
        device.msi_flags = map.flags("msi-flags", msi_flag_words(), device.msi_flags);
        device.num_msix_vectors = map.number("msix-vectors", device.num_msix_vectors);
        device.msix_region_size = map.number("msix-region-size", device.msix_region_size);
        device.msix_address = map.number("msix-address", device.msix_address);
        read_first_region(map, device);
        device.shmem_dev_id = map.number("peer-id", device.shmem_dev_id);
        device.shmem_peers = map.number("peers", device.shmem_peers);
        device.shmem_protocol = map.word("protocol", shmem_protocol_words(), device.shmem_protocol);
        map.finish();
        config_.pci_devices.push_back(device);
    }

    void read_bars(YamlMap& map, jh_pci_device& device) {
        if (device.type == JH_PCI_IVSHMEM) {
            device.bar_mask[0] = ivshmem_registers_bar;
        }
        const YAML::Node node = map.child("bars");
        if (node.IsDefined() && node.IsScalar()) {
            if (node.Scalar() == "msix") {
                device.bar_mask[0] = ivshmem_registers_bar;
                device.bar_mask[1] = ivshmem_msix_bar;
            } else {
                map.error("bars", "must be a list of six masks, or msix for an ivshmem device with an MSI-X table");
            }
            return;
        }
        size_t index = 0;
        for_each_in_list(node, map.where() + ": bars", errors_, [&](const YAML::Node& entry, const std::string&) {
            const Result<uint64_t> mask = number_from_text(entry.IsScalar() ? entry.Scalar() : "");
            if (index >= JH_PCI_BARS || !mask || *mask > UINT32_MAX) {
                map.error("bars", "expected at most six numbers of 32 bits");
                return;
            }
            device.bar_mask[index++] = static_cast<uint32_t>(*mask);
        });
        if (node.IsDefined() && index != JH_PCI_BARS) {
            map.error("bars", "expected six masks");
        }
    }

    /// By name, which survives an edit of the list above it, or by index.
    void read_first_region(YamlMap& map, jh_pci_device& device) {
        const auto text = map.text("first-region");
        if (!text) {
            return;
        }
        const auto named = std::count(names_.memory.begin(), names_.memory.end(), *text);
        if (named == 1) {
            const auto found = std::find(names_.memory.begin(), names_.memory.end(), *text);
            device.shmem_regions_start = static_cast<uint32_t>(found - names_.memory.begin());
            return;
        }
        if (named > 1) {
            map.error("first-region", "\"" + *text + "\" names " + std::to_string(named) + " regions");
            return;
        }
        const Result<uint64_t> index = number_from_text(*text);
        if (!index || *index > UINT32_MAX) {
            map.error("first-region", "\"" + *text + "\" is neither the name of a region nor an index");
            return;
        }
        device.shmem_regions_start = static_cast<uint32_t>(*index);
    }

    void read_stream_ids(YamlMap& map) {
        each(map, "stream-ids", [&](const YAML::Node& node, const std::string& at) {
            const Result<uint64_t> id = number_from_text(node.IsScalar() ? node.Scalar() : "");
            if (!id || *id > UINT32_MAX) {
                errors_.add(node, at + ": expected a number of 32 bits");
                return;
            }
            config_.stream_ids.push_back(static_cast<uint32_t>(*id));
        });
    }

    const DeviceTable& devices_;
    YamlErrors errors_;
    CellConfig config_;
    CellConfigNames names_;
};

} // namespace

Result<NamedCellConfig> cell_config_from_yaml(std::string_view yaml, const DeviceTable& devices) {
    try {
        return CellYamlReader(devices).read(YAML::Load(std::string(yaml)));
    } catch (const YAML::Exception& exception) {
        return Error{"line " + std::to_string(exception.mark.line + 1) + ": " + exception.msg};
    }
}

std::string devices_file_of(std::string_view yaml) {
    try {
        const YAML::Node document = YAML::Load(std::string(yaml));
        if (document.IsMap()) {
            const YAML::Node devices = document["devices"];
            return devices && devices.IsScalar() ? devices.Scalar() : "";
        }
    } catch (const YAML::Exception&) {
        // Reading the config itself says what is wrong.
    }
    return "";
}

} // namespace hil

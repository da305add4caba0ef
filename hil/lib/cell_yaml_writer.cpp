// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <set>

#include "hil/lib/cell_names.hpp"
#include "hil/lib/cell_yaml.hpp"

namespace hil {
namespace {

constexpr uint32_t ivshmem_registers_bar = 0xfffff000;
constexpr uint32_t ivshmem_msix_bar = 0xfffffe00;
constexpr unsigned address_digits = 8;

template <typename T> std::span<const uint8_t> raw_bytes(const T& object) {
    return {reinterpret_cast<const uint8_t*>(&object), sizeof(T)};
}

bool all_zero(std::span<const uint8_t> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

std::string address_text(uint64_t address) {
    return hex_text(address, address_digits);
}

/// A double-quoted scalar; only for printable ASCII.
std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') {
            result += '\\';
        }
        result += character;
    }
    return result + "\"";
}

bool plain_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char character) { return character >= 0x20 && character < 0x7f; });
}

/// YAML reads these as nothing.
bool means_null(std::string_view text) {
    return text == "null" || text == "Null" || text == "NULL";
}

/// Words that need no quotes in YAML stay bare.
std::string scalar(std::string_view text) {
    const bool bare = !text.empty() && !means_null(text) &&
                      std::isalpha(static_cast<unsigned char>(text.front())) != 0 &&
                      std::all_of(text.begin(), text.end(), [](char character) {
                          return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '-' ||
                                 character == '_' || character == '.';
                      });
    return bare ? std::string(text) : quoted(text);
}

/// Ascending numbers as a YAML list; three and more in a row as a range.
std::string list_text(const std::vector<uint64_t>& numbers) {
    std::string text;
    for (size_t index = 0; index < numbers.size();) {
        size_t end = index + 1;
        while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) {
            ++end;
        }
        text += text.empty() ? "" : ", ";
        if (end - index >= 3) {
            text += std::to_string(numbers[index]) + "-" + std::to_string(numbers[end - 1]);
            index = end;
        } else {
            text += std::to_string(numbers[index++]);
        }
    }
    return "[" + text + "]";
}

/// Collects "key: value" pairs of one mapping, block or flow style.
class Pairs {
  public:
    void add(std::string_view key, std::string value) { pairs_.emplace_back(key, std::move(value)); }
    void add_unless(bool absent, std::string_view key, std::string value) {
        if (!absent) {
            add(key, std::move(value));
        }
    }
    void add_number(std::string_view key, uint64_t value) { add_unless(value == 0, key, std::to_string(value)); }
    void add_hex(std::string_view key, uint64_t value) { add_unless(value == 0, key, hex_text(value)); }
    void add_address(std::string_view key, uint64_t value) { add_unless(value == 0, key, address_text(value)); }

    [[nodiscard]] std::string flow() const {
        std::string text;
        for (const auto& [key, value] : pairs_) {
            text += text.empty() ? "" : ", ";
            text.append(key).append(": ").append(value);
        }
        return "{" + text + "}";
    }
    /// Every pair on a line of its own; the first line after `first`, the others after `rest`.
    [[nodiscard]] std::string block(const std::string& first, const std::string& rest) const {
        std::string text;
        for (const auto& [key, value] : pairs_) {
            text += text.empty() ? first : rest;
            text.append(key).append(value.starts_with('\n') ? ":" : ": ").append(value).append("\n");
        }
        return text.empty() ? first + "{}\n" : text;
    }
    [[nodiscard]] bool empty() const { return pairs_.empty(); }

  private:
    std::vector<std::pair<std::string, std::string>> pairs_;
};

class CellYamlWriter {
  public:
    CellYamlWriter(const CellConfig& config, const DeviceTable& devices)
        : config_(config), devices_(devices), names_(derive_names(config, devices)) {}

    std::string write() {
        const jh_cell& cell = config_.cell;
        line("kind", config_.is_system() ? "system" : "cell");
        line("architecture", std::string(architecture_name(config_.architecture())));
        write_name();
        if (config_.system) {
            write_system(*config_.system);
        }
        line_unless(cell.id == 0, "id", hex_text(cell.id));
        line_unless(cell.flags == 0, "flags", flags_to_text(cell.flags, cell_flag_words()));
        write_cpus();
        line_unless(cell.vpci_irq_base == 0, "vpci-irq-base", std::to_string(cell.vpci_irq_base),
                    "SPI number: GIC interrupt id minus 32");
        line_unless(cell.cpu_reset_address == 0, "reset-address", hex_text(cell.cpu_reset_address));
        line_unless(cell.msg_reply_timeout == 0, "message-timeout", std::to_string(cell.msg_reply_timeout));
        line_unless(all_zero(raw_bytes(cell.console)), "console", console(cell.console));
        write_memory();
        write_caches();
        write_irqchips();
        write_pio();
        write_pci();
        write_stream_ids();
        return std::move(text_);
    }

  private:
    void line(std::string_view key, const std::string& value, std::string_view comment = "") {
        text_ += std::string(key) + (value.starts_with('\n') ? ":" : ": ") + value +
                 (comment.empty() ? "" : "  # " + std::string(comment)) + "\n";
    }
    void line_unless(bool absent, std::string_view key, const std::string& value, std::string_view comment = "") {
        if (!absent) {
            line(key, value, comment);
        }
    }

    void write_name() {
        const std::string name = config_.name();
        jh_cell canonical{};
        std::copy_n(name.begin(), name.size(), std::begin(canonical.name));
        const bool exact = name.size() < JH_CELL_NAME_SIZE && plain_ascii(name) &&
                           std::memcmp(canonical.name, config_.cell.name, sizeof(canonical.name)) == 0;
        const bool readable = plain_ascii(name) && name.size() < JH_CELL_NAME_SIZE;
        line("name", readable ? scalar(name) : "unreadable");
        line_unless(exact, "name-bytes", bytes_to_hex(raw_bytes(config_.cell.name)));
    }

    void write_system(const jh_system& system) {
        const auto header = raw_bytes(config_.cell).first(8);
        line_unless(all_zero(header), "root-header", bytes_to_hex(header));
        line_unless(system.flags == 0, "system-flags", flags_to_text(system.flags, system_flag_words()));
        Pairs memory;
        add_memory(memory, system.hypervisor_memory);
        line("hypervisor-memory", memory.flow());
        line_unless(all_zero(raw_bytes(system.debug_console)), "debug-console", console(system.debug_console));
        write_platform(system.platform);
    }

    void write_platform(const jh_platform& platform) {
        Pairs pairs;
        pairs.add_address("pci-mmconfig-base", platform.pci_mmconfig_base);
        pairs.add_number("pci-mmconfig-end-bus", platform.pci_mmconfig_end_bus);
        pairs.add_number("pci-is-virtual", platform.pci_is_virtual);
        pairs.add_number("pci-domain", platform.pci_domain);
        add_iommu_units(pairs, platform);
        if (!all_zero(raw_bytes(platform.arm))) {
            const bool x86 = config_.architecture() == JH_ARCH_X86;
            pairs.add(x86 ? "x86" : "arm", x86 ? x86_platform(platform) : arm_platform(platform));
        }
        line_unless(pairs.empty(), "platform", "\n" + pairs.block("  ", "  "));
        if (!pairs.empty()) {
            text_.pop_back();
        }
    }

    static void add_iommu_units(Pairs& pairs, const jh_platform& platform) {
        size_t count = JH_MAX_IOMMU_UNITS;
        while (count > 0 && all_zero(raw_bytes(platform.iommu_units[count - 1]))) {
            --count;
        }
        std::string list;
        for (size_t index = 0; index < count; ++index) {
            list += "\n    - " + iommu(platform.iommu_units[index]);
        }
        pairs.add_unless(count == 0, "iommu", list);
    }

    static std::string iommu(const jh_iommu& unit) {
        Pairs pairs;
        pairs.add("type", word_or_number(unit.type, iommu_type_words()));
        pairs.add_address("base", unit.base);
        pairs.add_unless(unit.size == 0, "size", size_text(unit.size));
        const bool amd = unit.type == JH_IOMMU_AMD && all_zero(raw_bytes(unit.tipvu).subspan(sizeof(unit.amd)));
        if (all_zero(raw_bytes(unit.tipvu))) {
            return pairs.flow();
        }
        Pairs part;
        if (amd) {
            part.add("bdf", quoted(bdf_text(unit.amd.bdf)));
            part.add_hex("base-cap", unit.amd.base_cap);
            part.add_hex("msi-cap", unit.amd.msi_cap);
            part.add_hex("features", unit.amd.features);
            pairs.add("amd", part.flow());
        } else if (unit.type == JH_IOMMU_PVU) {
            part.add_address("tlb-base", unit.tipvu.tlb_base);
            part.add_unless(unit.tipvu.tlb_size == 0, "tlb-size", size_text(unit.tipvu.tlb_size));
            pairs.add("pvu", part.flow());
        } else {
            pairs.add("raw", quoted(bytes_to_hex(raw_bytes(unit.tipvu))));
        }
        return pairs.flow();
    }

    static std::string arm_platform(const jh_platform& platform) {
        Pairs pairs;
        pairs.add_number("maintenance-irq", platform.arm.maintenance_irq);
        pairs.add_number("gic-version", platform.arm.gic_version);
        pairs.add_unless(all_zero(platform.arm.padding), "padding", quoted(bytes_to_hex(platform.arm.padding)));
        pairs.add_address("gicd-base", platform.arm.gicd_base);
        pairs.add_address("gicc-base", platform.arm.gicc_base);
        pairs.add_address("gich-base", platform.arm.gich_base);
        pairs.add_address("gicv-base", platform.arm.gicv_base);
        pairs.add_address("gicr-base", platform.arm.gicr_base);
        std::string block = "\n" + pairs.block("    ", "    ");
        block.pop_back();
        return block;
    }

    static std::string x86_platform(const jh_platform& platform) {
        Pairs pairs;
        pairs.add_hex("pm-timer-address", platform.x86.pm_timer_address);
        pairs.add_number("apic-mode", platform.x86.apic_mode);
        pairs.add_hex("padding", platform.x86.padding);
        pairs.add_number("vtd-interrupt-limit", platform.x86.vtd_interrupt_limit);
        pairs.add_number("tsc-khz", platform.x86.tsc_khz);
        pairs.add_number("apic-khz", platform.x86.apic_khz);
        const auto rest = raw_bytes(platform.arm).subspan(sizeof(platform.x86));
        pairs.add_unless(all_zero(rest), "rest", quoted(bytes_to_hex(rest)));
        return pairs.flow();
    }

    [[nodiscard]] std::string console(const jh_console& console) const {
        Pairs pairs;
        pairs.add("type", word_or_number(console.type, console_type_words()));
        const CellDevice* device = devices_.exactly(console.address, console.size);
        if (device != nullptr) {
            pairs.add("device", device->name);
        } else {
            pairs.add_address("address", console.address);
            pairs.add_unless(console.size == 0, "size", size_text(console.size));
        }
        pairs.add_unless(console.flags == 0, "flags", flags_to_text(console.flags, console_flag_words()));
        pairs.add_number("divider", console.divider);
        pairs.add_number("gate", console.gate_nr);
        pairs.add_address("clock-register", console.clock_reg);
        return pairs.flow();
    }

    void add_memory(Pairs& pairs, const jh_memory& memory) const {
        const CellDevice* device = devices_.exactly(memory.phys_start, memory.size);
        if (device != nullptr) {
            pairs.add("device", device->name);
        } else {
            pairs.add("physical", address_text(memory.phys_start));
        }
        pairs.add_unless(memory.virt_start == memory.phys_start, "virtual", address_text(memory.virt_start));
        pairs.add_unless(device != nullptr, "size", size_text(memory.size));
        const std::string flags = flags_to_text(memory.flags, memory_flag_words());
        const uint64_t implied = device != nullptr ? device->flags : 0;
        pairs.add_unless(implied == memory.flags, "flags", flags.empty() ? "0" : flags);
    }

    void write_cpus() {
        const std::vector<uint32_t> cpus = config_.cpus();
        line("cpus", list_text({cpus.begin(), cpus.end()}));
        line_unless(config_.cpu_set.size() == 8, "cpu-set-size", std::to_string(config_.cpu_set.size()));
    }

    void write_memory() {
        if (config_.memory.empty()) {
            return;
        }
        text_ += "memory:\n";
        for (size_t index = 0; index < config_.memory.size(); ++index) {
            const jh_memory& memory = config_.memory[index];
            const CellDevice* device = devices_.at(memory.phys_start);
            if (device != nullptr && (memory.flags & JH_MEM_COMM_REGION) == 0) {
                text_ += "  # " + device->description + "\n";
            }
            Pairs pairs;
            pairs.add("name", names_.memory[index]);
            add_memory(pairs, memory);
            text_ += pairs.block("  - ", "    ");
        }
    }

    void write_caches() {
        text_ += config_.caches.empty() ? "" : "caches:\n";
        for (const jh_cache& cache : config_.caches) {
            Pairs pairs;
            pairs.add("start", std::to_string(cache.start));
            pairs.add("size", std::to_string(cache.size));
            pairs.add_number("type", cache.type);
            pairs.add_hex("padding", cache.padding);
            pairs.add_hex("flags", cache.flags);
            text_ += "  - " + pairs.flow() + "\n";
        }
    }

    void write_irqchips() {
        text_ += config_.irqchips.empty() ? "" : "irqchips:\n";
        for (const jh_irqchip& chip : config_.irqchips) {
            std::vector<uint64_t> interrupts;
            for (uint32_t pin = 0; pin < sizeof(chip.pin_bitmap) * 8; ++pin) {
                if ((chip.pin_bitmap[pin / 32] >> pin % 32 & 1) != 0) {
                    interrupts.push_back(uint64_t{chip.pin_base} + pin);
                }
            }
            Pairs pairs;
            const CellDevice* device = first_at(chip.address);
            pairs.add(device != nullptr ? "device" : "address",
                      device != nullptr ? device->name : address_text(chip.address));
            pairs.add_hex("id", chip.id);
            pairs.add("pin-base", std::to_string(chip.pin_base));
            pairs.add("interrupts", list_text(interrupts));
            text_ += pairs.block("  - ", "    ");
        }
    }

    [[nodiscard]] const CellDevice* first_at(uint64_t address) const {
        const CellDevice* device = devices_.at(address);
        return device != nullptr && device->address == address ? device : nullptr;
    }

    void write_pio() {
        text_ += config_.pio.empty() ? "" : "pio:\n";
        for (const jh_pio& range : config_.pio) {
            Pairs pairs;
            pairs.add("base", hex_text(range.base));
            pairs.add("length", hex_text(range.length));
            text_ += "  - " + pairs.flow() + "\n";
        }
    }

    void write_pci() {
        text_ += config_.pci_devices.empty() ? "" : "pci:\n";
        for (size_t index = 0; index < config_.pci_devices.size(); ++index) {
            write_pci_device(config_.pci_devices[index], names_.pci_devices[index]);
        }
        text_ += config_.pci_capabilities.empty() ? "" : "pci-capabilities:\n";
        for (const jh_pci_capability& capability : config_.pci_capabilities) {
            Pairs pairs;
            pairs.add("id", hex_text(capability.id));
            pairs.add("start", hex_text(capability.start));
            pairs.add("length", hex_text(capability.len));
            pairs.add_unless(capability.flags == 0, "flags", flags_to_text(capability.flags, capability_flag_words()));
            text_ += "  - " + pairs.flow() + "\n";
        }
    }

    void write_pci_device(const jh_pci_device& device, const std::string& name) {
        Pairs pairs;
        pairs.add("type", word_or_number(device.type, pci_type_words()));
        pairs.add_unless(name.empty(), "link", name);
        pairs.add_number("domain", device.domain);
        pairs.add("bdf", quoted(bdf_text(device.bdf)));
        pairs.add_number("iommu", device.iommu);
        add_bars(pairs, device);
        pairs.add_number("first-capability", device.caps_start);
        pairs.add_number("capabilities", device.num_caps);
        pairs.add_number("msi-vectors", device.num_msi_vectors);
        pairs.add_unless(device.msi_flags == 0, "msi-flags", flags_to_text(device.msi_flags, msi_flag_words()));
        pairs.add_number("msix-vectors", device.num_msix_vectors);
        pairs.add_unless(device.msix_region_size == 0, "msix-region-size", size_text(device.msix_region_size));
        pairs.add_address("msix-address", device.msix_address);
        if (device.type == JH_PCI_IVSHMEM && device.shmem_regions_start < names_.memory.size()) {
            pairs.add("first-region", names_.memory[device.shmem_regions_start]);
        } else {
            pairs.add_number("first-region", device.shmem_regions_start);
        }
        pairs.add_unless(device.type != JH_PCI_IVSHMEM && device.shmem_dev_id == 0, "peer-id",
                         std::to_string(device.shmem_dev_id));
        pairs.add_number("peers", device.shmem_peers);
        pairs.add_unless(device.shmem_protocol == 0, "protocol",
                         word_or_number(device.shmem_protocol, shmem_protocol_words()));
        text_ += pairs.block("  - ", "    ");
    }

    static void add_bars(Pairs& pairs, const jh_pci_device& device) {
        jh_pci_device expected{};
        if (device.type == JH_PCI_IVSHMEM) {
            expected.bar_mask[0] = ivshmem_registers_bar;
            expected.bar_mask[1] = device.bar_mask[1] == ivshmem_msix_bar ? ivshmem_msix_bar : 0;
        }
        std::string list;
        for (size_t index = 0; index < JH_PCI_BARS; ++index) {
            list += (list.empty() ? "" : ", ") + hex_text(device.bar_mask[index]);
        }
        if (std::memcmp(expected.bar_mask, device.bar_mask, sizeof(device.bar_mask)) != 0) {
            pairs.add("bars", "[" + list + "]");
        } else if (expected.bar_mask[1] != 0) {
            pairs.add("bars", "msix");
        }
    }

    void write_stream_ids() {
        if (config_.stream_ids.empty()) {
            return;
        }
        std::string list;
        for (const uint32_t id : config_.stream_ids) {
            list += (list.empty() ? "" : ", ") + hex_text(id);
        }
        line("stream-ids", "[" + list + "]");
    }

    const CellConfig& config_;
    const DeviceTable& devices_;
    CellConfigNames names_;
    std::string text_;
};

/// Gives each name of the list that is there more than once a number.
void make_unique(std::vector<std::string>& names) {
    std::set<std::string> used;
    std::map<std::string, unsigned> last_number;
    for (std::string& name : names) {
        const std::string base = name;
        while (!used.insert(name).second) {
            unsigned& number = last_number.try_emplace(base, 1).first->second;
            name = base + "-" + std::to_string(++number);
        }
    }
}

void name_link_regions(const jh_pci_device& device, const std::string& link, std::vector<std::string>& names) {
    const auto set = [&](uint64_t offset, const std::string& section) {
        const uint64_t index = device.shmem_regions_start + offset;
        if (index < names.size() && names[index].empty()) {
            names[index] = link + "-" + section;
        }
    };
    set(0, "state");
    set(1, "rw");
    for (unsigned peer = 0; peer < device.shmem_peers; ++peer) {
        set(2 + peer, "out" + std::to_string(peer));
    }
}

std::string region_name(const jh_memory& memory, const DeviceTable& devices) {
    if ((memory.flags & JH_MEM_COMM_REGION) != 0) {
        return "comm";
    }
    if (const CellDevice* device = devices.at(memory.phys_start)) {
        return device->address == memory.phys_start ? device->name : device->name + "-part";
    }
    if ((memory.flags & JH_MEM_LOADABLE) != 0 || (memory.flags & JH_MEM_EXECUTE) != 0) {
        return "ram";
    }
    return (memory.flags & JH_MEM_IO) != 0 ? "io" : "region";
}

} // namespace

CellConfigNames derive_names(const CellConfig& config, const DeviceTable& devices) {
    CellConfigNames names;
    names.memory.resize(config.memory.size());
    names.pci_devices.resize(config.pci_devices.size());
    unsigned links = 0;
    for (size_t index = 0; index < config.pci_devices.size(); ++index) {
        const jh_pci_device& device = config.pci_devices[index];
        if (device.type == JH_PCI_IVSHMEM) {
            names.pci_devices[index] = "link" + std::to_string(links++);
            name_link_regions(device, names.pci_devices[index], names.memory);
        }
    }
    for (size_t index = 0; index < names.memory.size(); ++index) {
        if (names.memory[index].empty()) {
            names.memory[index] = region_name(config.memory[index], devices);
        }
    }
    make_unique(names.memory);
    return names;
}

std::string cell_config_to_yaml(const CellConfig& config, const DeviceTable& devices) {
    return CellYamlWriter(config, devices).write();
}

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// Rules about the machine: names and kinds of the files, CPUs, interrupts, PCI, GIC, IOMMU, hypervisor memory.
#include <algorithm>
#include <map>

#include "hil/lib/cell_rules.hpp"

namespace hil {
namespace {

using Kind = PredictedTrap::Kind;
constexpr auto error = FindingSeverity::error;
constexpr auto warning = FindingSeverity::warning;
constexpr auto note = FindingSeverity::note;

constexpr const char* create_busy = "JAILHOUSE_CELL_CREATE: Device or resource busy";
constexpr const char* enable_invalid = "JAILHOUSE_ENABLE: Invalid argument";
constexpr uint64_t bus_size = uint64_t{1} << 20; // configuration space of one bus
constexpr uint64_t bars_per_device = 2 * cell_page_size;

std::string number_list(const std::vector<uint32_t>& numbers) {
    std::string text;
    for (const uint32_t number : numbers) {
        text += (text.empty() ? "" : ", ") + std::to_string(number);
    }
    return text;
}

std::vector<uint32_t> common(const std::vector<uint32_t>& left, const std::vector<uint32_t>& right) {
    std::vector<uint32_t> both;
    std::set_intersection(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(both));
    return both;
}

std::vector<uint32_t> without(const std::vector<uint32_t>& left, const std::vector<uint32_t>& right) {
    std::vector<uint32_t> rest;
    std::set_difference(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(rest));
    return rest;
}

void check_name(CellCheck& check, const CheckedCell& cell) {
    const std::string name = cell.config().name();
    if (name.size() >= JH_CELL_NAME_SIZE) {
        check.add(error, "name-unterminated", cell, "name", "its 32 bytes hold no NUL",
                  "the name runs on into the cell's id", "use at most 31 characters");
    } else if (name.empty()) {
        check.add(error, "name-empty", cell, "name", "the cell has no name",
                  "nothing; it can be addressed by its id only", "give it a name");
    }
    const jh_cell& descriptor = cell.config().cell;
    const uint32_t console = descriptor.flags & (JH_CELL_VIRTUAL_CONSOLE_ACTIVE | JH_CELL_VIRTUAL_CONSOLE_PERMITTED);
    if (!cell.is_root() && console == JH_CELL_VIRTUAL_CONSOLE_ACTIVE) {
        check.add(warning, "virtual-console", cell, "flags", "virtual-console-active without virtual-console-permitted",
                  "the inmate's virtual console output is refused", "add virtual-console-permitted");
    } else if (!cell.is_root() && (console & JH_CELL_VIRTUAL_CONSOLE_ACTIVE) != 0 &&
               descriptor.console.type != JH_CONSOLE_NONE) {
        check.add(note, "virtual-console", cell, "flags", "an active virtual console beside a UART",
                  "every character comes twice where both lead to the same UART",
                  "drop virtual-console-active or the console");
    }
}

void check_file(CellCheck& check, const CheckedCell& cell) {
    check_name(check, cell);
    if (cell.is_root()) {
        check.add(error, "kind", cell, "kind", "a system config where a cell's is expected",
                  "JAILHOUSE_CELL_CREATE: Invalid argument", "name the system config first, then the cells");
    } else if (cell.config().architecture() != check.root().config().architecture()) {
        check.add(error, "architecture", cell, "architecture",
                  std::string(architecture_name(cell.config().architecture())) + ", the system config is " +
                      std::string(architecture_name(check.root().config().architecture())),
                  "a message of the tool, exit code 0, and no cell", "use the system's architecture");
    }
    if (cell.name() == check.root().name()) {
        check.add(error, "name-twice", cell, "name", "\"" + cell.name() + "\" is the root cell's name",
                  "JAILHOUSE_CELL_CREATE: File exists", "use another name");
    }
}

/// A range of virtual PCI registers that the hypervisor emulates.
std::vector<std::pair<AddressRange, std::string>> virtual_pci_windows(const CellCheck& check) {
    const jh_platform& platform = check.system().platform;
    if (platform.pci_is_virtual == 0 || platform.pci_mmconfig_base == 0) {
        return {};
    }
    const auto ecam =
        AddressRange::of(platform.pci_mmconfig_base, (uint64_t{platform.pci_mmconfig_end_bus} + 1) * bus_size);
    size_t devices = 0;
    for (const CheckedCell* cell : check.all()) {
        devices = std::max(devices, cell->config().pci_devices.size());
    }
    return {{ecam, "the virtual PCI configuration space"},
            {AddressRange::of(ecam.end, std::max<size_t>(devices, 1) * bars_per_device),
             "the BARs of the virtual PCI devices"}};
}

using Window = std::pair<AddressRange, std::string>;

void check_window_regions(CellCheck& check, const Window& window) {
    for (const CheckedCell* cell : check.all()) {
        for (size_t index = 0; index < cell->memory().size(); ++index) {
            const AddressRange hit = virtual_range(cell->memory()[index]).intersection(window.first);
            if (!hit.empty()) {
                check.add(error, "vpci-window", *cell, cell->region_text(index),
                          "covers " + hit.text() + " of " + window.second + " " + window.first.text(),
                          "nothing; accesses miss the emulated devices, and no device is found",
                          "move pci-mmconfig-base to addresses that nothing uses, or cut the region");
            }
        }
    }
}

void check_window_collision(CellCheck& check, const Window& window, const AddressRange& range,
                            const std::string& name) {
    if (range.overlaps(window.first)) {
        check.add(error, "vpci-window", check.root(), "platform",
                  window.second + " " + window.first.text() + " collides with " + name + " " + range.text(),
                  "a resource collision in the root's Linux; its PCI host driver fails (probe -12)",
                  "move pci-mmconfig-base to addresses that nothing uses");
    }
}

void check_windows(CellCheck& check) {
    for (const Window& window : virtual_pci_windows(check)) {
        check_window_regions(check, window);
        for (const CellDevice& device : check.board().table.devices) {
            // The table may name the window itself, as something that the hypervisor emulates.
            if (!device.emulated || device.address != window.first.start) {
                check_window_collision(check, window, AddressRange::of(device.address, device.size), device.name);
            }
        }
        for (const CellDevice& device : check.board().devices) {
            check_window_collision(check, window, AddressRange::of(device.address, device.size), device.name);
        }
        if (check.root().is_arm()) {
            const uint64_t gicd = check.system().platform.arm.gicd_base;
            check_window_collision(check, window, AddressRange::of(gicd, cell_page_size), "the GIC distributor");
        }
        if (check.board().gic) {
            for (const AddressRange& range : check.board().gic->registers) {
                check_window_collision(check, window, range, check.board().gic->compatible);
            }
        }
    }
}

void check_pci_device(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_platform& platform = check.system().platform;
    const jh_pci_device& device = cell.config().pci_devices[index];
    const bool is_virtual = device.type == JH_PCI_IVSHMEM;
    if (is_virtual && platform.pci_is_virtual != 0 && device.domain != platform.pci_domain) {
        check.add(
            error, "pci-domain", cell, cell.device_text(index),
            "domain " + std::to_string(device.domain) + ", the virtual PCI host is domain " +
                std::to_string(platform.pci_domain),
            "nothing; the device is never found: an inmate that searches for it walks off the configuration space",
            "set domain: " + std::to_string(platform.pci_domain));
    }
    if (device.bdf >> 8 > platform.pci_mmconfig_end_bus) {
        check.add(error, "pci-bus", cell, cell.device_text(index),
                  "bus " + std::to_string(device.bdf >> 8) + " is beyond the last bus " +
                      std::to_string(platform.pci_mmconfig_end_bus),
                  "an unhandled read behind the configuration space when somebody looks for the device",
                  "use a lower bus, or raise pci-mmconfig-end-bus");
    }
    if (uint64_t{device.caps_start} + device.num_caps > cell.config().pci_capabilities.size()) {
        check.add(error, "pci-capabilities", cell, cell.device_text(index),
                  "capabilities " + std::to_string(device.caps_start) + " to " +
                      std::to_string(uint64_t{device.caps_start} + device.num_caps) + " of a list of " +
                      std::to_string(cell.config().pci_capabilities.size()),
                  "the hypervisor reads past the list", "correct first-capability and capabilities");
    }
}

void check_same_bdf(CellCheck& check, const CheckedCell& first, size_t left, const CheckedCell& second, size_t right) {
    const jh_pci_device& one = first.config().pci_devices[left];
    const jh_pci_device& other = second.config().pci_devices[right];
    const bool same_cell = &first == &second;
    const bool both_real = one.type != JH_PCI_IVSHMEM && other.type != JH_PCI_IVSHMEM;
    if (one.domain != other.domain || one.bdf != other.bdf || (!same_cell && (!both_real || first.is_root()))) {
        return;
    }
    check.add(error, "bdf-twice", second, second.device_text(right),
              bdf_text(other.bdf) + " of domain " + std::to_string(other.domain) + " is also " +
                  first.device_text(left) + (same_cell ? "" : " of " + first.file()),
              same_cell ? "one of the two is never found" : create_busy, "give each device an address of its own");
}

void check_cell_cpus(CellCheck& check, const CheckedCell& cell) {
    const auto cpus = cell.config().cpus();
    const auto root = check.root().config().cpus();
    if (cpus.empty()) {
        check.add(error, "cpu-none", cell, "cpus", "the cell has no CPU", "JAILHOUSE_CELL_CREATE: Invalid argument",
                  "list at least one CPU");
    }
    if (const auto absent = without(cpus, root); !absent.empty()) {
        check.add(error, "cpu-not-root", cell, "cpus",
                  "CPU " + number_list(absent) + " is not of the root, which has " + number_list(root), create_busy,
                  "use CPUs of the system config");
    }
}

void check_gic(CellCheck& check) {
    const auto& arm = check.system().platform.arm;
    const CheckedCell& root = check.root();
    const auto wrong = [&](const std::string& message, const std::string& fix) {
        check.add(error, "gic", root, "platform", message, enable_invalid, fix);
    };
    const unsigned version = arm.gic_version;
    if (version != 2 && version != 3) {
        wrong("GIC version " + std::to_string(version), "set gic-version: 2 or 3");
    }
    if (arm.gicd_base == 0) {
        wrong("no address of the GIC distributor", "set gicd-base");
    }
    if (version == 3 && arm.gicr_base == 0) {
        wrong("no address of the GICv3 redistributors", "set gicr-base");
    }
    if (version == 2 && (arm.gicc_base == 0 || arm.gich_base == 0 || arm.gicv_base == 0)) {
        wrong("a GICv2 needs the addresses of GICC, GICH and GICV", "set gicc-base, gich-base and gicv-base");
    }
    if (arm.maintenance_irq < 16 || arm.maintenance_irq > 31) {
        wrong("maintenance interrupt " + std::to_string(arm.maintenance_irq) + " is no private interrupt (16 to 31)",
              "set maintenance-irq: 25");
    }
    const auto& gic = check.board().gic;
    if (!gic) {
        return;
    }
    if (gic->version != version) {
        wrong("GIC version " + std::to_string(version) + ", the device tree has " + gic->compatible,
              "set gic-version: " + std::to_string(gic->version));
    }
    const std::vector<uint64_t> told =
        version == 3 ? std::vector<uint64_t>{arm.gicd_base, arm.gicr_base}
                     : std::vector<uint64_t>{arm.gicd_base, arm.gicc_base, arm.gich_base, arm.gicv_base};
    const std::vector<std::string> keys =
        version == 3 ? std::vector<std::string>{"gicd-base", "gicr-base"}
                     : std::vector<std::string>{"gicd-base", "gicc-base", "gich-base", "gicv-base"};
    for (size_t index = 0; index < std::min(told.size(), gic->registers.size()); ++index) {
        if (gic->version == version && told[index] != gic->registers[index].start) {
            wrong(keys[index] + " is " + hex_text(told[index]) + ", the device tree has " +
                      hex_text(gic->registers[index].start),
                  "set " + keys[index] + ": " + hex_text(gic->registers[index].start, 8));
        }
    }
    if (gic->maintenance_interrupt && *gic->maintenance_interrupt != arm.maintenance_irq) {
        wrong("maintenance interrupt " + std::to_string(arm.maintenance_irq) + ", the device tree has " +
                  std::to_string(*gic->maintenance_interrupt),
              "set maintenance-irq: " + std::to_string(*gic->maintenance_interrupt));
    }
}

void check_iommu(CellCheck& check) {
    const bool x86 = !check.root().is_arm();
    bool amd = false;
    bool intel = false;
    for (const jh_iommu& unit : check.system().platform.iommu_units) {
        if (unit.type == JH_IOMMU_NONE) {
            continue;
        }
        amd = amd || unit.type == JH_IOMMU_AMD;
        intel = intel || unit.type == JH_IOMMU_INTEL;
        const bool of_x86 = unit.type == JH_IOMMU_AMD || unit.type == JH_IOMMU_INTEL;
        const std::string type = word_or_number(unit.type, iommu_type_words());
        if (unit.type > JH_IOMMU_MMU500) {
            check.add(error, "iommu", check.root(), "platform",
                      "IOMMU type " + std::to_string(unit.type) + " is unknown", enable_invalid,
                      "use amd, intel, smmuv3, pvu or mmu500");
        } else if (of_x86 != x86) {
            check.add(error, "iommu", check.root(), "platform",
                      "an IOMMU of type " + type + " on " +
                          std::string(architecture_name(check.root().config().architecture())),
                      enable_invalid, "delete the unit");
        } else if (unit.base == 0 || unit.size == 0) {
            check.add(error, "iommu", check.root(), "platform", "the IOMMU unit of type " + type + " has no registers",
                      enable_invalid, "set base and size, or delete the unit");
        }
    }
    if (amd && intel) {
        check.add(error, "iommu", check.root(), "platform", "IOMMU units of AMD and of Intel in one machine",
                  std::string(enable_invalid) + " (without a reason)", "keep those of the CPU's maker");
    } else if (intel) {
        check.add(note, "iommu", check.root(), "platform", "an Intel IOMMU: right on Intel CPUs only",
                  std::string(enable_invalid) + " on an AMD CPU, without a reason",
                  "no IOMMU unit of Intel on AMD machines, emulated ones too");
    }
}

void check_hypervisor_memory(CellCheck& check) {
    const jh_memory& memory = check.system().hypervisor_memory;
    const AddressRange range = physical_range(memory);
    if (((memory.phys_start | memory.size) & (cell_page_size - 1)) != 0 || memory.size == 0) {
        check.add(error, "hypervisor-memory", check.root(), "hypervisor-memory",
                  range.text() + " is empty, or does not begin and end on a page", enable_invalid,
                  "use multiples of 4 KiB");
    }
    for (const auto& [address, size] : check.board().table.linux_ram) {
        const AddressRange shared = AddressRange::of(address, size).intersection(range);
        if (!shared.empty()) {
            check.add(error, "hypervisor-memory", check.root(), "hypervisor-memory",
                      shared.text() + " is RAM that Linux uses", "enable fails, or Linux dies right after it",
                      "leave the memory to nobody: mem= or memmap= on the kernel's command line");
        }
    }
    const auto& ram = check.board().ram;
    const auto outside = subtract(range, ram);
    if (!ram.empty() && !outside.empty()) {
        check.add(error, "hypervisor-memory", check.root(), "hypervisor-memory",
                  outside.front().text() + " is not RAM by the device tree", "enable fails, or the machine hangs",
                  "move it into RAM");
    }
}

void check_irqchips(CellCheck& check, const CheckedCell& cell) {
    constexpr uint32_t pins = 128;
    for (size_t index = 0; index < cell.config().irqchips.size(); ++index) {
        const jh_irqchip& chip = cell.config().irqchips[index];
        const std::string place = "irqchip " + std::to_string(index);
        if (!cell.is_arm()) {
            continue;
        }
        const uint64_t gicd = check.system().platform.arm.gicd_base;
        if (chip.address != gicd) {
            check.add(error, "irqchip-address", cell, place,
                      "address " + hex_text(chip.address) + ", the GIC distributor is at " + hex_text(gicd),
                      "nothing; none of its interrupts is delivered", "set address: " + hex_text(gicd, 8));
        }
        if (chip.pin_base % 32 != 0 || chip.pin_base < 32 || chip.pin_base + pins > 1024) {
            check.add(error, "irqchip-pin-base", cell, place,
                      "pin-base " + std::to_string(chip.pin_base) +
                          ": must be a multiple of 32 from 32 on, and its 128 pins must end at 1023",
                      "JAILHOUSE_CELL_CREATE: Invalid argument", "use 32, 160, 288, …");
        }
    }
}

} // namespace

void check_identity(CellCheck& check) {
    if (!check.root().is_root()) {
        check.add(error, "kind", check.root(), "kind", "a cell's config where the system config is expected",
                  enable_invalid, "name the system config first, then the cells");
        return;
    }
    check_name(check, check.root());
    const auto& cells = check.cells();
    for (size_t index = 0; index < cells.size(); ++index) {
        check_file(check, cells[index]);
        for (size_t earlier = 0; earlier < index; ++earlier) {
            if (cells[earlier].name() == cells[index].name()) {
                check.add(error, "name-twice", cells[index], "name",
                          "\"" + cells[index].name() + "\" is also the name in " + cells[earlier].file(),
                          "JAILHOUSE_CELL_CREATE: File exists", "use another name");
            }
        }
    }
}

void check_pci(CellCheck& check) {
    check_windows(check);
    const auto all = check.all();
    for (size_t second = 0; second < all.size(); ++second) {
        const auto& devices = all[second]->config().pci_devices;
        for (size_t right = 0; right < devices.size(); ++right) {
            check_pci_device(check, *all[second], right);
            for (size_t first = 0; first <= second; ++first) {
                const size_t end = first == second ? right : all[first]->config().pci_devices.size();
                for (size_t left = 0; left < end; ++left) {
                    check_same_bdf(check, *all[first], left, *all[second], right);
                }
            }
        }
    }
}

void check_cpus(CellCheck& check) {
    const auto root = check.root().config().cpus();
    if (root.empty()) {
        check.add(error, "cpu-none", check.root(), "cpus", "the root cell has no CPU", enable_invalid,
                  "list all CPUs of the machine");
    }
    if (check.board().cpus && *check.board().cpus != root.size()) {
        check.add(error, "cpu-count", check.root(), "cpus",
                  std::to_string(root.size()) + " CPUs, the device tree has " + std::to_string(*check.board().cpus) +
                      ": the set must be that of the CPUs online",
                  std::string(enable_invalid) + " (without a reason)", "list exactly the CPUs of the machine");
    }
    std::vector<uint32_t> taken;
    const auto& cells = check.cells();
    for (size_t index = 0; index < cells.size(); ++index) {
        check_cell_cpus(check, cells[index]);
        for (size_t earlier = 0; earlier < index; ++earlier) {
            const auto both = common(cells[earlier].config().cpus(), cells[index].config().cpus());
            if (!both.empty()) {
                check.add(error, "cpu-twice", cells[index], "cpus",
                          "CPU " + number_list(both) + " is also of " + cells[earlier].file(), create_busy,
                          "give each cell CPUs of its own");
            }
        }
        const auto cpus = cells[index].config().cpus();
        taken.insert(taken.end(), cpus.begin(), cpus.end());
        std::sort(taken.begin(), taken.end());
        if (!root.empty() && !cpus.empty() && without(root, taken).empty()) {
            check.add(error, "cpu-all-taken", cells[index], "cpus", "no CPU is left for the root", create_busy,
                      "leave at least one CPU to the root");
        }
    }
}

void check_interrupts(CellCheck& check) {
    check_irqchips(check, check.root());
    const auto root = check.root().interrupts();
    const auto& cells = check.cells();
    for (size_t index = 0; index < cells.size(); ++index) {
        const CheckedCell& cell = cells[index];
        check_irqchips(check, cell);
        const auto mine = cell.interrupts();
        for (size_t earlier = 0; earlier < index; ++earlier) {
            if (const auto both = common(cells[earlier].interrupts(), mine); !both.empty()) {
                check.add(error, "irq-twice", cell, "irqchips",
                          "interrupt " + number_list(both) + " is also of " + cells[earlier].file(),
                          "nothing; the cell created last gets it, the other waits for ever",
                          "give each cell interrupts of its own (vpci-irq-base + 32 and the three behind it)");
            }
        }
        if (const auto foreign = without(mine, root); !foreign.empty()) {
            check.add(note, "irq-not-root", cell, "irqchips",
                      "interrupt " + number_list(foreign) + " is not of the root", "",
                      "add it to the system config's irqchips, to which it goes back when the cell is destroyed");
        }
        for (const CellDevice& device : check.board().table.devices) {
            std::vector<uint32_t> of_device = device.interrupts;
            std::sort(of_device.begin(), of_device.end());
            const auto lost = common(of_device, mine);
            if (device.used_by_root && !lost.empty()) {
                check.add(warning, "irq-of-root-device", cell, "irqchips",
                          "interrupt " + number_list(lost) + " is that of " + device.name + ", which the root drives",
                          "nothing; the root's driver waits for ever", "delete it from the cell's interrupts");
            }
        }
    }
}

void check_platform(CellCheck& check) {
    if (check.root().is_arm()) {
        check_gic(check);
    }
    check_iommu(check);
    check_hypervisor_memory(check);
}

} // namespace hil

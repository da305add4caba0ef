// SPDX-License-Identifier: Apache-2.0
// Rules about registers: what an inmate and the root touch, and what the hypervisor emulates.
#include <algorithm>

#include "hil/lib/cell_rules.hpp"

namespace hil {
namespace {

using Kind = PredictedTrap::Kind;
constexpr auto error = FindingSeverity::error;
constexpr auto warning = FindingSeverity::warning;
constexpr auto note = FindingSeverity::note;

constexpr uint64_t read_write = JH_MEM_READ | JH_MEM_WRITE;
constexpr unsigned word = 4;                     // bytes of most accesses to registers
constexpr uint64_t arm_comm_region = 0x80000000; // where inmates of arm and arm64 expect it

std::optional<uint32_t> only_cpu(const CheckedCell& cell) {
    const auto cpus = cell.config().cpus();
    return cpus.size() == 1 ? std::optional<uint32_t>(cpus.front()) : std::nullopt;
}

/// The register that a console driver reads first: it asks whether there is room to send.
uint64_t first_register(const jh_console& console) {
    if (console.type == JH_CONSOLE_PL011) {
        return 0x18; // flags
    }
    if (console.type == JH_CONSOLE_8250) {
        return (console.flags & JH_CONSOLE_REGDIST_4) != 0 ? 5 * 4 : 5; // line status
    }
    return 0;
}

/// YAML that maps a register, to be put into a cell.
std::string region_yaml(const CellCheck& check, uint64_t address, const std::string& flags) {
    if (const CellDevice* device = check.board().table.at(address)) {
        return "add to memory: {device: " + device->name + ", flags: " + flags + "}";
    }
    return "add to memory: {physical: " + hex_text(address & ~(cell_page_size - 1), 8) + ", size: 4K, flags: " + flags +
           "}";
}

std::string known_as(const CellCheck& check, uint64_t address) {
    const std::string device = check.board().device_text(address);
    return hex_text(address) + (device.empty() ? "" : " of " + device);
}

/// Is a register of the console mapped, with the right place and the rights? `block` is what a trap may hit as well:
/// which register software touches first is its own choice.
void check_register(CellCheck& check, const CheckedCell& cell, const std::string& rule, const std::string& place,
                    const std::string& what, uint64_t address, const AddressRange& block, const jh_console& console) {
    const AddressRange touched = AddressRange::of(address, word);
    PredictedTrap trap{Kind::data_read, block, word, cell.name(), only_cpu(cell), address};
    const std::string flags = cell.is_root() ? "read write io io-32" : "read write io io-32 root-shared";
    if (!cell.unmapped(touched, read_write).empty()) {
        const auto region = cell.region_at(address);
        check.add_trap(error, rule, cell, region ? cell.region_text(*region) : place,
                       what + " at " + known_as(check, address) + " is " +
                           (region ? "mapped without read and write" : "in no region of the cell"),
                       trap, region ? "add read write to the region's flags" : region_yaml(check, address, flags));
        return;
    }
    const size_t index = *cell.region_at(address);
    const jh_memory& region = cell.memory()[index];
    if (region.phys_start != region.virt_start && !cell.is_root()) {
        check.add(warning, rule, cell, cell.region_text(index),
                  what + " at " + hex_text(address) + " leads to physical " +
                      hex_text(region.phys_start + (address - region.virt_start)),
                  "nothing; the output goes elsewhere", "make virtual and physical address the same");
    }
    const bool by_byte = console.type == JH_CONSOLE_8250 && (console.flags & JH_CONSOLE_REGDIST_4) == 0;
    const uint64_t width = by_byte ? JH_MEM_IO_8 : JH_MEM_IO_32;
    const bool emulated = ((region.phys_start | region.size) & (cell_page_size - 1)) != 0;
    if (emulated && (region.flags & JH_MEM_IO) != 0 && (region.flags & width) == 0) {
        trap.size = by_byte ? 1 : word;
        check.add_trap(error, "io-width-missing", cell, cell.region_text(index),
                       what + " at " + hex_text(address) + " needs accesses of " + std::to_string(trap.size * 8) +
                           " bits, which the region does not allow",
                       trap, std::string("add ") + (by_byte ? "io-8" : "io-32") + " to the region's flags");
    }
}

void check_pio_console(CellCheck& check, const CheckedCell& cell, const jh_console& console) {
    const bool allowed =
        std::any_of(cell.config().pio.begin(), cell.config().pio.end(), [&console](const jh_pio& range) {
            return console.address >= range.base && console.address + 8 <= uint64_t{range.base} + range.length;
        });
    if (!allowed) {
        check.add(error, "console-unmapped", cell, "console",
                  "its ports " + AddressRange::of(console.address, 8).text() + " are not in the cell's pio list",
                  "FATAL: Invalid PIO read, port: " + hex_text(console.address + 5).substr(2) + " size: 1",
                  "add to pio: {base: " + hex_text(console.address) + ", length: 8}");
    }
}

void check_one_console(CellCheck& check, const CheckedCell& cell, const jh_console& console, const std::string& place) {
    if (console.type == JH_CONSOLE_NONE || console.type == JH_CONSOLE_EFIFB) {
        return;
    }
    if ((console.flags & JH_CONSOLE_MMIO) == 0) {
        if (cell.is_arm()) {
            check.add(error, "console-port-io", cell, place, "port I/O (no flag mmio) on an architecture without ports",
                      "nothing: the console stays silent, or the CPU parks", "add mmio to the console's flags");
        } else {
            check_pio_console(check, cell, console);
        }
        return;
    }
    check_register(check, cell, cell.is_root() ? "debug-console-unmapped" : "console-unmapped", place,
                   "the console's status register", console.address + first_register(console),
                   AddressRange::of(console.address, std::max<uint64_t>(console.size, first_register(console) + word)),
                   console);
    if (console.clock_reg != 0) {
        // The gate's bit is changed in a word at the very address given.
        check_register(check, cell, "console-clock-unmapped", place, "the console's clock register", console.clock_reg,
                       AddressRange::of(console.clock_reg, word), console);
        if (console.clock_reg % word != 0) {
            check.add(warning, "console-clock-misaligned", cell, place,
                      "clock register " + hex_text(console.clock_reg) + " is not a multiple of 4",
                      "an unaligned access to a device: an abort in the inmate, or the wrong gate",
                      "use the word's address and count gate from its bit 0");
        }
    }
}

void check_comm_region(CellCheck& check, const CheckedCell& cell) {
    size_t found = 0;
    for (size_t index = 0; index < cell.memory().size(); ++index) {
        const jh_memory& region = cell.memory()[index];
        if ((region.flags & JH_MEM_COMM_REGION) == 0) {
            continue;
        }
        ++found;
        if (cell.is_arm() && region.virt_start != arm_comm_region) {
            PredictedTrap trap{Kind::data_read, AddressRange::of(arm_comm_region, cell_page_size), word, cell.name(),
                               only_cpu(cell)};
            check.add_trap(error, "comm-region-moved", cell, cell.region_text(index),
                           "is at " + hex_text(region.virt_start) + ", where no inmate looks for it", trap,
                           "set virtual: 0x80000000");
        }
        if (region.size != cell_page_size || (region.flags & read_write) != read_write) {
            check.add(error, "comm-region-shape", cell, cell.region_text(index),
                      "is " + size_text(region.size) + " \"" + flags_to_text(region.flags, memory_flag_words()) +
                          "\", must be one page, readable and writable",
                      "JAILHOUSE_CELL_CREATE: Invalid argument", "set size: 4K and flags: read write comm-region");
        }
    }
    if (found == 0) {
        PredictedTrap trap{Kind::data_read, AddressRange::of(arm_comm_region, cell_page_size), word, cell.name(),
                           only_cpu(cell)};
        check.add_trap(error, "comm-region-missing", cell, "memory", "there is no communication region", trap,
                       "add to memory: {name: comm, physical: 0, virtual: 0x80000000, size: 4K, flags: read write "
                       "comm-region}");
    } else if (found > 1) {
        check.add(error, "comm-region-twice", cell, "memory",
                  "there are " + std::to_string(found) + " communication regions", "nothing; one of them stays dead",
                  "keep one");
    }
    const jh_cell& descriptor = cell.config().cell;
    if ((descriptor.flags & JH_CELL_PASSIVE_COMMREG) == 0 && descriptor.msg_reply_timeout == 0) {
        check.add(note, "message-timeout", cell, "message-timeout",
                  "the cell is asked before it is shut down, and there is no limit for its answer",
                  "`cell shutdown` never returns if the inmate ignores messages",
                  "set message-timeout, or flags: passive-comm-region for an inmate that does not answer");
    }
}

/// Registers that belong to the hypervisor: trapped and emulated for every cell.
std::vector<std::pair<AddressRange, std::string>> emulated_registers(const CellCheck& check) {
    std::vector<std::pair<AddressRange, std::string>> result;
    if (!check.root().is_arm()) {
        return result;
    }
    const auto& arm = check.system().platform.arm;
    if (arm.gicd_base != 0) {
        result.emplace_back(AddressRange::of(arm.gicd_base, arm.gic_version == 2 ? 0x1000 : 0x10000),
                            "the GIC distributor");
    }
    if (arm.gicr_base != 0 && arm.gic_version == 3) {
        const uint64_t cpus = check.root().config().cpus().size();
        result.emplace_back(AddressRange::of(arm.gicr_base, cpus * 0x20000), "the GIC redistributors");
    }
    if (arm.gic_version == 2) {
        for (const uint64_t base : {uint64_t{arm.gicc_base}, uint64_t{arm.gich_base}, uint64_t{arm.gicv_base}}) {
            if (base != 0) {
                result.emplace_back(AddressRange::of(base, 0x1000), "the GIC's CPU interface");
            }
        }
    }
    return result;
}

void check_emulated(CellCheck& check, const CheckedCell& cell) {
    for (size_t index = 0; index < cell.memory().size(); ++index) {
        const jh_memory& region = cell.memory()[index];
        for (const auto& [range, what] : emulated_registers(check)) {
            const AddressRange hit = physical_range(region).intersection(range);
            if (!hit.empty() && (region.flags & JH_MEM_COMM_REGION) == 0) {
                check.add(error, "gic-mapped", cell, cell.region_text(index),
                          "maps " + hit.text() + " of " + what +
                              ", which the hypervisor emulates: the cell would reach the real one, with all cells' "
                              "interrupts",
                          "nothing at create; interrupts of other cells get lost or arrive where they should not",
                          "delete the region: the emulation needs none");
            }
        }
    }
}

/// The devices of the board that the root's Linux drives: by the table as a fact, by the device tree as a likelihood.
void check_root_device(CellCheck& check, const CellDevice& device, FindingSeverity severity) {
    const AddressRange range = AddressRange::of(device.address, device.size);
    const std::string name = device.name + (device.description.empty() ? "" : " (" + device.description + ")");
    const CheckedCell& root = check.root();
    const auto missing = not_of_root(check, range, read_write);
    if (!missing.empty()) {
        PredictedTrap trap{Kind::data_read, missing.front(), word, root.name(), std::nullopt};
        check.add_trap(severity, "root-device-missing", root, name,
                       "the root's Linux drives it, and the system config does not map " + missing.front().text() +
                           ": nothing until something touches it",
                       trap, "add to memory of " + root.file() + ": {device: " + device.name + "}");
    }
    for (const CheckedCell& cell : check.cells()) {
        for (size_t index = 0; index < cell.memory().size(); ++index) {
            const jh_memory& region = cell.memory()[index];
            const AddressRange taken = physical_range(region).intersection(range);
            if (taken.empty() || (region.flags & (JH_MEM_ROOTSHARED | JH_MEM_COMM_REGION)) != 0) {
                continue;
            }
            PredictedTrap trap{Kind::data_read, taken, word, root.name(), std::nullopt};
            check.add_trap(severity, "root-device-lost", cell, cell.region_text(index),
                           "takes " + taken.text() + " of " + name +
                               " away from the root when the cell is created, and the root's Linux drives it",
                           trap,
                           "add root-shared to the region's flags, or disable the device in the root's device tree");
        }
    }
}

/// IO width of sub-page regions in the root itself: a device that its Linux drives with words.
void check_needs(CellCheck& check, const CheckedCell& cell) {
    for (const CellDevice& device : check.board().table.devices) {
        const AddressRange range = AddressRange::of(device.address, device.size);
        const auto& memory = cell.memory();
        const auto user = std::find_if(memory.begin(), memory.end(), [&range](const jh_memory& region) {
            return (region.flags & JH_MEM_COMM_REGION) == 0 && physical_range(region).overlaps(range);
        });
        if (user == memory.end()) {
            continue;
        }
        for (const std::string& name : device.needs) {
            const CellDevice* needed = check.board().table.by_name(name);
            const bool mapped =
                needed == nullptr || std::any_of(memory.begin(), memory.end(), [&](const auto& region) {
                    return physical_range(region).overlaps(AddressRange::of(needed->address, needed->size));
                });
            if (!mapped) {
                PredictedTrap trap{Kind::data_read, AddressRange::of(needed->address, needed->size), word, cell.name(),
                                   only_cpu(cell)};
                check.add_trap(warning, "device-needs", cell,
                               cell.region_text(static_cast<size_t>(user - memory.begin())),
                               "who drives " + device.name + " also touches " + name + " (" + needed->description +
                                   "), which the cell does not map",
                               trap, "add to memory: {device: " + name + ", flags: read write io io-32 root-shared}");
            }
        }
    }
}

} // namespace

void check_console(CellCheck& check) {
    check_one_console(check, check.root(), check.system().debug_console, "debug-console");
    for (const CheckedCell& cell : check.cells()) {
        check_one_console(check, cell, cell.config().cell.console, "console");
        check_comm_region(check, cell);
    }
}

void check_devices(CellCheck& check) {
    for (const CheckedCell* cell : check.all()) {
        check_emulated(check, *cell);
        if (!cell->is_root()) {
            check_needs(check, *cell);
        }
    }
    for (const CellDevice& device : check.board().table.devices) {
        if (device.used_by_root) {
            check_root_device(check, device, error);
        }
    }
    for (const CellDevice& device : check.board().devices) {
        const bool in_table = check.board().table.at(device.address) != nullptr;
        if (!in_table) {
            check_root_device(check, device, warning);
        }
    }
}

} // namespace hil

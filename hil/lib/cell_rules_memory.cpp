// SPDX-License-Identifier: Apache-2.0
// Rules about memory: regions by themselves, who owns what, and whether an image can be loaded and started.
#include "hil/lib/cell_rules.hpp"

namespace hil {
namespace {

using Kind = PredictedTrap::Kind;
constexpr auto error = FindingSeverity::error;
constexpr auto warning = FindingSeverity::warning;
constexpr auto note = FindingSeverity::note;

constexpr uint64_t read_write = JH_MEM_READ | JH_MEM_WRITE;
constexpr uint64_t io_widths = JH_MEM_IO_8 | JH_MEM_IO_16 | JH_MEM_IO_32 | JH_MEM_IO_64;
constexpr unsigned io_width_words = 4;

bool is_comm_region(const jh_memory& memory) {
    return (memory.flags & JH_MEM_COMM_REGION) != 0;
}

bool has_part_pages(const jh_memory& memory) {
    return ((memory.phys_start | memory.virt_start | memory.size) & (cell_page_size - 1)) != 0;
}

/// The highest physical address that an architecture's second stage can map.
uint64_t address_limit(jh_architecture architecture) {
    switch (architecture) {
    case JH_ARCH_ARM:
        return uint64_t{1} << 40;
    case JH_ARCH_ARM64:
        return uint64_t{1} << 48;
    default:
        return uint64_t{1} << 52;
    }
}

bool is_shmem_section(const CheckedCell& cell, size_t index) {
    for (const jh_pci_device& device : cell.config().pci_devices) {
        const uint64_t first = device.shmem_regions_start;
        if (device.type == JH_PCI_IVSHMEM && index >= first && index - first < uint64_t{2} + device.shmem_peers) {
            return true;
        }
    }
    return false;
}

void check_extent(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_memory& region = cell.memory()[index];
    if (region.size == 0) {
        if (!is_shmem_section(cell, index)) {
            check.add(warning, "region-empty", cell, cell.region_text(index), "its size is 0: it maps nothing", "",
                      "give it a size, or delete it");
        }
        return;
    }
    const uint64_t limit = address_limit(check.root().config().architecture());
    for (const uint64_t start : {uint64_t{region.phys_start}, uint64_t{region.virt_start}}) {
        if (start >= limit || region.size > limit - start) {
            check.add(error, "region-too-large", cell, cell.region_text(index),
                      AddressRange::of(start, region.size).text() + " (" + size_text(region.size) +
                          ") goes past the highest address that can be mapped, " + hex_text(limit - 1),
                      "the create (or enable) fails or maps something else", "make it smaller, or start it lower");
            return;
        }
    }
}

void check_alignment(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_memory& region = cell.memory()[index];
    if (region.size == 0 || !has_part_pages(region)) {
        return;
    }
    const std::string what = "physical " + hex_text(region.phys_start) + ", virtual " + hex_text(region.virt_start) +
                             ", size " + hex_text(region.size);
    if ((region.flags & JH_MEM_IO) == 0) {
        check.add(
            error, "region-misaligned", cell, cell.region_text(index),
            what + ": memory must begin and end on a page (4 KiB)",
            "nothing at create; what is on a part of a page is emulated access by access: instruction fetches and "
            "wide accesses there trap",
            "round start and size to multiples of 0x1000");
    } else if (((region.phys_start ^ region.virt_start) & (cell_page_size - 1)) != 0) {
        check.add(error, "region-misaligned", cell, cell.region_text(index),
                  what + ": physical and virtual address differ inside their pages",
                  "the create (or enable) fails: Invalid argument", "make the lowest 12 bits of both the same");
    } else if ((region.flags & io_widths) == 0) {
        PredictedTrap trap{Kind::data_read, virtual_range(region), io_width_words, cell.name(), std::nullopt};
        check.add_trap(error, "io-width-missing", cell, cell.region_text(index),
                       what + ": a part of a page is emulated, and no access width is allowed", trap,
                       "add io-32 (and io-8 … where the device has such registers) to its flags");
    }
}

void check_rights(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_memory& region = cell.memory()[index];
    const uint64_t widths = region.flags & io_widths;
    if (region.size != 0 && (region.flags & JH_MEM_IO) != 0 && widths == 0 && !has_part_pages(region)) {
        check.add(note, "io-width-whole-page", cell, cell.region_text(index),
                  "an IO region without an access width: harmless as long as it covers whole pages", "",
                  "add io-32 to its flags");
    }
    if (widths != 0 && (region.flags & JH_MEM_IO) == 0) {
        check.add(warning, "io-flag-missing", cell, cell.region_text(index),
                  "an access width without the flag io has no meaning", "", "add io to its flags");
    }
    if (region.size != 0 && (region.flags & (read_write | JH_MEM_EXECUTE)) == 0) {
        PredictedTrap trap{Kind::data_read, virtual_range(region), io_width_words, cell.name(), std::nullopt};
        check.add_trap(error, "region-no-rights", cell, cell.region_text(index), "nobody may read, write or execute it",
                       trap, "add read (and write) to its flags");
    }
}

void check_virtual_overlaps(CellCheck& check, const CheckedCell& cell) {
    const auto& memory = cell.memory();
    for (size_t first = 0; first < memory.size(); ++first) {
        for (size_t second = first + 1; second < memory.size(); ++second) {
            const AddressRange shared = virtual_range(memory[first]).intersection(virtual_range(memory[second]));
            if (shared.empty()) {
                continue;
            }
            const bool same_place = memory[first].phys_start - memory[first].virt_start ==
                                    memory[second].phys_start - memory[second].virt_start;
            const bool comm = is_comm_region(memory[first]) || is_comm_region(memory[second]);
            check.add(same_place && !comm ? warning : error, comm ? "comm-region-overlap" : "virtual-overlap", cell,
                      cell.region_text(second),
                      "shares the cell's addresses " + shared.text() + " with " + cell.region_text(first) +
                          (same_place ? "" : ", and they map different memory: the later one wins"),
                      "nothing; the cell reads and writes the wrong memory",
                      "move one of them to other virtual addresses");
        }
    }
}

/// Memory of a cell that the root does not have: what `cell load` then writes to is not mapped in the root.
void check_owned_by_root(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_memory& region = cell.memory()[index];
    const auto foreign = not_of_root(check, physical_range(region), 0);
    const std::string place = cell.region_text(index);
    if ((region.flags & JH_MEM_LOADABLE) != 0) {
        const auto unwritable = not_of_root(check, physical_range(region), read_write);
        if (!unwritable.empty()) {
            PredictedTrap trap{Kind::data_write, unwritable.front(), 1, check.root().name(), std::nullopt};
            check.add_trap(error, "not-root-memory", cell, place,
                           unwritable.front().text() + " is loaded by the root cell, whose config " +
                               (foreign.empty() ? "does not let it write there" : "does not have this memory") +
                               ": create succeeds, `cell load` parks the root's CPU",
                           trap,
                           "move it into RAM that the system config gives the root (read write), or add that there");
        }
    } else if (!foreign.empty() && (region.flags & JH_MEM_IO) == 0) {
        check.add(error, "not-root-memory", cell, place,
                  foreign.front().text() + " is not in the system config: nobody keeps it from anyone",
                  "nothing at create; it may be memory of the firmware, or none at all",
                  "move it into memory of the root, or add that to the system config");
    } else if (!foreign.empty()) {
        check.add(warning, "not-root-device", cell, place,
                  foreign.front().text() +
                      " is not in the system config: the cell gets a device that the root never had",
                  "nothing", "add the device to the system config if the root is to have it while the cell is absent");
    }
}

void check_against_hypervisor(CellCheck& check, const CheckedCell& cell, size_t index) {
    const jh_memory& hypervisor = check.system().hypervisor_memory;
    const AddressRange shared = physical_range(cell.memory()[index]).intersection(physical_range(hypervisor));
    if (!shared.empty()) {
        check.add(error, "hypervisor-memory", cell, cell.region_text(index),
                  "maps " + shared.text() + " of the hypervisor's own memory " + physical_range(hypervisor).text(),
                  "nothing; a write there destroys the hypervisor", "end the region before the hypervisor's memory");
    }
}

void check_between_cells(CellCheck& check, const CheckedCell& first, const CheckedCell& second) {
    for (size_t left = 0; left < first.memory().size(); ++left) {
        for (size_t right = 0; right < second.memory().size(); ++right) {
            const jh_memory& one = first.memory()[left];
            const jh_memory& other = second.memory()[right];
            const AddressRange shared = physical_range(one).intersection(physical_range(other));
            const bool meant = (one.flags & other.flags & JH_MEM_ROOTSHARED) != 0;
            if (shared.empty() || meant || is_comm_region(one) || is_comm_region(other)) {
                continue;
            }
            const std::string what = "shares " + shared.text() + " with " + first.region_text(left) + " of cell \"" +
                                     first.name() + "\" (" + first.file() + ")";
            if ((other.flags & JH_MEM_LOADABLE) != 0 && (one.flags & JH_MEM_ROOTSHARED) == 0) {
                PredictedTrap trap{Kind::data_write, shared, 1, check.root().name(), std::nullopt};
                check.add_trap(error, "memory-overlap", second, second.region_text(right),
                               what +
                                   ": both are created, and loading the second parks the root's CPU, which no longer "
                                   "has that memory",
                               trap, "give each cell memory of its own");
            } else {
                check.add(error, "memory-overlap", second, second.region_text(right), what,
                          "nothing; each cell sees the other's writes",
                          "give each cell memory of its own, or mark both regions root-shared if sharing is meant");
            }
        }
    }
}

/// A name for the finding where Linux's RAM lacks a mapping in the root.
void check_root_ram(CellCheck& check) {
    for (const auto& [address, size] : check.board().table.linux_ram) {
        const AddressRange ram = AddressRange::of(address, size);
        const auto missing = not_of_root(check, ram, read_write | JH_MEM_EXECUTE);
        if (!missing.empty()) {
            const CheckedCell& root = check.root();
            const auto region = root.region_at(missing.front().start - 1);
            PredictedTrap trap{Kind::instruction, missing.front(), io_width_words, root.name(), std::nullopt};
            check.add_trap(error, "root-ram-short", root, region ? root.region_text(*region) : "memory",
                           "Linux uses the RAM " + ram.text() + ", of which the root does not map " +
                               missing.front().text() +
                               ": right after enable it parks at whatever it touches there first (code: instruction "
                               "abort; data: unhandled read or write)",
                           trap, "map all of Linux's RAM read write execute, or give the kernel less with mem=");
        }
    }
}

void check_image(CellCheck& check, const CheckedCell& cell, const CellImage& image) {
    const AddressRange range = AddressRange::of(image.load_address, image.size);
    const auto outside = cell.unmapped(range, JH_MEM_LOADABLE);
    if (outside.empty()) {
        return;
    }
    const auto region = cell.region_at(image.load_address);
    check.add(error, "image-outside-ram", cell, region ? cell.region_text(*region) : "memory",
              "an image of " + std::to_string(image.size) + " bytes at " + hex_text(image.load_address) + " needs " +
                  range.text() + ", of which " + outside.front().text() + " is not loadable memory of the cell",
              "JAILHOUSE_CELL_LOAD: Invalid argument (exit code 1); a start all the same runs into FATAL: instruction "
              "abort / FATAL: forbidden access (exception class 0x20)",
              "make the cell's loadable region at least " +
                  size_text((image.load_address + image.size + 0xfff) & ~0xfffull) + ", or load at another address");
}

void check_reset_address(CellCheck& check, const CheckedCell& cell) {
    const uint64_t reset = cell.config().cell.cpu_reset_address;
    const AddressRange entry = AddressRange::of(reset, 4);
    if (cell.unmapped(entry, JH_MEM_READ | JH_MEM_EXECUTE).empty()) {
        return;
    }
    const auto region = cell.region_at(reset);
    const auto cpus = cell.config().cpus();
    PredictedTrap trap{Kind::instruction, entry, 4, cell.name(),
                       cpus.size() == 1 ? std::optional<uint32_t>(cpus.front()) : std::nullopt};
    check.add_trap(error, "reset-unmapped", cell, region ? cell.region_text(*region) : "reset-address",
                   "the cell starts at " + hex_text(reset) + ", where it has no executable memory", trap,
                   region ? "add execute to the region's flags"
                          : "map the image's memory there, or change reset-address");
}

} // namespace

void check_regions(CellCheck& check) {
    for (const CheckedCell* cell : check.all()) {
        for (size_t index = 0; index < cell->memory().size(); ++index) {
            check_extent(check, *cell, index);
            check_alignment(check, *cell, index);
            check_rights(check, *cell, index);
            if (!is_comm_region(cell->memory()[index])) {
                check_against_hypervisor(check, *cell, index);
            }
        }
        check_virtual_overlaps(check, *cell);
    }
}

void check_ownership(CellCheck& check) {
    check_root_ram(check);
    const auto& cells = check.cells();
    for (size_t second = 0; second < cells.size(); ++second) {
        for (size_t index = 0; index < cells[second].memory().size(); ++index) {
            const jh_memory& region = cells[second].memory()[index];
            if (!is_comm_region(region) && region.size != 0) {
                check_owned_by_root(check, cells[second], index);
            }
        }
        for (size_t first = 0; first < second; ++first) {
            check_between_cells(check, cells[first], cells[second]);
        }
    }
}

void check_loading(CellCheck& check) {
    for (const CheckedCell& cell : check.cells()) {
        bool loadable = false;
        for (const jh_memory& region : cell.memory()) {
            loadable = loadable || (region.flags & JH_MEM_LOADABLE) != 0;
        }
        if (!loadable) {
            check.add(error, "no-loadable-memory", cell, "memory", "the cell has no loadable region",
                      "JAILHOUSE_CELL_LOAD: Invalid argument (exit code 1)", "add loadable to the flags of its RAM");
        }
        check_reset_address(check, cell);
        if (check.image()) {
            check_image(check, cell, *check.image());
        }
    }
}

} // namespace hil

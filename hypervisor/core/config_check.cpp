// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/config_check.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/pci_check.hpp"
#include "hypervisor/core/refusal.hpp"

#include <cstring>

namespace gaol {

namespace {

constexpr uint32_t cell_flags =
    JH_CELL_PASSIVE_COMMREG | JH_CELL_VIRTUAL_CONSOLE_PERMITTED | JH_CELL_VIRTUAL_CONSOLE_ACTIVE;
constexpr uint64_t memory_flags = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE | JH_MEM_DMA | JH_MEM_IO |
                                  JH_MEM_COMM_REGION | JH_MEM_LOADABLE | JH_MEM_ROOTSHARED | JH_MEM_NO_HUGEPAGES |
                                  JH_MEM_IO_UNALIGNED | JH_MEM_IO_8 | JH_MEM_IO_16 | JH_MEM_IO_32 | JH_MEM_IO_64;
constexpr uint64_t io_widths = JH_MEM_IO_8 | JH_MEM_IO_16 | JH_MEM_IO_32 | JH_MEM_IO_64;
constexpr uint16_t console_flags = JH_CONSOLE_MMIO | JH_CONSOLE_REGDIST_4 | JH_CONSOLE_INVERTED_GATE;
constexpr uint32_t max_entries = 1024; // of each array

int check_name(const jh_cell& cell) {
    const std::string_view name = name_of(cell);
    if (name.empty() || name.size() >= JH_CELL_NAME_SIZE) {
        return Refusal("?", JH_EINVAL) << "name: must have 1 to 31 characters and a NUL";
    }
    for (const char character : name) {
        if (character < ' ' || character > '~' || character == '"') {
            return Refusal("?", JH_EINVAL) << "name: has the character 0x" << hex(static_cast<uint8_t>(character))
                                           << ", allowed are printable ones without quotes";
        }
    }
    return 0;
}

/// A root cell's descriptor is part of the system config, whose header speaks for both.
int check_header(const jh_cell& cell, uint64_t available, bool root) {
    if (available < sizeof(jh_cell)) {
        return Refusal("?", JH_EINVAL) << "size: " << available << " bytes, a cell descriptor has "
                                       << uint64_t{sizeof(jh_cell)};
    }
    if (!root && std::memcmp(cell.signature, JH_CELL_SIGNATURE, JH_SIGNATURE_SIZE) != 0) {
        return Refusal("?", JH_EINVAL) << "signature: not " JH_CELL_SIGNATURE;
    }
    if (const int error = check_name(cell); error != 0) {
        return error;
    }
    if (!root && cell.revision != JH_CONFIG_REVISION) {
        return refuse(cell) << "revision: " << uint64_t{cell.revision} << ", supported is "
                            << uint64_t{JH_CONFIG_REVISION};
    }
    if (!root && cell.architecture != JH_ARCH_ARM64) {
        return refuse(cell) << "architecture: " << uint64_t{cell.architecture} << ", this machine is "
                            << uint64_t{JH_ARCH_ARM64} << " (arm64)";
    }
    if (!root && cell.id > INT32_MAX) { // the ioctls' ids are signed
        return refuse(cell) << "id: 0x" << hex(cell.id) << ", must be 1 to 0x7fffffff";
    }
    if ((cell.flags & ~cell_flags) != 0) {
        return refuse(cell) << "flags: 0x" << hex(cell.flags & ~cell_flags)
                            << (cell.flags & JH_CELL_AARCH32       ? " (AARCH32)"
                                : cell.flags & JH_CELL_TEST_DEVICE ? " (TEST_DEVICE)"
                                                                   : "")
                            << " not supported";
    }
    return 0;
}

int check_counts(const jh_cell& cell, uint64_t available) {
    struct Count {
        const char* name;
        uint32_t value;
        uint32_t most;
    };
    const Count counts[] = {
        {"cpu_set_size", cell.cpu_set_size, 64},          {"num_memory_regions", cell.num_memory_regions, max_entries},
        {"num_irqchips", cell.num_irqchips, max_entries}, {"num_pci_devices", cell.num_pci_devices, 64},
        {"num_cache_regions", cell.num_cache_regions, 0}, {"num_pio_regions", cell.num_pio_regions, 0},
        {"num_pci_caps", cell.num_pci_caps, 0},           {"num_stream_ids", cell.num_stream_ids, 0},
    };
    for (const auto& count : counts) {
        if (count.value > count.most) {
            return refuse(cell) << count.name << ": " << count.value << ", supported are " << count.most;
        }
    }
    if (CellConfig::size_of(cell) > available || CellConfig::size_of(cell) > max_config_size) {
        return refuse(cell) << "size: the arrays need " << CellConfig::size_of(cell) << " bytes, there are "
                            << available << ", the most is " << uint64_t{max_config_size};
    }
    return 0;
}

int check_cpus(const jh_cell& cell) {
    const auto bytes = CellConfig(&cell).cpu_bytes();
    bool any = false;
    for (size_t cpu = 0; cpu < bytes.size() * 8; ++cpu) {
        if ((bytes[cpu / 8] >> (cpu % 8) & 1) == 0) {
            continue;
        }
        any = true;
        if (cpu >= max_cpus || hypervisor().cpus[cpu] == nullptr) {
            return refuse(cell, JH_EBUSY)
                   << "cpu set: CPU " << uint64_t{cpu} << " is absent or was not online at enable";
        }
    }
    return any ? 0 : refuse(cell) << "cpu set: empty";
}

/// The cell's own console, which is passed on to it (comm_region.hpp): the hypervisor needs no driver for it.
int check_cell_console(const jh_cell& cell) {
    if (cell.console.type > JH_CONSOLE_SCIF) {
        return refuse(cell) << "console: type: " << uint64_t{cell.console.type} << " unknown";
    }
    const uint32_t unknown = cell.console.flags & ~uint32_t{console_flags};
    return unknown == 0 ? 0 : refuse(cell) << "console: flags: 0x" << hex(unknown) << " unknown";
}

/// Where a started cell begins, and what it is told.
int check_start(const jh_cell& cell) {
    if ((cell.cpu_reset_address & 3) != 0 || out_of_range(cell.cpu_reset_address, 4)) {
        return refuse(cell) << "cpu_reset_address: 0x" << hex(cell.cpu_reset_address) << " is no instruction's address";
    }
    return check_cell_console(cell);
}

/// Memory of the hypervisor's that a cell sees: where it is from is not the config's to say (phys_start is not used).
int check_comm_region(const jh_cell& cell, uint32_t index, const jh_memory& region, bool root) {
    const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "memory region ", index); };
    if (root || region.size != page_size || !page_aligned(region.virt_start)) {
        return say() << "COMM_REGION: virt_start 0x" << hex(region.virt_start) << ", size 0x" << hex(region.size)
                     << ": must be one aligned page of a cell that is not the root";
    }
    constexpr uint64_t senseless = JH_MEM_IO | JH_MEM_IO_UNALIGNED | JH_MEM_LOADABLE | io_widths;
    if ((region.flags & senseless) != 0) {
        return say() << "flags: 0x" << hex(region.flags & senseless) << " with COMM_REGION: neither IO nor LOADABLE";
    }
    return 0;
}

/// A region in pages that are not all its own: every access is carried out by the hypervisor.
int check_subpage(const jh_cell& cell, uint32_t index, const jh_memory& region) {
    const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "memory region ", index); };
    if ((region.flags & io_widths) == 0 || (region.flags & (JH_MEM_LOADABLE | JH_MEM_EXECUTE)) != 0) {
        return say() << "phys_start 0x" << hex(region.phys_start) << ", virt_start 0x" << hex(region.virt_start)
                     << ", size 0x" << hex(region.size) << ", flags 0x" << hex(region.flags)
                     << ": not page aligned, which needs IO_8, IO_16, IO_32 or IO_64, no LOADABLE, no EXECUTE";
    }
    if (((region.phys_start ^ region.virt_start) & 7) != 0) {
        return say() << "phys_start 0x" << hex(region.phys_start) << " and virt_start 0x" << hex(region.virt_start)
                     << ": a sub-page region must keep its alignment";
    }
    return 0;
}

int check_region(const jh_cell& cell, uint32_t index, const jh_memory& region, bool root) {
    const auto say = [&cell, index](int error = JH_EINVAL) {
        return Refusal(name_of(cell), error, "memory region ", index);
    };
    const uint64_t unknown = region.flags & ~memory_flags;
    if (unknown != 0) {
        return say() << "flags: 0x" << hex(unknown) << " unknown";
    }
    if (out_of_range(region.virt_start, region.size)) {
        return say() << "virt_start 0x" << hex(region.virt_start) << " with size 0x" << hex(region.size)
                     << ": beyond the cell's " << arch::address_bits() << "-bit space";
    }
    if ((region.flags & JH_MEM_COMM_REGION) != 0) {
        return check_comm_region(cell, index, region, root);
    }
    if (out_of_range(region.phys_start, region.size)) {
        return say() << "phys_start 0x" << hex(region.phys_start) << " with size 0x" << hex(region.size)
                     << ": beyond the machine's " << arch::address_bits() << "-bit space";
    }
    if (const int error = is_subpage(region) ? check_subpage(cell, index, region) : 0; error != 0) {
        return error;
    }
    const PhysRange range{PhysAddr{region.phys_start}, region.size};
    if (range.overlaps(hypervisor().memory) || arch::reserved_for_hypervisor(range)) {
        return say(JH_EBUSY) << "phys_start 0x" << hex(region.phys_start)
                             << ": overlaps the hypervisor's memory or the interrupt controller";
    }
    return 0;
}

/// Two regions may share guest addresses only when they agree on what is there.
bool contradict(const jh_memory& a, const jh_memory& b) {
    const bool overlap = a.virt_start < b.virt_start + b.size && b.virt_start < a.virt_start + a.size;
    const bool comm = ((a.flags | b.flags) & JH_MEM_COMM_REGION) != 0;
    return overlap && (comm || a.virt_start - a.phys_start != b.virt_start - b.phys_start);
}

int check_memory(const jh_cell& cell, bool root) {
    const auto regions = CellConfig(&cell).memory();
    uint32_t comm_regions = 0;
    for (uint32_t index = 0; index < regions.size(); ++index) {
        if (const int error = check_region(cell, index, regions[index], root); error != 0) {
            return error;
        }
        comm_regions += (regions[index].flags & JH_MEM_COMM_REGION) != 0 ? 1 : 0;
        for (uint32_t other = 0; other < index; ++other) {
            if (contradict(regions[index], regions[other])) {
                return Refusal(name_of(cell), JH_EINVAL, "memory region ", index)
                       << "virt_start 0x" << hex(regions[index].virt_start) << ": overlaps memory region " << other;
            }
        }
    }
    return comm_regions <= 1 ? 0 : refuse(cell) << "memory: " << comm_regions << " COMM_REGIONs, there can be one";
}

int check_irqchips(const jh_cell& cell) {
    const auto chips = CellConfig(&cell).irqchips();
    for (uint32_t index = 0; index < chips.size(); ++index) {
        const jh_irqchip& chip = chips[index];
        const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "irqchip ", index); };
        if (chip.address != hypervisor().platform().arm.gicd_base) {
            return say() << "address: 0x" << hex(chip.address) << ", the platform's distributor is at 0x"
                         << hex(hypervisor().platform().arm.gicd_base);
        }
        if (chip.id != 0) {
            return say() << "id: " << uint32_t{chip.id} << ", must be 0: the GIC has none";
        }
        if (chip.pin_base < first_spi || chip.pin_base % 32 != 0 || chip.pin_base >= arch::interrupt_limit()) {
            return say() << "pin_base: " << uint32_t{chip.pin_base} << ", must be a multiple of 32 from 32 on below "
                         << arch::interrupt_limit();
        }
        for (uint32_t bit = 0; bit < 128; ++bit) {
            const bool wanted = (chip.pin_bitmap[bit / 32] >> (bit % 32) & 1) != 0;
            if (wanted && uint64_t{chip.pin_base} + bit >= arch::interrupt_limit()) {
                return say() << "pin_bitmap: interrupt " << uint64_t{chip.pin_base} + bit << ", the controller has "
                             << arch::interrupt_limit();
            }
        }
    }
    return 0;
}

int check_body(const jh_cell& cell, uint64_t available, bool root) {
    if (const int error = check_header(cell, available, root); error != 0) {
        return error;
    }
    if (const int error = check_counts(cell, available); error != 0) {
        return error;
    }
    if (const int error = check_cpus(cell); error != 0) {
        return error;
    }
    if (const int error = check_memory(cell, root); error != 0) {
        return error;
    }
    if (const int error = check_irqchips(cell); error != 0) {
        return error;
    }
    if (const int error = check_pci(cell); error != 0) {
        return error;
    }
    return root ? 0 : check_start(cell);
}

} // namespace

bool out_of_range(uint64_t start, uint64_t size) {
    const uint64_t limit = uint64_t{1} << arch::address_bits();
    return start >= limit || size > limit || start + size > limit;
}

int check_cell(const jh_cell& cell, uint64_t available) {
    return check_body(cell, available, false);
}

int check_root(const jh_system& system, uint64_t available, const CpuSet& online) {
    const jh_cell& cell = system.root_cell;
    if (const int error = check_body(cell, available - offsetof(jh_system, root_cell), true); error != 0) {
        return error;
    }
    return CellConfig(&cell).cpus() == online ? 0 : refuse(cell) << "cpu set: differs from the CPUs that are online";
}

int check_claims(const CellConfig& config) {
    const jh_cell& cell = config.descriptor();
    Hypervisor& hv = hypervisor();
    for (const Cell* other = &hv.root; other != nullptr; other = other->next) {
        if (other->name() == config.name()) {
            return refuse(cell, JH_EEXIST) << "name: there is such a cell";
        }
        if (other->id == cell.id) {
            return refuse(cell, JH_EEXIST) << "id: " << uint32_t{cell.id} << " is cell \"" << other->name() << '"';
        }
    }
    const CpuSet cpus = config.cpus();
    for (size_t cpu = cpus.next(); cpu < max_cpus; cpu = cpus.next(cpu + 1)) {
        if (!hv.root.cpus.test(cpu) || hv.cpus[cpu]->state != CpuState::off) {
            return refuse(cell, JH_EBUSY) << "cpu set: CPU " << uint64_t{cpu}
                                          << (hv.root.cpus.test(cpu) ? " is online in the root cell" : " is taken");
        }
    }
    const auto regions = config.memory();
    for (uint32_t index = 0; index < regions.size(); ++index) {
        const jh_memory& region = regions[index];
        const PhysRange range{PhysAddr{region.phys_start}, region.size};
        const auto say = [&cell, index](int error) { return Refusal(name_of(cell), error, "memory region ", index); };
        if ((region.flags & JH_MEM_COMM_REGION) != 0 || region.size == 0) {
            continue;
        }
        if (const Cell* owner = exclusive_owner(range); owner != nullptr) {
            return say(JH_EBUSY) << "phys_start 0x" << hex(region.phys_start) << ": overlaps memory of cell \""
                                 << owner->name() << '"';
        }
        const bool ram = (region.flags & JH_MEM_IO) == 0 && !is_subpage(region);
        if (ram && !root_has(range)) {
            return say(JH_EINVAL) << "phys_start 0x" << hex(region.phys_start) << ", size 0x" << hex(region.size)
                                  << ": not all of it is memory of the root cell";
        }
    }
    return 0;
}

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/config_check.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/vpci.hpp"

#include <cstring>

namespace gaol {

namespace {

constexpr uint32_t cell_flags =
    JH_CELL_PASSIVE_COMMREG | JH_CELL_VIRTUAL_CONSOLE_PERMITTED | JH_CELL_VIRTUAL_CONSOLE_ACTIVE;
constexpr uint64_t memory_flags = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE | JH_MEM_DMA | JH_MEM_IO |
                                  JH_MEM_COMM_REGION | JH_MEM_LOADABLE | JH_MEM_ROOTSHARED | JH_MEM_NO_HUGEPAGES |
                                  JH_MEM_IO_UNALIGNED | JH_MEM_IO_8 | JH_MEM_IO_16 | JH_MEM_IO_32 | JH_MEM_IO_64;
constexpr uint32_t max_entries = 1024; // of each array

/// One line "Config of cell "x" refused: <where>: <what>", and the errno to return.
class Refusal {
  public:
    Refusal(std::string_view cell, int error) : error_(error) { out_ << "Config of cell \"" << cell << "\" refused: "; }
    Refusal(std::string_view cell, int error, const char* array, uint32_t index) : Refusal(cell, error) {
        out_ << array << index << ": ";
    }
    ~Refusal() { out_ << '\n'; }
    Refusal(const Refusal&) = delete;
    Refusal& operator=(const Refusal&) = delete;
    template <typename T> Refusal& operator<<(T value) {
        out_ << value;
        return *this;
    }
    operator int() const { return -error_; } // NOLINT: reads as `return Refusal(…) << …`

  private:
    ConsoleOut out_;
    int error_;
};

std::string_view name_of(const jh_cell& cell) {
    return CellConfig(&cell).name();
}

Refusal refuse(const jh_cell& cell, int error = JH_EINVAL) {
    return {name_of(cell), error};
}

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

/// Does [start, start + size) wrap or leave the machine's address space?
bool out_of_range(uint64_t start, uint64_t size) {
    const uint64_t limit = uint64_t{1} << arch::address_bits();
    return start >= limit || size > limit || start + size > limit;
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
        if (root || region.size != page_size || !page_aligned(region.virt_start)) {
            return say() << "COMM_REGION: must be one aligned page of a cell that is not the root";
        }
        return 0;
    }
    if (out_of_range(region.phys_start, region.size)) {
        return say() << "phys_start 0x" << hex(region.phys_start) << " with size 0x" << hex(region.size)
                     << ": beyond the machine's " << arch::address_bits() << "-bit space";
    }
    const uint64_t widths = region.flags & (JH_MEM_IO_8 | JH_MEM_IO_16 | JH_MEM_IO_32 | JH_MEM_IO_64);
    if (is_subpage(region) && (widths == 0 || (region.flags & JH_MEM_LOADABLE) != 0)) {
        return say() << "phys_start 0x" << hex(region.phys_start) << ", virt_start 0x" << hex(region.virt_start)
                     << ", size 0x" << hex(region.size)
                     << ": not page aligned, which needs IO_8, IO_16, IO_32 or IO_64";
    }
    if (is_subpage(region) && ((region.phys_start ^ region.virt_start) & 7) != 0) {
        return say() << "phys_start 0x" << hex(region.phys_start) << " and virt_start 0x" << hex(region.virt_start)
                     << ": a sub-page region must keep its alignment";
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
        if (chip.pin_base < first_spi || chip.pin_base % 32 != 0) {
            return say() << "pin_base: " << uint32_t{chip.pin_base} << ", must be a multiple of 32 from 32 on";
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

constexpr uint32_t none = ~0u;

/// A region that lets the cell write into physical memory of `section`, or none.
uint32_t writable_at(std::span<const jh_memory> regions, const jh_memory& section) {
    const PhysRange range{PhysAddr{section.phys_start}, section.size};
    for (uint32_t index = 0; index < regions.size(); ++index) {
        const jh_memory& other = regions[index];
        if ((other.flags & JH_MEM_WRITE) != 0 && (other.flags & JH_MEM_COMM_REGION) == 0 &&
            range.overlaps({PhysAddr{other.phys_start}, other.size})) {
            return index;
        }
    }
    return none;
}

/// The sections behind one ivshmem device.
int check_sections(const jh_cell& cell, uint32_t index, const jh_pci_device& device) {
    const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "pci device ", index); };
    const auto regions = CellConfig(&cell).memory();
    const uint64_t needed = 2u + device.shmem_peers;
    if (device.shmem_regions_start + needed > regions.size()) {
        return say() << "shmem_regions_start: " << uint32_t{device.shmem_regions_start} << " with " << needed
                     << " sections, there are " << uint64_t{regions.size()} << " memory regions";
    }
    const auto sections = regions.subspan(device.shmem_regions_start, needed);
    if (sections[0].size < uint64_t{device.shmem_peers} * 4 || (sections[0].flags & JH_MEM_WRITE) != 0) {
        return say() << "state table (memory region " << uint32_t{device.shmem_regions_start}
                     << "): must have four bytes a peer and no WRITE flag";
    }
    if (const uint32_t other = writable_at(regions, sections[0]); other != none) {
        return say() << "state table (memory region " << uint32_t{device.shmem_regions_start}
                     << "): must be read-only, but memory region " << other << " makes it writable";
    }
    uint64_t next_virt = sections[0].virt_start + sections[0].size;
    for (uint32_t section = 1; section < needed; ++section) {
        const jh_memory& region = sections[section];
        const uint32_t number = device.shmem_regions_start + section;
        if (is_subpage(region) || is_subpage(sections[0])) {
            return say() << "section (memory region " << number << "): not page aligned";
        }
        if (region.size != 0 && region.virt_start != next_virt) {
            return say() << "section (memory region " << number << "): virt_start 0x" << hex(region.virt_start)
                         << ", must follow the section before it at 0x" << hex(next_virt);
        }
        next_virt += region.size;
        if (const uint32_t other = writable_at(regions, region); (region.flags & JH_MEM_WRITE) == 0 && other != none) {
            return say() << "section (memory region " << number << "): read-only, but memory region " << other
                         << " makes it writable";
        }
        const bool peer_output = section >= 2 && section - 2 != device.shmem_dev_id;
        if (peer_output && (region.flags & JH_MEM_WRITE) != 0) {
            return say() << "section (memory region " << number << "): output section of peer " << section - 2
                         << " must not have the WRITE flag";
        }
        if (section > 2 && region.size != sections[2].size) {
            return say() << "section (memory region " << number << "): output sections differ in size";
        }
    }
    return 0;
}

int check_pci(const jh_cell& cell) {
    const auto devices = CellConfig(&cell).pci_devices();
    const jh_platform& platform = hypervisor().platform();
    for (uint32_t index = 0; index < devices.size(); ++index) {
        const jh_pci_device& device = devices[index];
        const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "pci device ", index); };
        if (device.type != JH_PCI_IVSHMEM || platform.pci_is_virtual == 0) {
            return say() << "type: " << uint64_t{device.type} << ", supported is " << int{JH_PCI_IVSHMEM}
                         << " (ivshmem) on a virtual bus";
        }
        if (device.bdf >> 8 > platform.pci_mmconfig_end_bus || device.domain != platform.pci_domain) {
            return say() << "bdf: " << PciName{device.bdf} << " in domain " << uint64_t{device.domain}
                         << " is not on the platform's bus";
        }
        for (uint32_t other = 0; other < index; ++other) {
            if (devices[other].bdf == device.bdf) {
                return say() << "bdf: " << PciName{device.bdf} << " is pci device " << other << " too";
            }
        }
        if (device.shmem_peers < 2 || device.shmem_peers > max_peers || device.shmem_dev_id >= device.shmem_peers) {
            return say() << "shmem_dev_id: " << uint64_t{device.shmem_dev_id}
                         << " of shmem_peers: " << uint64_t{device.shmem_peers}
                         << ", must be 2 to 16 peers and an id below";
        }
        const uint32_t bar_size = ~device.bar_mask[0] + 1;
        if (bar_size < page_size || (bar_size & (bar_size - 1)) != 0) {
            return say() << "bar_mask[0]: 0x" << hex(device.bar_mask[0]) << ", must leave a page or more";
        }
        if (device.num_msix_vectors != 0 || device.num_msi_vectors != 0) {
            return say() << "num_msix_vectors: " << uint64_t{device.num_msix_vectors}
                         << ", this platform has INTx alone";
        }
        if (const int error = check_sections(cell, index, device); error != 0) {
            return error;
        }
    }
    const uint64_t last = uint64_t{first_spi} + cell.vpci_irq_base + 3;
    if (!devices.empty() && last >= arch::interrupt_limit()) {
        return refuse(cell) << "vpci_irq_base: " << uint32_t{cell.vpci_irq_base} << ", the controller has "
                            << arch::interrupt_limit() << " interrupts";
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
    if ((cell.cpu_reset_address & 3) != 0 || out_of_range(cell.cpu_reset_address, 4)) {
        return refuse(cell) << "cpu_reset_address: 0x" << hex(cell.cpu_reset_address) << " is no instruction's address";
    }
    return 0;
}

int check_platform_fields(const jh_system& system) {
    const jh_cell& cell = system.root_cell;
    const jh_platform& platform = system.platform;
    for (uint32_t unit = 0; unit < JH_MAX_IOMMU_UNITS; ++unit) {
        if (platform.iommu_units[unit].type != JH_IOMMU_NONE) {
            return Refusal(name_of(cell), JH_EINVAL, "iommu unit ", unit)
                   << "type: " << uint32_t{platform.iommu_units[unit].type} << ", no IOMMU is supported";
        }
    }
    if (platform.arm.gic_version != 3) {
        return refuse(cell) << "gic_version: " << uint64_t{platform.arm.gic_version} << ", supported is 3";
    }
    if (!page_aligned(platform.arm.gicd_base) || !page_aligned(platform.arm.gicr_base) || platform.arm.gicd_base == 0 ||
        platform.arm.gicr_base == 0) {
        return refuse(cell) << "gicd_base, gicr_base: 0x" << hex(platform.arm.gicd_base) << ", 0x"
                            << hex(platform.arm.gicr_base) << " are no page addresses";
    }
    if (platform.arm.maintenance_irq < 16 || platform.arm.maintenance_irq > 31) {
        return refuse(cell) << "maintenance_irq: " << uint64_t{platform.arm.maintenance_irq}
                            << ", must be a PPI (16-31)";
    }
    if (!Uart::supported(system.debug_console)) {
        return refuse(cell) << "debug_console: type " << uint64_t{system.debug_console.type} << " with flags 0x"
                            << hex(system.debug_console.flags) << ", supported are none, 8250 and pl011 over MMIO";
    }
    return 0;
}

} // namespace

int check_cell(const jh_cell& cell, uint64_t available) {
    return check_body(cell, available, false);
}

int check_platform(const jh_system& system, uint64_t available, PhysRange memory) {
    if (available < sizeof(jh_system)) {
        return Refusal("?", JH_EINVAL) << "size: " << available << " bytes, a system config has "
                                       << uint64_t{sizeof(jh_system)};
    }
    const jh_cell& cell = system.root_cell;
    if (std::memcmp(system.signature, JH_SYSTEM_SIGNATURE, JH_SIGNATURE_SIZE) != 0 ||
        system.revision != JH_CONFIG_REVISION || system.architecture != JH_ARCH_ARM64) {
        return refuse(cell) << "signature, revision, architecture: not " JH_SYSTEM_SIGNATURE ", "
                            << uint64_t{JH_CONFIG_REVISION} << ", " << int{JH_ARCH_ARM64};
    }
    if ((system.flags & ~JH_SYS_VIRTUAL_CONSOLE) != 0) {
        return refuse(cell) << "system flags: 0x" << hex(system.flags) << " unknown";
    }
    if (system.hypervisor_memory.phys_start != memory.start.value || system.hypervisor_memory.size != memory.size) {
        return refuse(cell) << "hypervisor_memory: 0x" << hex(system.hypervisor_memory.phys_start)
                            << ", but the image runs at 0x" << hex(memory.start.value);
    }
    return check_platform_fields(system);
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

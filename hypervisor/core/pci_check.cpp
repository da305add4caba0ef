// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/pci_check.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/memory_map.hpp"
#include "hypervisor/core/refusal.hpp"
#include "hypervisor/core/vpci.hpp"

namespace gaol {

namespace {

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
    for (uint32_t section = 0; section < needed; ++section) {
        if ((sections[section].flags & JH_MEM_COMM_REGION) != 0) { // its phys_start means nothing and is not checked
            return say() << "section (memory region " << device.shmem_regions_start + section << "): is COMM_REGION";
        }
    }
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

/// Fields of the machine's own devices and of MSI, which an ivshmem device on INTx has no use for.
int check_unused_fields(const jh_cell& cell, uint32_t index, const jh_pci_device& device) {
    struct Field {
        const char* name;
        uint64_t value;
    };
    const Field fields[] = {
        {"iommu", device.iommu},
        {"bar_mask[1]", device.bar_mask[1]},
        {"bar_mask[2]", device.bar_mask[2]},
        {"bar_mask[3]", device.bar_mask[3]},
        {"bar_mask[4]", device.bar_mask[4]},
        {"bar_mask[5]", device.bar_mask[5]},
        {"caps_start", device.caps_start},
        {"num_caps", device.num_caps},
        {"num_msi_vectors", device.num_msi_vectors},
        {"msi_flags", device.msi_flags},
        {"num_msix_vectors", device.num_msix_vectors},
        {"msix_region_size", device.msix_region_size},
        {"msix_address", device.msix_address},
    };
    for (const auto& field : fields) {
        if (field.value != 0) {
            return Refusal(name_of(cell), JH_EINVAL, "pci device ", index)
                   << field.name << ": 0x" << hex(field.value)
                   << ", must be 0: an ivshmem device has BAR 0 and INTx here";
        }
    }
    return 0;
}

/// Where the device is on the bus, among `before`, those in front of it.
int check_place(const jh_cell& cell, uint32_t index, std::span<const jh_pci_device> before,
                const jh_pci_device& device) {
    const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "pci device ", index); };
    const jh_platform& platform = hypervisor().platform();
    if (device.type != JH_PCI_IVSHMEM || platform.pci_is_virtual == 0 || platform.pci_mmconfig_base == 0) {
        return say() << "type: " << uint64_t{device.type} << ", supported is " << int{JH_PCI_IVSHMEM}
                     << " (ivshmem) on a virtual bus (pci_is_virtual, pci_mmconfig_base)";
    }
    if (device.domain != platform.pci_domain) {
        return say() << "domain: " << uint64_t{device.domain} << ", the platform's pci_domain is "
                     << uint64_t{platform.pci_domain};
    }
    if (device.bdf >> 8 > platform.pci_mmconfig_end_bus) {
        return say() << "bdf: " << PciName{device.bdf} << " is behind the platform's pci_mmconfig_end_bus "
                     << uint64_t{platform.pci_mmconfig_end_bus};
    }
    for (uint32_t other = 0; other < before.size(); ++other) {
        if (before[other].bdf == device.bdf) {
            return say() << "bdf: " << PciName{device.bdf} << " is pci device " << other << " too";
        }
    }
    return 0;
}

/// What is ivshmem's own.
int check_end(const jh_cell& cell, uint32_t index, const jh_pci_device& device) {
    const auto say = [&cell, index] { return Refusal(name_of(cell), JH_EINVAL, "pci device ", index); };
    if (device.shmem_peers < 2 || device.shmem_peers > max_peers) {
        return say() << "shmem_peers: " << uint64_t{device.shmem_peers} << ", must be 2 to " << uint64_t{max_peers};
    }
    if (device.shmem_dev_id >= device.shmem_peers) {
        return say() << "shmem_dev_id: " << uint64_t{device.shmem_dev_id} << ", must be below shmem_peers, "
                     << uint64_t{device.shmem_peers};
    }
    const uint32_t bar_size = ~device.bar_mask[0] + 1;
    if (bar_size < page_size || (bar_size & (bar_size - 1)) != 0) {
        return say() << "bar_mask[0]: 0x" << hex(device.bar_mask[0]) << ", must leave a page or more";
    }
    return check_sections(cell, index, device);
}

} // namespace

int check_pci(const jh_cell& cell) {
    const auto devices = CellConfig(&cell).pci_devices();
    for (uint32_t index = 0; index < devices.size(); ++index) {
        const jh_pci_device& device = devices[index];
        if (const int error = check_place(cell, index, devices.first(index), device); error != 0) {
            return error;
        }
        if (const int error = check_unused_fields(cell, index, device); error != 0) {
            return error;
        }
        if (const int error = check_end(cell, index, device); error != 0) {
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

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// Config space layout: PCI Local Bus Specification 3.0, chapter 6; the vendor capability: ivshmem-v2 specification.
#include "hypervisor/core/vpci.hpp"

#include "abi/ivshmem.h"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

constexpr uint32_t reg_command = 0x04;
constexpr uint32_t reg_bar0 = 0x10;
constexpr uint32_t reg_capability = 0x40;
constexpr uint16_t command_writable = 0x406; // memory, bus master, INTx disable
constexpr uint32_t status_capabilities = 0x0010u << 16;
constexpr uint32_t header_multi_function = 0x80u << 16;
constexpr uint32_t function_size = 0x1000;

/// Is another function of the cell in the device's slot?
bool has_sibling(const IvshmemDevice& device) {
    for (const auto& other : device.cell->pci()) {
        if (&other != &device && other.config->bdf >> 3 == device.config->bdf >> 3) {
            return true;
        }
    }
    return false;
}

/// Aligned 32-bit word of a device's config space.
uint32_t config_word(const IvshmemDevice& device, uint32_t reg) {
    const uint32_t capability = reg - reg_capability;
    if (reg >= reg_capability && capability < IVSHMEM_CAP_LENGTH) {
        switch (capability) {
        case 0:
            return IVSHMEM_CAP_ID | IVSHMEM_CAP_LENGTH << 16 | uint32_t{device.control} << 24;
        case IVSHMEM_CAP_STATE_TABLE_SIZE:
            return static_cast<uint32_t>(device.state_table_size());
        case IVSHMEM_CAP_RW_SECTION_SIZE:
            return static_cast<uint32_t>(device.rw_size());
        case IVSHMEM_CAP_RW_SECTION_SIZE + 4:
            return static_cast<uint32_t>(device.rw_size() >> 32);
        case IVSHMEM_CAP_OUTPUT_SECTION_SIZE:
            return static_cast<uint32_t>(device.output_size());
        case IVSHMEM_CAP_OUTPUT_SECTION_SIZE + 4:
            return static_cast<uint32_t>(device.output_size() >> 32);
        case IVSHMEM_CAP_BASE_ADDRESS:
            return static_cast<uint32_t>(device.base());
        default:
            return static_cast<uint32_t>(device.base() >> 32);
        }
    }
    switch (reg) {
    case 0x00:
    case 0x2c:
        return IVSHMEM_VENDOR_ID | IVSHMEM_DEVICE_ID << 16;
    case reg_command:
        return device.command | status_capabilities;
    case 0x08:
        return uint32_t{IVSHMEM_CLASS} << 24 | uint32_t{device.config->shmem_protocol} << 8;
    case 0x0c:
        return has_sibling(device) ? header_multi_function : 0;
    case reg_bar0:
        return device.bar0;
    case 0x34:
        return reg_capability;
    case 0x3c:
        return (((device.config->bdf >> 3) & 3u) + 1) << 8; // interrupt pin
    default:
        return 0;
    }
}

/// Registers that drivers may write though nothing changes: cache line size, latency, BARs, ROM, interrupt line.
bool write_ignored(uint32_t reg) {
    return reg == 0x0c || (reg > reg_bar0 && reg <= 0x24) || reg == 0x30 || reg == 0x3c;
}

uint32_t size_mask(unsigned size) {
    return size >= 4 ? ~0u : (1u << (8 * size)) - 1;
}

MmioResult config_write(IvshmemDevice& device, uint32_t reg, unsigned size, uint32_t value) {
    const unsigned shift = 8 * (reg & 3);
    const uint32_t mask = size_mask(size) << shift;
    const uint32_t bits = value << shift & mask;
    const LockGuard guard(device.link->lock);
    switch (reg & ~3u) {
    case reg_command: {
        const uint32_t writable = mask & command_writable;
        device.command = static_cast<uint16_t>((device.command & ~writable) | (bits & writable));
        return MmioResult::done;
    }
    case reg_bar0:
        device.bar0 = ((device.bar0 & ~mask) | bits) & device.config->bar_mask[0];
        return MmioResult::done;
    case reg_capability:
        if (reg == reg_capability + IVSHMEM_CAP_PRIVILEGED_CONTROL) {
            device.control = static_cast<uint8_t>(value & IVSHMEM_CONTROL_ONE_SHOT);
            return MmioResult::done;
        }
        return MmioResult::forbidden;
    default:
        return write_ignored(reg & ~3u) ? MmioResult::done : MmioResult::forbidden;
    }
}

MmioResult config_access(Cell& cell, MmioAccess& access) {
    const auto bdf = static_cast<uint16_t>(access.address >> 12);
    const auto reg = static_cast<uint32_t>(access.address & (function_size - 1));
    if (reg + access.size > function_size) {
        return MmioResult::forbidden; // half of it would be the next function's, which may be there
    }
    for (auto& device : cell.pci()) {
        if (device.config->bdf != bdf) {
            continue;
        }
        if (access.size > 4 || reg % access.size != 0) {
            return MmioResult::forbidden;
        }
        if (access.write) {
            return config_write(device, reg, access.size, static_cast<uint32_t>(access.value));
        }
        access.value = config_word(device, reg & ~3u) >> (8 * (reg & 3)) & size_mask(access.size);
        return MmioResult::done;
    }
    access.value = ~uint64_t{0}; // no such function
    return MmioResult::done;
}

} // namespace

Text& operator<<(Text& out, PciName name) {
    return out << hex(name.bdf >> 8, 2) << ':' << hex((name.bdf >> 3) & 0x1f, 2) << '.' << hex(name.bdf & 7);
}

int vpci_create(Cell& cell) {
    const auto configs = cell.config.pci_devices();
    if (configs.empty()) {
        return 0;
    }
    Hypervisor& hv = hypervisor();
    cell.device_pages = page_up(configs.size() * sizeof(IvshmemDevice)) / page_size;
    cell.devices = static_cast<IvshmemDevice*>(hv.pool.allocate(cell.device_pages));
    if (cell.devices == nullptr) {
        return -JH_ENOMEM;
    }
    for (const auto& config : configs) {
        ConsoleOut() << "Adding virtual PCI device " << PciName{config.bdf} << " to cell \"" << cell.name() << "\"\n";
        IvshmemDevice& device = cell.devices[cell.device_count];
        device = IvshmemDevice{};
        device.cell = &cell;
        device.config = &config;
        device.interrupt = first_spi + cell.config.descriptor().vpci_irq_base + ((config.bdf >> 3) & 3u);
        if (const int error = ivshmem_connect(device); error != 0) {
            vpci_destroy(cell);
            return error;
        }
        ++cell.device_count;
    }
    return 0;
}

void vpci_destroy(Cell& cell) {
    for (auto& device : cell.pci()) {
        ivshmem_disconnect(device);
    }
    hypervisor().pool.release(cell.devices, cell.device_pages);
    cell.devices = nullptr;
    cell.device_count = 0;
}

void vpci_reset(Cell& cell) {
    for (auto& device : cell.pci()) {
        device.reset();
    }
}

void vpci_describe(Text& out, const MmioAccess& access) {
    const uint64_t offset = access.address - hypervisor().platform().pci_mmconfig_base;
    out << "FATAL: Invalid PCI MMCONFIG " << (access.write ? "write" : "read") << ", device "
        << PciName{static_cast<uint16_t>(offset >> 12)} << ", reg: 0x" << hex(offset & 0xfff)
        << ", size: " << access.size << '\n';
}

MmioResult vpci_access(Cell& cell, MmioAccess& access) {
    for (auto& device : cell.pci()) { // first: a doorbell is what must be quick
        const uint64_t offset = access.address - device.bar0;
        if (device.memory_enabled() && offset < device.bar_size()) {
            MmioAccess inner = access.at(offset);
            const MmioResult result = device.registers(inner);
            access.value = inner.value;
            return result;
        }
    }
    const jh_platform& platform = hypervisor().platform();
    const uint64_t ecam_size = (uint64_t{platform.pci_mmconfig_end_bus} + 1) << 20;
    if (platform.pci_mmconfig_base == 0 || access.address - platform.pci_mmconfig_base >= ecam_size) {
        return MmioResult::unclaimed;
    }
    MmioAccess inner = access.at(access.address - platform.pci_mmconfig_base);
    const MmioResult result = config_access(cell, inner);
    access.value = inner.value;
    return result;
}

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// The part of a system config that is about the machine.
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/config_check.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/refusal.hpp"

#include <algorithm>
#include <cstring>

namespace gaol {

namespace {

constexpr uint64_t memory_flags = 0x000f81ff; // all that there are
constexpr uint64_t bus_size = 1u << 20;       // of a bus in the configuration window

/// What is wrong with a console's config; `field` is null when nothing is.
struct UartFault {
    const char* field;
    uint64_t found;
    const char* allowed;
};

/// Says nothing: it is asked when there is no console yet.
UartFault find_fault(const jh_console& console, PhysRange memory) {
    const bool has_divider = console.type == JH_CONSOLE_8250;
    if (console.type == JH_CONSOLE_NONE) {
        return {};
    }
    if (console.type != JH_CONSOLE_PL011 && console.type != JH_CONSOLE_8250) {
        return {"type", console.type, "supported are 0 (none), 2 (8250) and 3 (pl011)"};
    }
    if ((console.flags & ~JH_CONSOLE_REGDIST_4) != JH_CONSOLE_MMIO) {
        return {"flags", console.flags, "must be MMIO, with REGDIST_4 or without"};
    }
    if (console.clock_reg != 0) {
        return {"clock_reg", console.clock_reg, "must be 0: clock gates are not supported, Linux opens its console's"};
    }
    if (console.gate_nr != 0) {
        return {"gate_nr", console.gate_nr, "must be 0: clock gates are not supported"};
    }
    if (console.divider > (has_divider ? 0xffffu : 0u)) {
        return {"divider", console.divider, "must be at most 0xffff for an 8250, 0 for a pl011"};
    }
    if (console.size < Uart::registers_size(console) || console.size > Uart::most_size) {
        return {"size", console.size, "must hold the UART's registers, in at most 16 MiB"};
    }
    if (console.address % 4 != 0 || out_of_range(console.address, console.size) ||
        memory.overlaps({PhysAddr{console.address}, console.size})) {
        return {"address", console.address, "must be aligned to 4, in the machine and outside the hypervisor's memory"};
    }
    return {};
}

int check_header(const jh_system& system) {
    const jh_cell& cell = system.root_cell;
    if (std::memcmp(system.signature, JH_SYSTEM_SIGNATURE, JH_SIGNATURE_SIZE) != 0) {
        return refuse(cell) << "signature: not " JH_SYSTEM_SIGNATURE;
    }
    if (system.revision != JH_CONFIG_REVISION) {
        return refuse(cell) << "revision: " << uint64_t{system.revision} << ", supported is "
                            << uint64_t{JH_CONFIG_REVISION};
    }
    if (system.architecture != JH_ARCH_ARM64) {
        return refuse(cell) << "architecture: " << uint64_t{system.architecture} << ", this machine is "
                            << uint64_t{JH_ARCH_ARM64} << " (arm64)";
    }
    if ((system.flags & ~JH_SYS_VIRTUAL_CONSOLE) != 0) {
        return refuse(cell) << "system flags: 0x" << hex(system.flags & ~JH_SYS_VIRTUAL_CONSOLE) << " unknown";
    }
    return 0;
}

int check_hypervisor_memory(const jh_system& system, PhysRange memory) {
    const jh_memory& wanted = system.hypervisor_memory;
    if (wanted.phys_start != memory.start.value || wanted.size != memory.size) {
        return refuse(system.root_cell) << "hypervisor_memory: phys_start 0x" << hex(wanted.phys_start) << ", size 0x"
                                        << hex(wanted.size) << ", but the image runs at 0x" << hex(memory.start.value)
                                        << " in 0x" << hex(memory.size);
    }
    if ((wanted.flags & ~memory_flags) != 0) {
        return refuse(system.root_cell) << "hypervisor_memory: flags: 0x" << hex(wanted.flags & ~memory_flags)
                                        << " unknown";
    }
    return 0;
}

int check_iommu_units(const jh_system& system) {
    for (uint32_t index = 0; index < JH_MAX_IOMMU_UNITS; ++index) {
        const jh_iommu& unit = system.platform.iommu_units[index];
        const auto* bytes = reinterpret_cast<const uint8_t*>(&unit);
        if (std::any_of(bytes, bytes + sizeof(unit), [](uint8_t byte) { return byte != 0; })) {
            return Refusal(name_of(system.root_cell), JH_EINVAL, "iommu unit ", index)
                   << "type: " << uint32_t{unit.type} << ", base: 0x" << hex(unit.base)
                   << ": no IOMMU is supported, all of it must be 0";
        }
    }
    return 0;
}

int check_pci_host(const jh_system& system) {
    const jh_cell& cell = system.root_cell;
    const jh_platform& platform = system.platform;
    if (platform.pci_is_virtual > 1) {
        return refuse(cell) << "pci_is_virtual: " << uint64_t{platform.pci_is_virtual} << ", must be 0 or 1";
    }
    const uint64_t size = (uint64_t{platform.pci_mmconfig_end_bus} + 1) * bus_size;
    if (!page_aligned(platform.pci_mmconfig_base) || out_of_range(platform.pci_mmconfig_base, size) ||
        (platform.pci_mmconfig_base != 0 &&
         hypervisor().memory.overlaps({PhysAddr{platform.pci_mmconfig_base}, size}))) {
        return refuse(cell) << "pci_mmconfig_base: 0x" << hex(platform.pci_mmconfig_base) << " with 0x" << hex(size)
                            << " bytes up to pci_mmconfig_end_bus " << uint64_t{platform.pci_mmconfig_end_bus}
                            << ": must be page aligned, within " << arch::address_bits()
                            << " bits and outside the hypervisor's memory";
    }
    return 0;
}

int check_gic(const jh_system& system) {
    const jh_cell& cell = system.root_cell;
    const auto& arm = system.platform.arm;
    if (arm.gic_version != 3) {
        return refuse(cell) << "gic_version: " << uint64_t{arm.gic_version} << ", supported is 3";
    }
    const struct {
        const char* name;
        uint64_t address;
        uint64_t size; // GICv3 architecture: of the distributor; of one redistributor
    } parts[] = {{"gicd_base", arm.gicd_base, 0x10000}, {"gicr_base", arm.gicr_base, 0x20000}};
    for (const auto& part : parts) {
        if (!page_aligned(part.address) || part.address == 0 || out_of_range(part.address, part.size) ||
            hypervisor().memory.overlaps({PhysAddr{part.address}, part.size})) {
            return refuse(cell) << part.name << ": 0x" << hex(part.address)
                                << " must be a page's address outside the hypervisor's memory";
        }
    }
    if (arm.maintenance_irq < 16 || arm.maintenance_irq > 31) {
        return refuse(cell) << "maintenance_irq: " << uint64_t{arm.maintenance_irq} << ", must be a PPI (16-31)";
    }
    if (arm.padding[0] != 0 || arm.padding[1] != 0) {
        return refuse(cell) << "platform: padding behind gic_version: 0x"
                            << hex(static_cast<uint64_t>(arm.padding[0]) | static_cast<uint64_t>(arm.padding[1]) << 8)
                            << ", must be 0";
    }
    return 0;
}

int check_debug_console(const jh_system& system, PhysRange memory) {
    const UartFault fault = find_fault(system.debug_console, memory);
    if (fault.field == nullptr) {
        return 0;
    }
    return refuse(system.root_cell) << "debug_console: " << fault.field << ": 0x" << hex(fault.found) << ", "
                                    << fault.allowed;
}

} // namespace

bool console_usable(const jh_console& console, PhysRange memory) {
    return console.type != JH_CONSOLE_NONE && find_fault(console, memory).field == nullptr;
}

int check_platform(const jh_system& system, uint64_t available, PhysRange memory) {
    if (available < sizeof(jh_system)) {
        return Refusal("?", JH_EINVAL) << "size: " << available << " bytes, a system config has "
                                       << uint64_t{sizeof(jh_system)};
    }
    int error = check_header(system);
    error = error != 0 ? error : check_hypervisor_memory(system, memory);
    error = error != 0 ? error : check_debug_console(system, memory);
    error = error != 0 ? error : check_iommu_units(system);
    error = error != 0 ? error : check_pci_host(system);
    return error != 0 ? error : check_gic(system);
}

} // namespace gaol

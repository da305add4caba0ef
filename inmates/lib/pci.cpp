// SPDX-License-Identifier: Apache-2.0
// Sources: PCI Local Bus specification 3.0 (headers, capabilities), PCI Express (ECAM).
#include "inmates/lib/pci.hpp"

#include "bench/core/mmio.hpp"
#include "inmates/lib/arm64/mmu.hpp"
#include "inmates/lib/comm_region.hpp"

namespace inmate {
namespace {

constexpr std::uint16_t status_register = 0x06, capability_pointer = 0x34;
constexpr std::uint16_t status_has_capabilities = 1u << 4;
constexpr unsigned most_capabilities = 48; // a list that is longer runs in a circle
constexpr unsigned functions_of_a_bus = 256;

std::uint64_t address(Bdf bdf, std::uint16_t reg) {
    return comm_region().generic.pci_mmconfig_base + (std::uint64_t{static_cast<std::uint16_t>(bdf)} << 12) + reg;
}

} // namespace

bool pci_open() {
    const std::uint64_t base = comm_region().generic.pci_mmconfig_base;
    return base != 0 && map(base, pci_bus_window, Memory::device);
}

std::uint8_t pci_read8(Bdf bdf, std::uint16_t reg) {
    return hil::bench::mmio_read8(address(bdf, reg));
}
std::uint16_t pci_read16(Bdf bdf, std::uint16_t reg) {
    return hil::bench::mmio_read16(address(bdf, reg));
}
std::uint32_t pci_read32(Bdf bdf, std::uint16_t reg) {
    return hil::bench::mmio_read32(address(bdf, reg));
}

std::uint64_t pci_read64(Bdf bdf, std::uint16_t reg) {
    const std::uint64_t low = pci_read32(bdf, reg);
    return low | std::uint64_t{pci_read32(bdf, static_cast<std::uint16_t>(reg + 4))} << 32;
}

void pci_write8(Bdf bdf, std::uint16_t reg, std::uint8_t value) {
    hil::bench::mmio_write8(address(bdf, reg), value);
}
void pci_write16(Bdf bdf, std::uint16_t reg, std::uint16_t value) {
    hil::bench::mmio_write16(address(bdf, reg), value);
}
void pci_write32(Bdf bdf, std::uint16_t reg, std::uint32_t value) {
    hil::bench::mmio_write32(address(bdf, reg), value);
}

std::optional<Bdf> pci_find(std::uint16_t vendor, std::uint16_t device, unsigned skip) {
    for (unsigned index = 0; index < functions_of_a_bus; ++index) {
        const Bdf bdf{static_cast<std::uint16_t>(index)};
        if (pci_read16(bdf, pci_vendor_id) == vendor && pci_read16(bdf, pci_device_id) == device && skip-- == 0) {
            return bdf;
        }
    }
    return std::nullopt;
}

std::optional<std::uint16_t> pci_capability(Bdf bdf, std::uint8_t id) {
    if (!(pci_read16(bdf, status_register) & status_has_capabilities)) {
        return std::nullopt;
    }
    std::uint16_t at = pci_read8(bdf, capability_pointer) & 0xfc;
    for (unsigned seen = 0; at >= 0x40 && seen < most_capabilities; ++seen) {
        const std::uint16_t head = pci_read16(bdf, at);
        if ((head & 0xff) == id) {
            return at;
        }
        at = head >> 8 & 0xfc;
    }
    return std::nullopt;
}

} // namespace inmate

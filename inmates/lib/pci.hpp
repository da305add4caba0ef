// SPDX-License-Identifier: Apache-2.0
// PCI configuration space through the ECAM window of the communication region.
#pragma once

#include <cstdint>
#include <optional>

namespace inmate {

/// Bus, device and function as PCI packs them.
enum class Bdf : std::uint16_t {
};

constexpr unsigned pci_bus(Bdf bdf) {
    return static_cast<unsigned>(bdf) >> 8;
}
constexpr unsigned pci_slot(Bdf bdf) {
    return static_cast<unsigned>(bdf) >> 3 & 0x1f;
}
constexpr unsigned pci_function(Bdf bdf) {
    return static_cast<unsigned>(bdf) & 7;
}

inline constexpr std::uint16_t pci_vendor_id = 0x00, pci_device_id = 0x02, pci_command = 0x04,
                               pci_class_revision = 0x08, pci_bar0 = 0x10, pci_interrupt_pin = 0x3d;
inline constexpr std::uint16_t pci_command_memory = 1u << 1, pci_command_master = 1u << 2;

/// Bytes of configuration space of one bus.
inline constexpr std::uint64_t pci_bus_window = 0x100000;

/// Maps bus 0's window; false when the communication region names none.
bool pci_open();

std::uint8_t pci_read8(Bdf bdf, std::uint16_t reg);
std::uint16_t pci_read16(Bdf bdf, std::uint16_t reg);
std::uint32_t pci_read32(Bdf bdf, std::uint16_t reg);
std::uint64_t pci_read64(Bdf bdf, std::uint16_t reg); ///< as two words
void pci_write8(Bdf bdf, std::uint16_t reg, std::uint8_t value);
void pci_write16(Bdf bdf, std::uint16_t reg, std::uint16_t value);
void pci_write32(Bdf bdf, std::uint16_t reg, std::uint32_t value);

/// The `skip`-th function of bus 0 with these ids.
std::optional<Bdf> pci_find(std::uint16_t vendor, std::uint16_t device, unsigned skip = 0);

/// Where the capability with this id starts.
std::optional<std::uint16_t> pci_capability(Bdf bdf, std::uint8_t id);

} // namespace inmate

// SPDX-License-Identifier: Apache-2.0
#include "inmates/lib/ivshmem.hpp"

#include "abi/ivshmem.h"
#include "bench/core/barrier.hpp"
#include "bench/core/mmio.hpp"
#include "inmates/lib/arm64/mmu.hpp"
#include "inmates/lib/comm_region.hpp"
#include "inmates/lib/command_line.hpp"
#include "inmates/lib/print.hpp"

namespace inmate {
namespace {

using namespace hil::bench;

constexpr unsigned most_peers = 1u << 12; // far above what any hypervisor allows; keeps sizes from overflowing
constexpr std::uint64_t section_limit = 1ull << 32;
constexpr std::uint32_t bar_64bit = 2u << 1;

/// BARs go behind the configuration window of one bus; `bar_window=0x…` for a platform with more buses.
std::uint64_t bar_address(unsigned index) {
    const std::uint64_t behind = comm_region().generic.pci_mmconfig_base + pci_bus_window;
    return command_line_number("bar_window", behind) + std::uint64_t{index} * IVSHMEM_REGISTERS_SIZE;
}

void assign_bar0(Bdf bdf, std::uint64_t address) {
    const std::uint16_t command = pci_read16(bdf, pci_command);
    pci_write16(bdf, pci_command, command & static_cast<std::uint16_t>(~pci_command_memory));
    const std::uint32_t kind = pci_read32(bdf, pci_bar0);
    pci_write32(bdf, pci_bar0, static_cast<std::uint32_t>(address));
    if ((kind & 6) == bar_64bit) {
        pci_write32(bdf, pci_bar0 + 4, static_cast<std::uint32_t>(address >> 32));
    }
    pci_write16(bdf, pci_command, command | pci_command_memory | pci_command_master);
}

} // namespace

bool Ivshmem::open(unsigned index) {
    if (!pci_open()) {
        println("ivshmem: the communication region names no PCI configuration space");
        return false;
    }
    const std::optional<Bdf> found = pci_find(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID, index);
    if (!found) {
        println("ivshmem: no device 110a:4106 number ", index, " on bus 0: the cell's config lists no such PCI device");
        return false;
    }
    bdf_ = *found;
    protocol_ = static_cast<std::uint16_t>(pci_read32(bdf_, pci_class_revision) >> 8);
    const unsigned pin = pci_read8(bdf_, pci_interrupt_pin);
    interrupt_ = shared_interrupt(comm_region().vpci_irq_base + (pin ? pin - 1 : 0));
    if (!read_capability()) {
        return false;
    }
    registers_ = bar_address(index);
    if (!map(registers_, IVSHMEM_REGISTERS_SIZE, Memory::device)) {
        println("ivshmem: cannot map BAR 0 at ", hex(registers_));
        return false;
    }
    assign_bar0(bdf_, registers_);
    id_ = PeerId{static_cast<std::uint16_t>(mmio_read32(registers_ + IVSHMEM_REG_ID))};
    max_peers_ = mmio_read32(registers_ + IVSHMEM_REG_MAX_PEERS);
    if (max_peers_ == 0 || max_peers_ > most_peers || static_cast<unsigned>(id_) >= max_peers_ ||
        state_table_size_ < 4ull * max_peers_) {
        println("ivshmem: id ", static_cast<unsigned>(id_), " of ", max_peers_, " peers with a state table of ",
                state_table_size_, " bytes makes no sense");
        return false;
    }
    return map_sections();
}

bool Ivshmem::read_capability() {
    const std::optional<std::uint16_t> at = pci_capability(bdf_, IVSHMEM_CAP_ID);
    if (!at || pci_read8(bdf_, static_cast<std::uint16_t>(*at + 2)) < IVSHMEM_CAP_LENGTH) {
        println("ivshmem: no vendor capability: not a device of revision 2");
        return false;
    }
    capability_ = *at;
    const auto field = [&](unsigned offset) { return static_cast<std::uint16_t>(*at + offset); };
    if (pci_read8(bdf_, field(IVSHMEM_CAP_PRIVILEGED_CONTROL)) & IVSHMEM_CONTROL_ONE_SHOT) {
        pci_write8(bdf_, field(IVSHMEM_CAP_PRIVILEGED_CONTROL), 0);
    }
    state_table_size_ = pci_read32(bdf_, field(IVSHMEM_CAP_STATE_TABLE_SIZE));
    read_write_size_ = pci_read64(bdf_, field(IVSHMEM_CAP_RW_SECTION_SIZE));
    output_size_ = pci_read64(bdf_, field(IVSHMEM_CAP_OUTPUT_SECTION_SIZE));
    shared_ = pci_read64(bdf_, field(IVSHMEM_CAP_BASE_ADDRESS));
    if (shared_ == 0) {
        println("ivshmem: the capability gives no address of the shared memory (a movable BAR 2 is not supported)");
        return false;
    }
    if (read_write_size_ > section_limit || output_size_ > section_limit) {
        println("ivshmem: sections of ", hex(read_write_size_), " and ", hex(output_size_), " bytes are too large");
        return false;
    }
    return true;
}

bool Ivshmem::map_sections() const {
    const std::uint64_t outputs = shared_ + state_table_size_ + read_write_size_;
    const std::uint64_t own = outputs + output_size_ * static_cast<unsigned>(id_);
    bool good = map(shared_, state_table_size_, Memory::normal, Access::read_only);
    if (read_write_size_ != 0) {
        good = good && map(shared_ + state_table_size_, read_write_size_, Memory::normal);
    }
    if (output_size_ != 0) {
        good = good && map(own, output_size_, Memory::normal);
        good = good && map(outputs, output_size_ * max_peers_, Memory::normal, Access::read_only);
    }
    if (!good) {
        println("ivshmem: cannot map the shared memory at ", hex(shared_));
    }
    return good;
}

void Ivshmem::set_state(std::uint32_t state) {
    publish_barrier();
    mmio_write32(registers_ + IVSHMEM_REG_STATE, state);
}

std::uint32_t Ivshmem::state(PeerId peer) const {
    if (static_cast<unsigned>(peer) >= max_peers_) {
        return 0;
    }
    return reinterpret_cast<const volatile std::uint32_t*>(shared_)[static_cast<unsigned>(peer)];
}

std::span<std::byte> Ivshmem::read_write_section() const {
    return {reinterpret_cast<std::byte*>(shared_ + state_table_size_), read_write_size_};
}

std::span<std::byte> Ivshmem::own_output() const {
    const std::uint64_t outputs = shared_ + state_table_size_ + read_write_size_;
    return {reinterpret_cast<std::byte*>(outputs + output_size_ * static_cast<unsigned>(id_)), output_size_};
}

std::span<const std::byte> Ivshmem::output(PeerId peer) const {
    if (static_cast<unsigned>(peer) >= max_peers_) {
        return {};
    }
    const std::uint64_t outputs = shared_ + state_table_size_ + read_write_size_;
    return {reinterpret_cast<const std::byte*>(outputs + output_size_ * static_cast<unsigned>(peer)), output_size_};
}

void Ivshmem::ring(PeerId target, std::uint16_t vector) const {
    mmio_write32(registers_ + IVSHMEM_REG_DOORBELL, static_cast<std::uint32_t>(target) << 16 | vector);
}

bool Ivshmem::enable_interrupt(InterruptHandler handler, void* context) {
    if (!interrupt_enable(interrupt_, handler, context)) {
        return false;
    }
    mmio_write32(registers_ + IVSHMEM_REG_INT_CONTROL, IVSHMEM_INT_ENABLE);
    return true;
}

void Ivshmem::disable_interrupt() {
    mmio_write32(registers_ + IVSHMEM_REG_INT_CONTROL, 0);
    interrupt_disable(interrupt_);
}

void Ivshmem::use_one_shot() {
    pci_write8(bdf_, capability_ + IVSHMEM_CAP_PRIVILEGED_CONTROL, IVSHMEM_CONTROL_ONE_SHOT);
}

bool Ivshmem::switched_itself_off() const {
    return (mmio_read32(registers_ + IVSHMEM_REG_INT_CONTROL) & IVSHMEM_INT_ENABLE) == 0;
}

void Ivshmem::switch_on_again() {
    mmio_write32(registers_ + IVSHMEM_REG_INT_CONTROL, IVSHMEM_INT_ENABLE);
}

} // namespace inmate

// SPDX-License-Identifier: Apache-2.0
// ivshmem revision 2: a device is one cell's end of a link; a link joins devices of the same bdf over the same memory.
#pragma once

#include "abi/cell_config.h"
#include "hypervisor/core/address.hpp"
#include "hypervisor/core/lock.hpp"
#include "hypervisor/core/mmio.hpp"

#include <cstddef>
#include <cstdint>

namespace gaol {

struct Cell;
class Text;
struct IvshmemLink;

inline constexpr size_t max_peers = 16;
inline constexpr size_t max_links = 32;

struct IvshmemDevice {
    Cell* cell = nullptr;
    const jh_pci_device* config = nullptr;
    IvshmemLink* link = nullptr;
    uint32_t interrupt = 0; ///< GIC interrupt id
    // What the guest can change:
    uint16_t command = 0;
    uint32_t bar0 = 0;
    uint8_t control = 0; ///< privileged control of the capability
    uint32_t interrupt_enable = 0;
    uint32_t state = 0;

    [[nodiscard]] uint64_t state_table_size() const;
    [[nodiscard]] uint64_t rw_size() const;
    [[nodiscard]] uint64_t output_size() const;
    [[nodiscard]] uint64_t base() const; ///< guest address of the state table
    [[nodiscard]] PhysAddr state_table() const;
    [[nodiscard]] bool memory_enabled() const;
    [[nodiscard]] uint32_t bar_size() const;
    /// Back to the state after power-on; the peers see state 0.
    void reset();
    /// Registers in BAR 0, of 32 bits; `access.address` is the offset. An access of another width is that to the words
    /// that it touches, byte lanes kept; one that is not aligned to its width is unclaimed.
    MmioResult registers(MmioAccess& access);

  private:
    MmioResult word(MmioAccess& access);
    MmioResult part_of_word(MmioAccess& access);
    MmioResult two_words(MmioAccess& access);
    void interrupt_peer(uint32_t peer);
    void interrupt_me();
    void set_state(uint32_t value);
};

struct IvshmemLink {
    Lock lock;
    IvshmemDevice* peer[max_peers] = {};

    [[nodiscard]] IvshmemDevice* any() const;
    [[nodiscard]] bool used() const { return any() != nullptr; }
};

/// Join the device to its link (-EBUSY: its id is taken there; -ENOMEM: too many links) and name the peers.
int ivshmem_connect(IvshmemDevice& device);
/// Reset the device and leave the link.
void ivshmem_disconnect(IvshmemDevice& device);

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// An ivshmem device, revision 2: registers, sections, doorbell, interrupt. Source: the public ivshmem-v2 specification.
#pragma once

#include "inmates/lib/arm64/gic.hpp"
#include "inmates/lib/pci.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace inmate {

/// A participant of a link: an index into the state table and the output sections.
enum class PeerId : std::uint16_t {
};

class Ivshmem {
  public:
    /// Finds the `index`-th device of bus 0, assigns BAR 0 behind the configuration window, maps registers and
    /// sections. Says on the console what is missing and returns false.
    bool open(unsigned index = 0);

    Bdf bdf() const { return bdf_; }
    std::uint16_t protocol() const { return protocol_; }
    PeerId id() const { return id_; }
    unsigned max_peers() const { return max_peers_; }
    IntId interrupt() const { return interrupt_; }
    std::uint64_t shared_memory() const { return shared_; } ///< physical address

    void set_state(std::uint32_t state); ///< seen in the state table; interrupts every enabled peer
    std::uint32_t state(PeerId peer) const;
    std::span<std::byte> read_write_section() const;
    std::span<std::byte> own_output() const;
    std::span<const std::byte> output(PeerId peer) const; ///< of a peer, read-only; empty for an id out of range

    void ring(PeerId target, std::uint16_t vector = 0) const;

    /// Handler for vector 0, which INTx shares between doorbells and state changes.
    bool enable_interrupt(InterruptHandler handler, void* context);
    void disable_interrupt();

    /// An interrupt switches itself off, which tells which of the devices on a pin it was. Before enable_interrupt.
    void use_one_shot();
    bool switched_itself_off() const;
    void switch_on_again();

  private:
    bool read_capability();
    bool map_sections() const;

    Bdf bdf_{};
    std::uint16_t capability_ = 0;
    PeerId id_{};
    IntId interrupt_{};
    std::uint16_t protocol_ = 0;
    unsigned max_peers_ = 0;
    std::uint64_t registers_ = 0;
    std::uint64_t shared_ = 0;
    std::uint64_t state_table_size_ = 0;
    std::uint64_t read_write_size_ = 0;
    std::uint64_t output_size_ = 0;
};

} // namespace inmate

// SPDX-License-Identifier: Apache-2.0
// An ivshmem device, revision 2, as a UIO driver shows it: maps named registers, state_table, rw_section,
// input_sections and output_section in sysfs, interrupts counted by read().
#pragma once

#include "bench/core/clock.hpp"
#include "bench/linux/mapping.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace hil::bench {

class UioIvshmem {
  public:
    /// `device` is a path like /dev/uio0. Throws Failure.
    explicit UioIvshmem(const std::string& device);
    UioIvshmem(const UioIvshmem&) = delete;
    UioIvshmem& operator=(const UioIvshmem&) = delete;
    ~UioIvshmem();

    /// The first UIO device with an ivshmem's maps. Throws Failure when there is none.
    static std::string find();

    const std::string& driver() const { return driver_; } ///< the UIO name, as in /proc/interrupts
    std::uint32_t id() const { return id_; }
    std::uint32_t max_peers() const { return max_peers_; }
    std::uint32_t state(std::uint32_t peer) const;
    void set_state(std::uint32_t state) const;
    std::span<std::byte> own_output() const { return output_.bytes(); }
    std::span<const std::byte> output(std::uint32_t peer) const;

    void ring(std::uint32_t peer, std::uint32_t vector) const;
    void enable_interrupt() const;
    void disable_interrupt() const;

    /// Blocks in read() until an interrupt came; the stamp is the first thing behind read()'s return. A signal may end
    /// it early: then nothing. Interrupts are one-shot: this enables them again.
    std::optional<Ticks> read_interrupt() const;
    /// As read_interrupt, but gives up after `milliseconds`.
    std::optional<Ticks> read_interrupt_within(int milliseconds) const;

  private:
    Mapping map(const std::string& name, bool writable) const;
    std::uint32_t read(std::uint64_t offset) const;
    void write(std::uint64_t offset, std::uint32_t value) const;

    std::string device_;
    std::string sysfs_;
    std::string driver_;
    int descriptor_ = -1;
    Mapping registers_, state_table_, input_, output_;
    std::uint32_t id_ = 0;
    std::uint32_t max_peers_ = 0;
};

} // namespace hil::bench

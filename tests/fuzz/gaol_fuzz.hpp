// SPDX-License-Identifier: Apache-2.0
// What the harnesses of gaol share: values taken from the input, good configs to start from, and what must hold.
#pragma once

#include "hypervisor/host/fake_machine.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

namespace gaol::fuzz {

inline void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// The input as a stream of numbers; zeroes once it is used up.
class Input {
  public:
    Input(const uint8_t* data, size_t size) : rest_(data, size) {}
    [[nodiscard]] bool empty() const { return rest_.empty(); }
    uint64_t number(size_t bytes = 8) {
        uint64_t value = 0;
        const size_t some = bytes < rest_.size() ? bytes : rest_.size();
        std::memcpy(&value, rest_.data(), some);
        rest_ = rest_.subspan(some);
        return value;
    }
    uint8_t byte() { return static_cast<uint8_t>(number(1)); }
    /// Often one of the values that matter, sometimes any.
    uint64_t of(std::span<const uint64_t> good) {
        const uint8_t choice = byte();
        return choice < 224 ? good[choice % good.size()] + (choice >= 192 ? byte() : 0) : number();
    }
    [[nodiscard]] std::span<const uint8_t> rest() const { return rest_; }

  private:
    std::span<const uint8_t> rest_;
};

/// A cell with RAM, communication region, a link to the root and a sub-page device. `index` is 0 to 2.
inline test::ConfigBuilder good_cell(uint32_t index) {
    test::ConfigBuilder config(index == 0   ? "one"
                               : index == 1 ? "two"
                                            : "three",
                               index + 1, static_cast<uint8_t>(2u << index));
    config.cell.msg_reply_timeout = 20;
    config.cell.vpci_irq_base = 100 + index * 4;
    config.cell.flags = JH_CELL_VIRTUAL_CONSOLE_PERMITTED;
    config.memory = {test::ram(0x70000000 + index * 0x1000000ull, 0, 0x200000, JH_MEM_LOADABLE),
                     {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION}};
    if (index < 2) {
        add_link(config, index == 0 ? 0x7fa00000 : 0x79000000, 1, static_cast<uint16_t>(index << 3));
    }
    constexpr uint64_t device = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_IO | JH_MEM_IO_32;
    config.memory.push_back({0x78000100 + index * 0x100ull, 0x90000100, 0x100, device});
    config.irqchips = {{0x08000000, 0, 32, {1u << (8 + index), 0, 0, 0}}};
    return config;
}

/// What a refused or undone operation must leave alone: pool, cells, and where the root's addresses lead.
class Snapshot {
  public:
    explicit Snapshot(test::FakeMachine& machine) : machine_(machine), used_(hypervisor().pool.used()) {
        for (size_t index = 0; index < samples; ++index) {
            leads_to_[index] = machine.translate(hypervisor().root, address(index));
        }
    }
    void require_same() const {
        require(hypervisor().pool.used() == used_);
        require(hypervisor().root.next == nullptr);
        for (size_t index = 0; index < samples; ++index) {
            require(machine_.translate(hypervisor().root, address(index)) == leads_to_[index]);
        }
        for (const auto& link : hypervisor().links) {
            for (const auto* end : link.peer) {
                require(end == nullptr || end->cell->is_root());
            }
        }
    }

  private:
    static constexpr size_t samples = 512; // every 2 MiB of the root's gigabyte
    static uint64_t address(size_t index) { return 0x40000000 + index * 0x200000; }
    test::FakeMachine& machine_;
    size_t used_;
    uint64_t leads_to_[samples] = {};
};

/// The hypervisor's own memory must never be anywhere in a cell, and of another cell's RAM nothing.
inline void require_isolated(test::FakeMachine& machine, const Cell& cell) {
    for (const auto& region : cell.config.memory()) {
        const uint64_t last = region.size == 0 ? 0 : region.size - 1;
        for (const uint64_t offset : {uint64_t{0}, last / 2, last}) {
            const uint64_t phys = machine.translate(cell, region.virt_start + offset);
            const bool comm = page_down(phys) == arch::pool_address(cell.comm).value;
            const bool own_memory = phys - test::hypervisor_base < test::hypervisor_size && phys != ~uint64_t{0};
            require(comm || !own_memory);
        }
    }
}

} // namespace gaol::fuzz

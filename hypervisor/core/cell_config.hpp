// SPDX-License-Identifier: Apache-2.0
// Read-only view of a cell descriptor with its arrays (abi/cell_config.h). Only made from a config that has been
// checked.
#pragma once

#include "abi/cell_config.h"
#include "hypervisor/core/address.hpp"
#include "hypervisor/core/bits.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace gaol {

inline constexpr size_t max_cpus = 16;
inline constexpr size_t max_interrupts = 1020;
inline constexpr uint32_t first_spi = 32;
using CpuSet = BitSet<max_cpus>;
using InterruptSet = BitSet<max_interrupts>;

class CellConfig {
  public:
    CellConfig() = default;
    explicit CellConfig(const jh_cell* cell) : cell_(cell) {}

    [[nodiscard]] const jh_cell& descriptor() const { return *cell_; }
    [[nodiscard]] std::string_view name() const {
        size_t length = 0;
        while (length < JH_CELL_NAME_SIZE && cell_->name[length] != '\0') {
            ++length;
        }
        return {cell_->name, length};
    }
    [[nodiscard]] std::span<const uint8_t> cpu_bytes() const {
        return {reinterpret_cast<const uint8_t*>(cell_ + 1), cell_->cpu_set_size};
    }
    [[nodiscard]] CpuSet cpus() const {
        CpuSet set;
        const auto bytes = cpu_bytes();
        for (size_t cpu = 0; cpu < bytes.size() * 8 && cpu < max_cpus; ++cpu) {
            if ((bytes[cpu / 8] >> (cpu % 8) & 1) != 0) {
                set.set(cpu);
            }
        }
        return set;
    }
    [[nodiscard]] std::span<const jh_memory> memory() const {
        return {reinterpret_cast<const jh_memory*>(after_cpus()), cell_->num_memory_regions};
    }
    [[nodiscard]] std::span<const jh_irqchip> irqchips() const {
        const auto* cache = reinterpret_cast<const jh_cache*>(memory().data() + cell_->num_memory_regions);
        return {reinterpret_cast<const jh_irqchip*>(cache + cell_->num_cache_regions), cell_->num_irqchips};
    }
    [[nodiscard]] std::span<const jh_pci_device> pci_devices() const {
        const auto* pio = reinterpret_cast<const jh_pio*>(irqchips().data() + cell_->num_irqchips);
        return {reinterpret_cast<const jh_pci_device*>(pio + cell_->num_pio_regions), cell_->num_pci_devices};
    }

    /// Bytes of the descriptor and all its arrays, as the counts say (no overflow: counts are 32 bits, sums 64).
    [[nodiscard]] static uint64_t size_of(const jh_cell& cell) {
        return sizeof(jh_cell) + uint64_t{cell.cpu_set_size} + uint64_t{cell.num_memory_regions} * sizeof(jh_memory) +
               uint64_t{cell.num_cache_regions} * sizeof(jh_cache) + uint64_t{cell.num_irqchips} * sizeof(jh_irqchip) +
               uint64_t{cell.num_pio_regions} * sizeof(jh_pio) +
               uint64_t{cell.num_pci_devices} * sizeof(jh_pci_device) +
               uint64_t{cell.num_pci_caps} * sizeof(jh_pci_capability) + uint64_t{cell.num_stream_ids} * 4;
    }

  private:
    [[nodiscard]] const uint8_t* after_cpus() const {
        return reinterpret_cast<const uint8_t*>(cell_ + 1) + cell_->cpu_set_size;
    }

    const jh_cell* cell_ = nullptr;
};

} // namespace gaol

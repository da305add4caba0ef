// SPDX-License-Identifier: Apache-2.0
// A cell: what its config gave it and what is kept for it.
#pragma once

#include "abi/comm_region.h"
#include "hypervisor/core/cell_config.hpp"
#include "hypervisor/core/ivshmem.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gaol {

struct Cell {
    CellConfig config;
    size_t config_pages = 0;
    uint32_t id = 0;
    uint32_t slot = 0; ///< 0 for the root cell; names the address space (VMID)
    CpuSet cpus;       ///< the CPUs it has now
    InterruptSet interrupts;
    bool loadable = false; ///< the root may write its loadable regions; it does not run
    jh_comm_arm* comm = nullptr;
    void* stage2 = nullptr; ///< root of its translation tables
    IvshmemDevice* devices = nullptr;
    size_t device_count = 0;
    size_t device_pages = 0;
    Cell* next = nullptr;

    [[nodiscard]] bool is_root() const { return slot == 0; }
    [[nodiscard]] std::string_view name() const { return config.name(); }
    [[nodiscard]] std::span<IvshmemDevice> pci() { return {devices, device_count}; }
};

} // namespace gaol

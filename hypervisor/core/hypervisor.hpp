// SPDX-License-Identifier: Apache-2.0
// The one hypervisor: everything that outlives a single operation.
#pragma once

#include "abi/cell_config.h"
#include "hypervisor/core/cell.hpp"
#include "hypervisor/core/comm_region.hpp"
#include "hypervisor/core/console.hpp"
#include "hypervisor/core/cpu.hpp"
#include "hypervisor/core/lock.hpp"
#include "hypervisor/core/page_pool.hpp"

#include <cstddef>
#include <cstdint>

namespace gaol {

/// A management call that waits for a cell's reply. It has returned -EAGAIN and goes on when it is made again.
struct UnfinishedCall {
    uint64_t number = 0; ///< of the hypercall; 0: there is none
    uint64_t argument = 0;
    Question question;
    bool telling = false;         ///< the work is done; cells are being told that the configuration has changed
    Cell* next_to_tell = nullptr; ///< while telling
};

struct Hypervisor {
    const jh_system* system = nullptr;
    PhysRange memory;
    PagePool pool;
    size_t remapped_pages = 0; ///< device pages in the hypervisor's own address space
    Console console;
    Cpu* cpus[max_cpus] = {};
    Cell root;
    Lock management;           ///< held over one turn of a management call
    UnfinishedCall unfinished; ///< guarded by `management`
    IvshmemLink links[max_links];

    [[nodiscard]] const jh_platform& platform() const { return system->platform; }
    [[nodiscard]] Cell* find_cell(uint32_t id);
    [[nodiscard]] uint32_t cell_count() const;
    /// Write "Page pool usage <when>: mem used/size, remap used/size".
    void report_pools(const char* when);
};

inline constexpr size_t remap_pool_pages = 131072;

/// The hypervisor of this machine (of this test).
Hypervisor& hypervisor();

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// A CPU as the core knows it. The architecture embeds it in its per-CPU area.
#pragma once

#include "abi/hypercall.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gaol {

struct Cell;

enum class CpuState : uint32_t {
    running, ///< executes its cell
    off,     ///< waits in the hypervisor to be started
    failed,  ///< parked after a violation
};

struct Cpu {
    uint32_t id = 0;
    uint64_t affinity = 0; ///< hardware's name of the CPU (MPIDR affinity fields)
    Cell* cell = nullptr;
    std::atomic<CpuState> state{CpuState::running};

    /// Management: `suspend` is set by the manager, `suspended` answers.
    std::atomic<bool> suspend{false};
    std::atomic<bool> suspended{false};

    /// Set by others, taken by the CPU itself when it is kicked.
    std::atomic<bool> turn_off{false};
    std::atomic<bool> start{false};
    uint64_t start_address = 0; ///< valid while `start` is set
    uint64_t start_argument = 0;

    std::atomic<uint64_t> statistics[JH_NUM_STATS_ARM64 + 1] = {};

    void count(jh_cpu_stat statistic) { statistics[statistic].fetch_add(1, std::memory_order_relaxed); }
    void reset_statistics() {
        for (auto& statistic : statistics) {
            statistic.store(0, std::memory_order_relaxed);
        }
    }
};

} // namespace gaol

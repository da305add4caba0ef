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

    /// Only the CPU itself counts (a manager resets it while it stands still): no exclusive access is needed.
    void count(jh_cpu_stat statistic) {
        auto& counter = statistics[statistic];
        counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    /// Nobody wants anything of this CPU: it may go on with its cell.
    [[nodiscard]] bool undisturbed() const {
        return state.load(std::memory_order_relaxed) == CpuState::running && !suspend.load(std::memory_order_acquire) &&
               !turn_off.load(std::memory_order_relaxed) && !start.load(std::memory_order_relaxed);
    }
    void reset_statistics() {
        for (auto& statistic : statistics) {
            statistic.store(0, std::memory_order_relaxed);
        }
    }
};

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/hypercall.hpp"

#include "hypervisor/core/comm_region.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/management.hpp"

namespace gaol {

namespace {

int64_t hypervisor_info(uint64_t what) {
    const Hypervisor& hv = hypervisor();
    switch (what) {
    case JH_INFO_MEM_POOL_SIZE:
        return static_cast<int64_t>(hv.pool.size());
    case JH_INFO_MEM_POOL_USED:
        return static_cast<int64_t>(hv.pool.used());
    case JH_INFO_REMAP_POOL_SIZE:
        return static_cast<int64_t>(remap_pool_pages);
    case JH_INFO_REMAP_POOL_USED:
        return static_cast<int64_t>(hv.remapped_pages);
    case JH_INFO_NUM_CELLS:
        return hv.cell_count();
    default:
        return -JH_EINVAL;
    }
}

constexpr uint32_t no_cell = ~0u; // an id that no cell can have (config_check.cpp)

int64_t cell_state(uint32_t id) {
    const Cell* cell = hypervisor().find_cell(id);
    return cell == nullptr ? -JH_ENOENT : comm_state(*cell);
}

int64_t cpu_info(uint64_t id, uint64_t what) {
    const Cpu* cpu = id < max_cpus ? hypervisor().cpus[id] : nullptr;
    if (cpu == nullptr) {
        return -JH_EINVAL;
    }
    if (what == JH_CPU_INFO_STATE) {
        return cpu->state == CpuState::failed ? JH_CPU_FAILED : JH_CPU_RUNNING;
    }
    if (what >= JH_CPU_INFO_STAT_BASE && what - JH_CPU_INFO_STAT_BASE <= JH_NUM_STATS_ARM64) {
        return static_cast<int64_t>(cpu->statistics[what - JH_CPU_INFO_STAT_BASE].load(std::memory_order_relaxed) &
                                    INT64_MAX);
    }
    return -JH_EINVAL;
}

int64_t console_putc(const Cell& cell, uint64_t character) {
    if ((cell.config.descriptor().flags & JH_CELL_VIRTUAL_CONSOLE_PERMITTED) == 0) {
        return -JH_EPERM;
    }
    ConsoleOut() << static_cast<char>(character);
    return 0;
}

} // namespace

int64_t hypercall(Cpu& cpu, uint64_t number, uint64_t first, uint64_t second) {
    if (number > JH_HC_CONSOLE_PUTC) {
        return -JH_ENOSYS;
    }
    if (number == JH_HC_CONSOLE_PUTC) {
        return console_putc(*cpu.cell, first);
    }
    if (!cpu.cell->is_root()) {
        return -JH_EPERM;
    }
    const uint32_t id = first <= UINT32_MAX ? static_cast<uint32_t>(first) : no_cell;
    switch (number) {
    case JH_HC_CELL_CREATE:
        return cell_create(GuestAddr{first});
    case JH_HC_CELL_START:
        return cell_start(id);
    case JH_HC_CELL_SET_LOADABLE:
        return cell_set_loadable(id);
    case JH_HC_CELL_DESTROY:
        return cell_destroy(id);
    case JH_HC_HYPERVISOR_INFO:
        return hypervisor_info(first);
    case JH_HC_CELL_STATE:
        return cell_state(id);
    default:
        return cpu_info(first, second);
    }
}

} // namespace gaol

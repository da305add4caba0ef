// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/psci.hpp"

#include "hypervisor/arch/arm64/virtual_interrupts.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

constexpr uint32_t psci_version = 0x84000000;
constexpr uint32_t cpu_suspend_32 = 0x84000001;
constexpr uint32_t cpu_suspend_64 = 0xc4000001;
constexpr uint32_t cpu_off = 0x84000002;
constexpr uint32_t cpu_on_32 = 0x84000003;
constexpr uint32_t cpu_on_64 = 0xc4000003;
constexpr uint32_t affinity_info_32 = 0x84000004;
constexpr uint32_t affinity_info_64 = 0xc4000004;
constexpr uint32_t migrate_info_type = 0x84000006;
constexpr uint32_t system_off = 0x84000008;
constexpr uint32_t system_reset = 0x84000009;
constexpr uint32_t psci_features = 0x8400000a;
constexpr uint32_t smccc_version = 0x80000000;

constexpr uint64_t version_1_0 = 0x10000;
constexpr uint64_t smccc_1_1 = 0x10001;
constexpr uint64_t no_trusted_os = 2;
constexpr int64_t not_supported = -1;
constexpr int64_t invalid_parameters = -2;
constexpr int64_t denied = -3;
constexpr int64_t already_on = -4;
constexpr int64_t on_pending = -5;

uint64_t firmware(uint64_t function) {
    register uint64_t x0 asm("x0") = function;
    register uint64_t x1 asm("x1") = 0;
    register uint64_t x2 asm("x2") = 0;
    register uint64_t x3 asm("x3") = 0;
    asm volatile("smc #0"
                 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
                   "x12", "x13", "x14", "x15", "x16", "x17");
    return x0;
}

bool known(uint32_t function) {
    switch (function) {
    case psci_version:
    case cpu_suspend_32:
    case cpu_suspend_64:
    case cpu_off:
    case cpu_on_32:
    case cpu_on_64:
    case affinity_info_32:
    case affinity_info_64:
    case migrate_info_type:
    case system_off:
    case system_reset:
    case psci_features:
    case smccc_version:
        return true;
    default:
        return false;
    }
}

Cpu* cell_cpu(const PerCpu& caller, uint64_t affinity) {
    const CpuSet& cpus = caller.cell->cpus;
    for (size_t id = cpus.next(); id < max_cpus; id = cpus.next(id + 1)) {
        if (hypervisor().cpus[id]->affinity == affinity) {
            return hypervisor().cpus[id];
        }
    }
    return nullptr;
}

int64_t turn_on(const PerCpu& caller, uint64_t affinity, uint64_t entry, uint64_t argument) {
    static Lock lock;
    Cpu* target = cell_cpu(caller, affinity);
    if (target == nullptr || (entry & 3) != 0) {
        return invalid_parameters;
    }
    const LockGuard guard(lock);
    if (target->start) {
        return on_pending;
    }
    if (target->state != CpuState::off) {
        return already_on;
    }
    target->start_address = entry;
    target->start_argument = argument;
    target->start = true;
    arch::kick(*target);
    return 0;
}

int64_t affinity_info(const PerCpu& caller, uint64_t affinity) {
    const Cpu* target = cell_cpu(caller, affinity);
    if (target == nullptr) {
        return invalid_parameters;
    }
    if (target->start) {
        return 2;
    }
    return target->state == CpuState::off ? 1 : 0;
}

int64_t psci(PerCpu& cpu, uint32_t function, const Frame& frame) {
    const bool narrow = (function >> 30 & 1) == 0;
    const auto argument = [&frame, narrow](unsigned number) {
        return narrow ? frame.x[number] & 0xffffffff : frame.x[number];
    };
    switch (function) {
    case psci_version:
        return version_1_0;
    case cpu_suspend_32:
    case cpu_suspend_64:
        return 0; // a standby state that ends at once
    case cpu_off:
        release_shared(cpu);
        cpu.turn_off = true;
        return 0;
    case cpu_on_32:
    case cpu_on_64:
        return turn_on(cpu, argument(1), argument(2), argument(3));
    case affinity_info_32:
    case affinity_info_64:
        return affinity_info(cpu, argument(1));
    case migrate_info_type:
        return no_trusted_os;
    case psci_features:
        return known(static_cast<uint32_t>(frame.x[1])) ? 0 : not_supported;
    default: // system_off, system_reset
        return cpu.cell->is_root() ? static_cast<int64_t>(firmware(function)) : denied;
    }
}

} // namespace

bool secure_monitor_call(PerCpu& cpu, Frame& frame) {
    const auto function = static_cast<uint32_t>(frame.x[0]);
    int64_t result = not_supported;
    if (function == smccc_version) {
        cpu.count(JH_STAT_ARM_SMCCC);
        result = smccc_1_1;
    } else if (known(function)) {
        cpu.count(JH_STAT_ARM_PSCI);
        result = psci(cpu, function, frame);
    } else if ((function & 0xbf000000) == 0x80000000 || (function & 0xbf000000) == 0x84000000) {
        cpu.count(JH_STAT_ARM_SMCCC); // architecture and standard services that we do not have
    } else {
        return false;
    }
    frame.x[0] = static_cast<uint64_t>(result);
    return true;
}

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/suspension.hpp"

#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

Suspension::Suspension(const CpuSet& first, const CpuSet& second) {
    for (size_t cpu = 0; cpu < max_cpus; ++cpu) {
        if ((first.test(cpu) || second.test(cpu)) && cpu != arch::this_cpu_id()) {
            cpus_.set(cpu);
        }
    }
    for (size_t cpu = cpus_.next(); cpu < max_cpus; cpu = cpus_.next(cpu + 1)) {
        hypervisor().cpus[cpu]->suspend = true;
        arch::kick(*hypervisor().cpus[cpu]);
    }
    for (size_t cpu = cpus_.next(); cpu < max_cpus; cpu = cpus_.next(cpu + 1)) {
        while (!hypervisor().cpus[cpu]->suspended) {
            arch::relax();
        }
    }
}

Suspension::~Suspension() {
    for (size_t cpu = cpus_.next(); cpu < max_cpus; cpu = cpus_.next(cpu + 1)) {
        Cpu& held = *hypervisor().cpus[cpu];
        held.suspend = false;
        while (held.suspended) { // a second suspension must not meet the answer to this one
            arch::relax();
        }
    }
}

void wait_while_suspended(Cpu& cpu) {
    if (!cpu.suspend) {
        return;
    }
    cpu.count(JH_STAT_MANAGEMENT);
    cpu.suspended = true;
    while (cpu.suspend) {
        arch::relax();
    }
    cpu.suspended = false;
}

} // namespace gaol

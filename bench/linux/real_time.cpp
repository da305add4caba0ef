// SPDX-License-Identifier: Apache-2.0
#include "bench/linux/real_time.hpp"

#include "bench/linux/sysfs.hpp"

#include <cerrno>
#include <cstring>
#include <sched.h>
#include <sys/mman.h>

namespace hil::bench {
namespace {

const char* const limit_path = "/proc/sys/kernel/sched_rt_runtime_us";

} // namespace

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) {
            cpus.push_back(cpu);
        }
    }
    return cpus;
}

RealTime::RealTime(int cpu, int priority, const std::string& interrupt_name) {
    pin(cpu);
    lock_memory();
    unthrottle();
    raise(priority);
    move_interrupt(cpu, interrupt_name);
}

RealTime::~RealTime() {
    if (old_limit_) {
        write_text(limit_path, *old_limit_);
    }
}

void RealTime::pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        warnings_.push_back("not pinned to CPU " + std::to_string(cpu) + ": " + std::strerror(errno));
    }
}

void RealTime::lock_memory() {
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        warnings_.push_back(std::string("memory not locked: ") + std::strerror(errno));
    }
}

void RealTime::raise(int priority) {
    const sched_param parameters{priority};
    if (sched_setscheduler(0, SCHED_FIFO, &parameters) != 0) {
        warnings_.push_back("no real-time priority " + std::to_string(priority) + ": " + std::strerror(errno));
    }
}

/// Linux takes the CPU from real-time tasks for 5 % of each second; while polling, that would be a 50 ms outlier.
void RealTime::unthrottle() {
    const std::optional<std::string> limit = read_line(limit_path);
    if (!limit || *limit == "-1") {
        return;
    }
    if (write_text(limit_path, "-1")) {
        old_limit_ = limit;
    } else {
        warnings_.push_back(std::string(limit_path) + " stays " + *limit + ": outliers of 50 ms are Linux's");
    }
}

/// Lines of /proc/interrupts: ` 18:  3  0  GICv3 128 Edge  uio_ivshmem`.
void RealTime::move_interrupt(int cpu, const std::string& name) {
    bool found = false;
    for (const std::string& line : read_lines("/proc/interrupts")) {
        const std::size_t colon = line.find(':');
        if (name.empty() || colon == std::string::npos || line.find(name, colon) == std::string::npos) {
            continue;
        }
        found = true;
        const std::string number = line.substr(line.find_first_not_of(' '), colon - line.find_first_not_of(' '));
        if (!write_text("/proc/irq/" + number + "/smp_affinity_list", std::to_string(cpu))) {
            warnings_.push_back("interrupt " + number + " could not be moved to CPU " + std::to_string(cpu));
        }
    }
    if (!found) {
        warnings_.push_back("no interrupt named \"" + name + "\" in /proc/interrupts to move to CPU " +
                            std::to_string(cpu));
    }
}

} // namespace hil::bench

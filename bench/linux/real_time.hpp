// SPDX-License-Identifier: Apache-2.0
// A quiet place for a measurement: one CPU, locked memory, real-time priority, the interrupt on the same CPU.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace hil::bench {

/// The CPUs this process may use now.
std::vector<int> allowed_cpus();

class RealTime {
  public:
    /// Best effort; what did not work is in warnings(). `interrupt_name` is looked up in /proc/interrupts.
    RealTime(int cpu, int priority, const std::string& interrupt_name);
    RealTime(const RealTime&) = delete;
    RealTime& operator=(const RealTime&) = delete;
    ~RealTime(); ///< gives the kernel's real-time limit back

    const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    void pin(int cpu);
    void lock_memory();
    void raise(int priority);
    void unthrottle();
    void move_interrupt(int cpu, const std::string& name);

    std::vector<std::string> warnings_;
    std::optional<std::string> old_limit_;
};

} // namespace hil::bench

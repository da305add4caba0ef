// SPDX-License-Identifier: Apache-2.0
// Holds CPUs inside the hypervisor for a scope, so that what they run can be changed under them.
#pragma once

#include "hypervisor/core/cell_config.hpp"

namespace gaol {

struct Cpu;

class [[nodiscard]] Suspension {
  public:
    /// Stop all CPUs of the sets but the calling one; returns when they stand still.
    explicit Suspension(const CpuSet& first, const CpuSet& second = {});
    /// Let them go on.
    ~Suspension();
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;

  private:
    CpuSet cpus_;
};

/// Called by a CPU in the hypervisor: stand still while a manager wants it.
void wait_while_suspended(Cpu& cpu);

} // namespace gaol

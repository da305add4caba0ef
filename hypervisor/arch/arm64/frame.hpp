// SPDX-License-Identifier: Apache-2.0
// A cell's registers while its CPU is in the hypervisor (vectors.S writes and reads this).
#pragma once

#include "hypervisor/arch/arm64/per_cpu_layout.h"

#include <cstdint>

namespace gaol {

struct Frame {
    uint64_t x[31];
    uint64_t pc;   ///< ELR_EL2
    uint64_t spsr; ///< SPSR_EL2
    uint64_t padding;

    /// Register `number` of an instruction's operand: 31 is the zero register.
    [[nodiscard]] uint64_t get(unsigned number) const { return number < 31 ? x[number] : 0; }
    void set(unsigned number, uint64_t value) {
        if (number < 31) {
            x[number] = value;
        }
    }
};
static_assert(sizeof(Frame) == FRAME_SIZE);

} // namespace gaol

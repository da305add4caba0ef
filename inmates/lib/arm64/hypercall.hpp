// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "abi/hypercall.h"

#include <cstdint>

namespace inmate {

/// Result of the hypervisor: 0 or positive, or a negative errno (abi/hypercall.h).
inline std::int64_t hypercall(std::uint64_t number, std::uint64_t argument = 0) {
    register std::uint64_t x0 asm("x0") = number;
    register std::uint64_t x1 asm("x1") = argument;
    asm volatile("hvc %2" : "+r"(x0), "+r"(x1) : "i"(JH_HVC_IMMEDIATE) : "memory", "x2", "x3");
    return static_cast<std::int64_t>(x0);
}

} // namespace inmate

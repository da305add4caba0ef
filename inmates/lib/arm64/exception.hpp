// SPDX-License-Identifier: Apache-2.0
// Exceptions that nobody expects: reported on the console, then the cell fails.
#pragma once

#include <cstdint>

namespace inmate {

/// What start.S saves. Keep the order.
struct ExceptionFrame {
    std::uint64_t x[31];
    std::uint64_t sp;
    std::uint64_t elr;
    std::uint64_t spsr;
    std::uint64_t esr;
    std::uint64_t far;
};
static_assert(sizeof(ExceptionFrame) == 36 * 8);

/// The CPU sleeps for good, interrupts masked.
[[noreturn]] void halt();

} // namespace inmate

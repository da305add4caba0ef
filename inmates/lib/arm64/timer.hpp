// SPDX-License-Identifier: Apache-2.0
// The virtual timer. Source: Arm ARM, Generic Timer.
#pragma once

#include "bench/core/clock.hpp"

namespace inmate {

using hil::bench::Ticks;

/// Ticks per second.
std::uint64_t timer_frequency();
Ticks microseconds(std::uint64_t count);

/// Calls `expired` on this CPU when the counter reaches `deadline`; it may arm the next one.
/// `stamp` is the counter at the first instruction of the vector.
using TimerHandler = void (*)(void* context, Ticks stamp);
bool timer_open(TimerHandler expired, void* context);
void timer_arm(Ticks deadline);
void timer_stop();

/// Sleeps until the counter reaches `deadline` (needs timer_open with any handler) or another interrupt has been taken.
void sleep_until(Ticks deadline);

} // namespace inmate

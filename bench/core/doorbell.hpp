// SPDX-License-Identifier: Apache-2.0
// What a probe needs of a notification between two cells.
#pragma once

#include "bench/core/clock.hpp"

#include <concepts>
#include <optional>

namespace hil::bench {

/// A doorbell and its receiving end.
///
/// ring(): interrupts the peer. What was published before is visible to it.
/// wait(deadline): sleeps until the own doorbell rang; the result is the time stamp of the environment's first
///   instruction after the notification, or nothing when the deadline passed. Rings may merge; a ring while nobody
///   waits is kept for the next wait.
/// drain(quiet): takes rings until none came for `quiet`, but only so many: a peer that rings without end holds nobody.
template <class Type>
concept Doorbell = requires(Type doorbell, Ticks deadline) {
    { doorbell.ring() } -> std::same_as<void>;
    { doorbell.wait(deadline) } -> std::same_as<std::optional<Ticks>>;
    { doorbell.drain(deadline) } -> std::same_as<void>;
};

inline constexpr unsigned most_drained = 100;

} // namespace hil::bench

// SPDX-License-Identifier: Apache-2.0
// What the two sides of the latency exchange keep in shared memory. Each block is at the start of its owner's output
// section and written by its owner alone; the other side only reads.
#pragma once

#include "bench/core/shared.hpp"

#include <cstdint>
#include <string_view>

namespace hil::bench::latency {

inline constexpr std::uint32_t magic = 0x4c4c4948; // "HILL"
inline constexpr std::uint32_t version = 1;

/// States of the ivshmem state register.
inline constexpr std::uint32_t state_absent = 0;
inline constexpr std::uint32_t state_starting = 1; ///< block not valid yet
inline constexpr std::uint32_t state_ready = 2;    ///< block valid, requests are answered

/// How a side learns of the other's message.
enum class Mode : std::uint32_t {
    interrupt = 1, ///< by the doorbell's interrupt
    poll = 2,      ///< by reading the sequence number in shared memory; no doorbell is rung for it
};

constexpr std::string_view mode_name(Mode mode) {
    return mode == Mode::poll ? "poll" : "interrupt";
}
constexpr bool mode_valid(std::uint32_t value) {
    return value == 1 || value == 2;
}

/// Of the side that asks. `run` is written last: a new value other than 0 starts a measurement with the modes beside
/// it, 0 ends it.
// The padding keeps words of different rhythm on lines of their own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct alignas(cache_line) RequestBlock {
    Shared<std::uint32_t> magic;
    Shared<std::uint32_t> version;
    Shared<std::uint32_t> requester_mode;
    Shared<std::uint32_t> responder_mode;
    Shared<std::uint32_t> run;
    alignas(cache_line) Shared<std::uint32_t> ping; ///< sequence number of the exchange asked for, from 1
};
static_assert(sizeof(RequestBlock) == 2 * cache_line);

/// Of the side that answers. For exchange n: `received` is written before `pong` becomes n; `sent` is taken between
/// that and the notification, and written after it, before `sent_for` becomes n: so that storing it is no part of the
/// leg.
// The padding keeps words of different rhythm on lines of their own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct alignas(cache_line) ReplyBlock {
    Shared<std::uint32_t> magic;
    Shared<std::uint32_t> version;
    Shared<std::uint32_t> accepted_run; ///< the request's run, once the modes are set up
    alignas(cache_line) Shared<std::uint32_t> pong;
    Shared<std::uint32_t> reserved;
    Shared<std::uint64_t> received; ///< ticks: the responder learned of the ping
    alignas(cache_line) Shared<std::uint32_t> sent_for;
    Shared<std::uint32_t> reserved2;
    Shared<std::uint64_t> sent; ///< ticks: right before the responder's notification
};
static_assert(sizeof(ReplyBlock) == 3 * cache_line);

} // namespace hil::bench::latency

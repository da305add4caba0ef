// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/core/latency_protocol.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace hil::bench {

struct LatencyOptions {
    std::string uio;                   ///< empty: the first ivshmem device
    std::optional<std::uint32_t> peer; ///< empty: the lowest id that is not the own one
    latency::Mode root = latency::Mode::interrupt;
    latency::Mode inmate = latency::Mode::interrupt;
    std::uint64_t warmup = 1000;
    std::uint64_t count = 10000;
    double timeout = 1;    ///< seconds, of one exchange
    double handshake = 20; ///< seconds, until the peer is ready and has set itself up
    std::uint32_t vector = 0;
    std::optional<int> cpu; ///< empty: the last one allowed
    int priority = 80;
    bool help = false;
};

extern const char* const latency_usage;

/// Throws Failure on wrong use.
LatencyOptions parse_latency_options(int count, char* const* words);

} // namespace hil::bench

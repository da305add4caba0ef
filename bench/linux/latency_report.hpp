// SPDX-License-Identifier: Apache-2.0
// What the ivshmem-latency probe measured, as records on stdout and as figures for people on stderr.
#pragma once

#include "bench/linux/latency_options.hpp"
#include "bench/probes/ivshmem_latency.hpp"

#include <vector>

namespace hil::bench {

/// Room for one sample of each series an exchange, in ticks of the shared counter.
struct LatencyBuffers {
    std::vector<Ticks> time, round_trip, to_inmate, to_root, empty;

    explicit LatencyBuffers(std::size_t count)
        : time(count), round_trip(count), to_inmate(count), to_root(count), empty(count) {}

    latency::Samples samples() { return {time, round_trip, to_inmate, to_root, empty}; }
};

/// Writes the records of what was completed. The buffers' order is lost.
void report_latency(const LatencyOptions& options, const latency::Tally& tally, LatencyBuffers& buffers);

} // namespace hil::bench

// SPDX-License-Identifier: Apache-2.0
#include "bench/linux/latency_report.hpp"

#include "bench/core/record.hpp"

#include <cstdio>
#include <span>
#include <string_view>

namespace hil::bench {

namespace {

// The events between which times are taken. "Peer" of the probe is the inmate here.
const char* notified_by(latency::Mode receiver, bool root) {
    if (receiver == latency::Mode::poll) {
        return root ? "root: counter read right before the store of the sequence number"
                    : "inmate: counter read right before the store of the sequence number";
    }
    return root ? "root: counter read right before the doorbell's store"
                : "inmate: counter read right before the doorbell's store";
}

const char* learned_by(latency::Mode receiver, bool root) {
    if (receiver == latency::Mode::poll) {
        return root ? "root: counter read after the load that saw the sequence number"
                    : "inmate: counter read after the load that saw the sequence number";
    }
    return root ? "root: counter read at the return of read() on the UIO device"
                : "inmate: counter read at the first instructions of the interrupt vector";
}

struct Output {
    void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }
};

void print_figures(const char* name, const Summary& summary) {
    const auto microseconds = [](std::uint64_t value) {
        return static_cast<double>(value) * 1e6 / static_cast<double>(SharedCounter::info().hz);
    };
    std::fprintf(stderr, "%-15s min %9.3f  p50 %9.3f  p99 %9.3f  p99.9 %9.3f  max %9.3f us\n", name,
                 microseconds(summary.min), microseconds(summary.p50), microseconds(summary.p99),
                 microseconds(summary.p99_9), microseconds(summary.max));
}

void report(const char* series, const char* from, const char* to, const LatencyOptions& options,
            const latency::Tally& tally, std::span<const Ticks> times, std::span<Ticks> values) {
    static Series figures;
    figures.build(times, values, tally.duration);
    const SeriesLabel label{"ivshmem-latency",
                            series,
                            from,
                            to,
                            SharedCounter::info(),
                            latency::mode_name(options.root),
                            latency::mode_name(options.inmate),
                            options.warmup,
                            tally.lost() + tally.disordered};
    Output output;
    write_record(label, figures, output);
    print_figures(series, figures.summary());
}

} // namespace

void report_latency(const LatencyOptions& options, const latency::Tally& tally, LatencyBuffers& buffers) {
    const auto part = [&](std::vector<Ticks>& values, std::uint64_t count) { return std::span(values).first(count); };
    const char* root_sends = notified_by(options.inmate, true);
    const char* root_learns = learned_by(options.root, true);
    const std::span<const Ticks> times = part(buffers.time, tally.completed);
    report("round-trip", root_sends, root_learns, options, tally, times, part(buffers.round_trip, tally.completed));
    report("root-to-inmate", root_sends, learned_by(options.inmate, false), options, tally, times,
           part(buffers.to_inmate, tally.completed));
    report("inmate-to-root", notified_by(options.root, false), root_learns, options, tally, times,
           part(buffers.to_root, tally.completed));
    if (tally.empty > 0) {
        report("empty-exchange", "root: counter read as before a notification, which is left out",
               "root: counter read after the load that saw an answer already there", options, tally,
               times.first(tally.empty), part(buffers.empty, tally.empty));
    }
    std::fflush(stdout);
}

} // namespace hil::bench

// SPDX-License-Identifier: Apache-2.0
// The asking side of the ivshmem-latency probe in the root cell, over UIO.
#include "bench/probes/ivshmem_latency.hpp"
#include "bench/core/record.hpp"
#include "bench/linux/failure.hpp"
#include "bench/linux/latency_options.hpp"
#include "bench/linux/real_time.hpp"
#include "bench/linux/uio_ivshmem.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <sys/time.h>
#include <vector>

using namespace hil::bench;

namespace {

volatile std::sig_atomic_t interrupted = 0;

/// Ends a blocking read() now and then, so that its time limit is looked at: no system call an exchange is needed for
/// it.
void start_heartbeat() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, nullptr);
    const itimerval every{{0, 250'000}, {0, 250'000}};
    setitimer(ITIMER_REAL, &every, nullptr);
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

/// The probe's environment in a Linux cell.
class UioDoorbell {
  public:
    UioDoorbell(const UioIvshmem& device, std::uint32_t peer, std::uint32_t vector)
        : device_(device), peer_(peer), vector_(vector) {}

    Ticks now() const { return SharedCounter::now(); }
    void ring() { device_.ring(peer_, vector_); }

    std::optional<Ticks> wait(Ticks deadline) {
        while (!interrupted) {
            if (const std::optional<Ticks> stamp = device_.read_interrupt()) {
                return stamp;
            }
            if (now() >= deadline) {
                break;
            }
        }
        return std::nullopt;
    }

    void drain(Ticks quiet) {
        const int milliseconds = static_cast<int>(quiet * 1000 / SharedCounter::info().hz);
        for (unsigned taken = 0; taken < most_drained && device_.read_interrupt_within(milliseconds); ++taken) {
        }
    }

  private:
    const UioIvshmem& device_;
    std::uint32_t peer_;
    std::uint32_t vector_;
};

struct Buffers {
    std::vector<Ticks> time, round_trip, to_inmate, to_root, empty;

    explicit Buffers(std::size_t count)
        : time(count), round_trip(count), to_inmate(count), to_root(count), empty(count) {}

    latency::Samples samples() { return {time, round_trip, to_inmate, to_root, empty}; }
};

Ticks ticks(double seconds) {
    return static_cast<Ticks>(seconds * static_cast<double>(SharedCounter::info().hz));
}

std::uint32_t choose_peer(const UioIvshmem& device, const LatencyOptions& options) {
    const std::uint32_t peer = options.peer.value_or(device.id() == 0 ? 1 : 0);
    if (peer >= device.max_peers() || peer == device.id()) {
        throw Failure{Failure::wrong_use, "--peer " + std::to_string(peer) + ": the link has peers 0 to " +
                                              std::to_string(device.max_peers() - 1) + ", and this one is " +
                                              std::to_string(device.id())};
    }
    return peer;
}

std::string state_table(const UioIvshmem& device) {
    std::string text;
    for (std::uint32_t peer = 0; peer < device.max_peers(); ++peer) {
        text += (peer ? ", " : "") + ("peer " + std::to_string(peer)) + " is " + std::to_string(device.state(peer));
    }
    return text;
}

void await_ready(const UioIvshmem& device, std::uint32_t peer, Ticks deadline) {
    while (device.state(peer) != latency::state_ready) {
        if (interrupted || SharedCounter::now() >= deadline) {
            throw Failure{Failure::infrastructure,
                          "peer " + std::to_string(peer) + " did not become ready (state " +
                              std::to_string(latency::state_ready) + "); state table: " + state_table(device) +
                              ". Is the cell with ivshmem-latency.bin started, and does its console say why not?"};
        }
        timespec nap{0, 5'000'000};
        nanosleep(&nap, nullptr);
    }
}

void check_version(const latency::ReplyBlock& reply) {
    if (reply.magic.load() != latency::magic || reply.version.load() != latency::version) {
        throw Failure{Failure::infrastructure,
                      "the peer is ready, but its output section does not speak this probe's protocol, version " +
                          std::to_string(latency::version) + " (found " + std::to_string(reply.magic.load()) + ", " +
                          std::to_string(reply.version.load()) + "): load ivshmem-latency.bin of the same build"};
    }
}

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

void report_all(const LatencyOptions& options, const latency::Tally& tally, Buffers& buffers) {
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

void judge(const latency::Tally& tally, const LatencyOptions& options) {
    std::fprintf(stderr,
                 "%llu of %llu exchanges completed, lost: %llu towards the inmate, %llu towards the root, "
                 "%llu in the warm-up; stamps out of order: %llu\n",
                 static_cast<unsigned long long>(tally.completed), static_cast<unsigned long long>(options.count),
                 static_cast<unsigned long long>(tally.lost_towards_responder),
                 static_cast<unsigned long long>(tally.lost_towards_requester),
                 static_cast<unsigned long long>(tally.lost_in_warmup),
                 static_cast<unsigned long long>(tally.disordered));
    if (interrupted) {
        throw Failure{Failure::failed, "interrupted by a signal"};
    }
    if (tally.gave_up) {
        throw Failure{Failure::failed,
                      tally.disordered
                          ? "the peer's time stamps do not lie between this side's: the cells do not share the counter"
                          : "the peer stopped answering (or its doorbells stopped arriving): gave up"};
    }
}

void run(const LatencyOptions& options) {
    const std::string path = options.uio.empty() ? UioIvshmem::find() : options.uio;
    const UioIvshmem device(path);
    const std::uint32_t peer = choose_peer(device, options);
    if (device.own_output().size() < sizeof(latency::RequestBlock) ||
        device.output(peer).size() < sizeof(latency::ReplyBlock)) {
        throw Failure{Failure::infrastructure, "output sections of " + std::to_string(device.own_output().size()) +
                                                   " bytes are too small for the exchange"};
    }
    auto& request = *reinterpret_cast<latency::RequestBlock*>(device.own_output().data());
    const auto& reply = *reinterpret_cast<const latency::ReplyBlock*>(device.output(peer).data());

    std::fprintf(stderr, "%s (%s): peer %u of %u, asking peer %u, root by %s, inmate by %s\n", path.c_str(),
                 device.driver().c_str(), device.id(), device.max_peers(), peer,
                 latency::mode_name(options.root).data(), latency::mode_name(options.inmate).data());
    Buffers buffers(options.count);
    device.set_state(latency::state_starting);
    const Ticks deadline = SharedCounter::now() + ticks(options.handshake);
    await_ready(device, peer, deadline);
    check_version(reply);

    const int cpu = options.cpu.value_or(allowed_cpus().back());
    const RealTime real_time(cpu, options.priority, device.driver());
    for (const std::string& warning : real_time.warnings()) {
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    }
    start_heartbeat();
    device.enable_interrupt();
    device.set_state(latency::state_ready);
    UioDoorbell doorbell(device, peer, options.vector);
    latency::Requester requester(doorbell, request, reply);
    const auto number = static_cast<std::uint32_t>(SharedCounter::now()) | 1;
    if (!requester.start({options.root, options.inmate, ticks(options.timeout), ticks(0.02)}, number, deadline)) {
        throw Failure{Failure::infrastructure,
                      "peer " + std::to_string(peer) + " is ready, but did not accept the " +
                          "measurement within the handshake's limit; state table: " + state_table(device)};
    }
    std::fprintf(stderr, "on CPU %d: %llu + %llu exchanges\n", cpu, static_cast<unsigned long long>(options.warmup),
                 static_cast<unsigned long long>(options.count));
    const latency::Tally tally =
        latency::measure(requester, {options.warmup}, buffers.samples(), [] { return !interrupted; });
    requester.stop();
    device.disable_interrupt();
    device.set_state(latency::state_absent);
    if (tally.completed > 0) {
        report_all(options, tally, buffers);
    }
    judge(tally, options);
}

} // namespace

int main(int count, char** words) {
    try {
        const LatencyOptions options = parse_latency_options(count, words);
        if (options.help) {
            std::fputs(latency_usage, stdout);
            return 0;
        }
        run(options);
        return 0;
    } catch (const Failure& failure) {
        std::fprintf(stderr, "ivshmem-latency: %s\n", failure.text.c_str());
        return failure.code;
    }
}

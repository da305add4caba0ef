// SPDX-License-Identifier: Apache-2.0
// The asking side of the ivshmem-latency probe in the root cell, over UIO.
#include "bench/probes/ivshmem_latency.hpp"
#include "bench/linux/failure.hpp"
#include "bench/linux/latency_options.hpp"
#include "bench/linux/latency_report.hpp"
#include "bench/linux/real_time.hpp"
#include "bench/linux/uio_ivshmem.hpp"

#include <csignal>
#include <cstdio>
#include <ctime>
#include <sys/time.h>

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

/// The device, and the two blocks that the exchange goes through.
class Link {
  public:
    explicit Link(const LatencyOptions& options)
        : path_(options.uio.empty() ? UioIvshmem::find() : options.uio), device_(path_),
          peer_(choose_peer(device_, options)) {
        if (device_.own_output().size() < sizeof(latency::RequestBlock) ||
            device_.output(peer_).size() < sizeof(latency::ReplyBlock)) {
            throw Failure{Failure::infrastructure, "output sections of " + std::to_string(device_.own_output().size()) +
                                                       " bytes are too small for the exchange"};
        }
    }

    const UioIvshmem& device() const { return device_; }
    std::uint32_t peer() const { return peer_; }
    latency::RequestBlock& request() const {
        return *reinterpret_cast<latency::RequestBlock*>(device_.own_output().data());
    }
    const latency::ReplyBlock& reply() const {
        return *reinterpret_cast<const latency::ReplyBlock*>(device_.output(peer_).data());
    }

    void show(const LatencyOptions& options) const {
        std::fprintf(stderr, "%s (%s): peer %u of %u, asking peer %u, root by %s, inmate by %s\n", path_.c_str(),
                     device_.driver().c_str(), device_.id(), device_.max_peers(), peer_,
                     latency::mode_name(options.root).data(), latency::mode_name(options.inmate).data());
    }

  private:
    std::string path_;
    UioIvshmem device_;
    std::uint32_t peer_;
};

/// Waits for the peer to be there and to speak this probe's protocol.
void await_peer(const Link& link, Ticks deadline) {
    link.device().set_state(latency::state_starting);
    await_ready(link.device(), link.peer(), deadline);
    check_version(link.reply());
}

/// Has the peer take part in the measurement that is asked for.
void agree(latency::Requester<UioDoorbell>& requester, const Link& link, const LatencyOptions& options,
           Ticks deadline) {
    const auto number = static_cast<std::uint32_t>(SharedCounter::now()) | 1;
    if (!requester.start({options.root, options.inmate, ticks(options.timeout), ticks(0.02)}, number, deadline)) {
        throw Failure{Failure::infrastructure, "peer " + std::to_string(link.peer()) +
                                                   " is ready, but did not accept the measurement within " +
                                                   "the handshake's limit; state table: " + state_table(link.device())};
    }
}

/// All exchanges, on one CPU under a real-time priority.
latency::Tally measure(const Link& link, const LatencyOptions& options, LatencyBuffers& buffers, Ticks deadline) {
    const UioIvshmem& device = link.device();
    const int cpu = options.cpu.value_or(allowed_cpus().back());
    const RealTime real_time(cpu, options.priority, device.driver());
    for (const std::string& warning : real_time.warnings()) {
        std::fprintf(stderr, "warning: %s\n", warning.c_str());
    }
    start_heartbeat();
    device.enable_interrupt();
    device.set_state(latency::state_ready);
    UioDoorbell doorbell(device, link.peer(), options.vector);
    latency::Requester requester(doorbell, link.request(), link.reply());
    agree(requester, link, options, deadline);
    std::fprintf(stderr, "on CPU %d: %llu + %llu exchanges\n", cpu, static_cast<unsigned long long>(options.warmup),
                 static_cast<unsigned long long>(options.count));
    const latency::Tally tally =
        latency::measure(requester, {options.warmup}, buffers.samples(), [] { return !interrupted; });
    requester.stop();
    device.disable_interrupt();
    device.set_state(latency::state_absent);
    return tally;
}

void run(const LatencyOptions& options) {
    const Link link(options);
    link.show(options);
    LatencyBuffers buffers(options.count);
    const Ticks deadline = SharedCounter::now() + ticks(options.handshake);
    await_peer(link, deadline);
    const latency::Tally tally = measure(link, options, buffers, deadline);
    if (tally.completed > 0) {
        report_latency(options, tally, buffers);
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

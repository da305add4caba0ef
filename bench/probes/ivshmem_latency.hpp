// SPDX-License-Identifier: Apache-2.0
// Latency of a doorbell between two peers of shared memory: the requester notifies, the responder answers, and four
// time stamps of the shared counter cut the round trip into its legs. Freestanding; the environment brings the
// doorbell.
//
//   requester                                     responder
//   writes ping = n, barrier
//   t0 ─ notifies ─────── root-to-inmate ───────► t1
//                                                 writes received = t1, pong = n, barrier
//   t3 ◄────────────────── inmate-to-root ─────── t2 ─ notifies
//   waits for sent_for = n, reads received, sent  writes sent = t2, sent_for = n
//
// A notification is the doorbell's store where the receiver works with interrupts, and the store of the sequence number
// where it polls: then no doorbell is rung, and the stamp is taken right before that store.
// t0, t2: counter read immediately before the notifying store; publishing what it announces and the barrier come
// earlier. t1, t3, interrupt: the environment's first instruction after the notification (an inmate: in the exception
// vector;
//   Linux: behind the return of read() of the UIO device). Polling: the counter read after the load that saw the
//   number.
// round trip = t3 - t0; legs = t1 - t0 and t3 - t2. The responder's own part, t2 - t1, is in the round trip alone.
#pragma once

#include "bench/core/barrier.hpp"
#include "bench/core/doorbell.hpp"
#include "bench/core/latency_protocol.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

namespace hil::bench::latency {

/// Where a side of the exchange runs. Both sides' now() read the same clock.
template <class Type>
concept Environment = Doorbell<Type> && requires(Type environment) {
    { environment.now() } -> std::same_as<Ticks>;
};

enum class Outcome {
    completed,
    lost_towards_responder, ///< no answer in time: ping or its doorbell did not arrive
    lost_towards_requester, ///< answered in shared memory, but its doorbell did not arrive
    disordered,             ///< the peer's stamps do not lie between the own ones: no shared counter, or a lying peer
};

struct Stamps {
    Ticks sent = 0;          ///< t0
    Ticks peer_received = 0; ///< t1
    Ticks peer_sent = 0;     ///< t2
    Ticks received = 0;      ///< t3
};

/// The side that asks and measures.
template <Environment Env> class Requester {
  public:
    struct Setup {
        Mode own = Mode::interrupt;
        Mode peer = Mode::interrupt;
        Ticks limit = 0; ///< of one exchange
        Ticks quiet = 0; ///< without a doorbell so long, none is on its way
    };

    Requester(Env& environment, RequestBlock& own, const ReplyBlock& peer)
        : environment_(environment), own_(own), peer_(peer) {}

    /// Asks for a measurement and waits until the responder has set itself up. `run` differs from the last one's.
    bool start(const Setup& setup, std::uint32_t run, Ticks deadline) {
        setup_ = setup;
        sequence_ = peer_.pong.load(); // go on from wherever the peer is: an old number is never taken for an answer
        own_.magic.store(magic);
        own_.version.store(version);
        own_.requester_mode.store(static_cast<std::uint32_t>(setup.own));
        own_.responder_mode.store(static_cast<std::uint32_t>(setup.peer));
        own_.ping.store(sequence_);
        own_.run.store(run);
        publish_barrier();
        environment_.ring(); // ends the responder's sleep between measurements
        while (peer_.accepted_run.load() != run) {
            if (environment_.now() >= deadline) {
                return false;
            }
            relax();
        }
        settle();
        return true;
    }

    void stop() {
        own_.run.store(0);
        publish_barrier();
        environment_.ring();
    }

    Outcome exchange(Stamps& stamps) {
        ++sequence_;
        stamps.sent = send();
        const Ticks deadline = stamps.sent + setup_.limit;
        const std::optional<Ticks> received = setup_.own == Mode::poll ? poll(deadline) : wait(deadline);
        if (!received) {
            return peer_.pong.load() == sequence_ ? Outcome::lost_towards_requester : Outcome::lost_towards_responder;
        }
        stamps.received = *received;
        if (!await_sent(deadline)) {
            return Outcome::lost_towards_responder;
        }
        stamps.peer_received = peer_.received.load();
        stamps.peer_sent = peer_.sent.load();
        const bool ordered = stamps.sent <= stamps.peer_received && stamps.peer_received <= stamps.peer_sent &&
                             stamps.peer_sent <= stamps.received;
        return ordered ? Outcome::completed : Outcome::disordered;
    }

    /// The same instructions without peer and notification: publish, barrier, stamp, see an answer that is there,
    /// stamp. What the probe itself adds to a round trip. Nothing when the peer changed its number meanwhile.
    std::optional<Ticks> empty_exchange() {
        sequence_ = peer_.pong.load();
        own_.ping.store(sequence_); // answered already
        publish_barrier();
        const Ticks sent = environment_.now();
        const std::optional<Ticks> received = poll(sent + setup_.limit);
        return received ? std::optional(*received - sent) : std::nullopt;
    }

    /// Takes doorbells that come late, so that they are not the next exchange's.
    void settle() {
        if (setup_.own == Mode::interrupt) {
            environment_.drain(setup_.quiet);
        }
    }

  private:
    Ticks send() {
        if (setup_.peer == Mode::poll) {
            publish_barrier();
            const Ticks now = environment_.now();
            own_.ping.store(sequence_);
            return now;
        }
        own_.ping.store(sequence_);
        publish_barrier();
        const Ticks now = environment_.now();
        environment_.ring();
        return now;
    }

    std::optional<Ticks> poll(Ticks deadline) {
        while (peer_.pong.load() != sequence_) {
            if (environment_.now() >= deadline) {
                return std::nullopt;
            }
            relax();
        }
        return environment_.now();
    }

    /// A doorbell without the answer is somebody else's (a state change, a late one): wait on.
    std::optional<Ticks> wait(Ticks deadline) {
        for (;;) {
            const std::optional<Ticks> rang = environment_.wait(deadline);
            if (!rang || peer_.pong.load() == sequence_) {
                return rang;
            }
        }
    }

    bool await_sent(Ticks deadline) {
        while (peer_.sent_for.load() != sequence_) {
            if (environment_.now() >= deadline) {
                return false;
            }
            relax();
        }
        return true;
    }

    Env& environment_;
    RequestBlock& own_;
    const ReplyBlock& peer_;
    Setup setup_;
    std::uint32_t sequence_ = 0;
};

/// The side that answers. Serves one measurement after the other until step() is no longer called.
template <Environment Env> class Responder {
  public:
    Responder(Env& environment, ReplyBlock& own, const RequestBlock& peer)
        : environment_(environment), own_(own), peer_(peer) {
        own_.pong.store(0);
        own_.sent_for.store(0);
        own_.accepted_run.store(0);
        own_.version.store(version);
        own_.magic.store(magic);
        publish_barrier();
    }

    std::uint32_t run() const { return run_; }
    Mode mode() const { return own_mode_; }
    std::uint64_t answered() const { return answered_; }

    /// Waits for something to do until `deadline`, at most for one message.
    void step(Ticks deadline) {
        const std::uint32_t wanted = peer_.run.load();
        if (wanted != run_) {
            accept(wanted);
            return;
        }
        if (run_ != 0 && own_mode_ == Mode::poll) {
            poll(deadline);
            return;
        }
        const std::optional<Ticks> rang = environment_.wait(deadline);
        const std::uint32_t ping = peer_.ping.load();
        if (rang && run_ != 0 && ping != last_ && peer_.run.load() == run_) {
            answer(ping, *rang);
        }
    }

  private:
    /// A request that makes no sense is not accepted; the requester's limit ends its waiting.
    void accept(std::uint32_t wanted) {
        const std::uint32_t own_mode = peer_.responder_mode.load();
        const std::uint32_t peer_mode = peer_.requester_mode.load();
        run_ = wanted;
        if (wanted == 0 || peer_.magic.load() != magic || peer_.version.load() != version || !mode_valid(own_mode) ||
            !mode_valid(peer_mode)) {
            own_mode_ = Mode::interrupt;
            return;
        }
        own_mode_ = static_cast<Mode>(own_mode);
        peer_mode_ = static_cast<Mode>(peer_mode);
        last_ = peer_.ping.load();
        environment_.drain(0); // the doorbell of the request is no ping
        own_.accepted_run.store(wanted);
        publish_barrier();
    }

    void poll(Ticks deadline) {
        std::uint32_t ping = peer_.ping.load();
        while (ping == last_) {
            if (environment_.now() >= deadline || peer_.run.load() != run_) {
                return;
            }
            relax();
            ping = peer_.ping.load();
        }
        answer(ping, environment_.now());
    }

    void answer(std::uint32_t ping, Ticks received) {
        own_.received.store(received);
        Ticks sent = 0;
        if (peer_mode_ == Mode::poll) {
            publish_barrier();
            sent = environment_.now();
            own_.pong.store(ping);
        } else {
            own_.pong.store(ping);
            publish_barrier();
            sent = environment_.now();
            environment_.ring();
        }
        own_.sent.store(sent);
        own_.sent_for.store(ping);
        last_ = ping;
        ++answered_;
    }

    Env& environment_;
    ReplyBlock& own_;
    const RequestBlock& peer_;
    std::uint32_t run_ = 0;
    std::uint32_t last_ = 0;
    Mode own_mode_ = Mode::interrupt;
    Mode peer_mode_ = Mode::interrupt;
    std::uint64_t answered_ = 0;
};

/// Room for the samples of a measurement, all of the same length: `count` of it.
struct Samples {
    std::span<Ticks> time; ///< start of the exchange, since the first counted one
    std::span<Ticks> round_trip;
    std::span<Ticks> to_responder;
    std::span<Ticks> to_requester;
    std::span<Ticks> empty;
};

struct Plan {
    std::uint64_t warmup = 1000;
    std::uint64_t most_lost_in_a_row = 5; ///< then the peer counts as gone
};

struct Tally {
    std::uint64_t completed = 0; ///< so many of the samples are filled, but for the empty ones
    std::uint64_t empty = 0;     ///< so many of those
    std::uint64_t lost_towards_responder = 0;
    std::uint64_t lost_towards_requester = 0;
    std::uint64_t disordered = 0;
    std::uint64_t lost_in_warmup = 0;
    bool gave_up = false;
    Ticks duration = 0; ///< of the counted part

    std::uint64_t lost() const { return lost_towards_responder + lost_towards_requester; }
};

inline void keep(Tally& tally, const Samples& samples, const Stamps& stamps, Ticks first) {
    const std::uint64_t index = tally.completed++;
    samples.time[index] = stamps.sent - first;
    samples.round_trip[index] = stamps.received - stamps.sent;
    samples.to_responder[index] = stamps.peer_received - stamps.sent;
    samples.to_requester[index] = stamps.received - stamps.peer_sent;
    tally.duration = stamps.received - first;
}

inline void count_loss(Tally& tally, Outcome outcome, bool warming_up) {
    if (warming_up) {
        ++tally.lost_in_warmup;
    } else if (outcome == Outcome::disordered) {
        ++tally.disordered;
    } else if (outcome == Outcome::lost_towards_responder) {
        ++tally.lost_towards_responder;
    } else {
        ++tally.lost_towards_requester;
    }
}

/// Warm-up, the counted exchanges (a lost one is counted and not repeated), then as many empty ones. Ends after
/// `most_lost_in_a_row` losses at the latest, or between two exchanges when `keep_going()` says no.
template <Environment Env, class KeepGoing>
Tally measure(Requester<Env>& requester, const Plan& plan, const Samples& samples, KeepGoing&& keep_going) {
    Tally tally;
    std::uint64_t lost_in_a_row = 0;
    Ticks first = 0;
    const std::uint64_t total = plan.warmup + samples.round_trip.size();
    for (std::uint64_t done = 0; done < total && !tally.gave_up && keep_going(); ++done) {
        Stamps stamps;
        const Outcome outcome = requester.exchange(stamps);
        if (done == plan.warmup) {
            first = stamps.sent;
        }
        if (outcome == Outcome::completed) {
            lost_in_a_row = 0;
            if (done >= plan.warmup) {
                keep(tally, samples, stamps, first);
            }
        } else {
            count_loss(tally, outcome, done < plan.warmup);
            tally.gave_up = ++lost_in_a_row >= plan.most_lost_in_a_row;
            requester.settle();
        }
    }
    while (!tally.gave_up && tally.empty < tally.completed) {
        const std::optional<Ticks> overhead = requester.empty_exchange();
        if (!overhead) {
            break;
        }
        samples.empty[tally.empty++] = *overhead;
    }
    return tally;
}

} // namespace hil::bench::latency

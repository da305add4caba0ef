// SPDX-License-Identifier: Apache-2.0
// The latency probe between two processes of the host, and against peers that lose, lie and die.
#include "bench/host/host_link.hpp"
#include "bench/probes/ivshmem_latency.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <vector>

using namespace hil::bench;
using latency::Mode;

namespace {

constexpr Ticks millisecond = 1'000'000;
constexpr std::size_t output_size = 4096;

latency::RequestBlock& request_block(const HostLink& link) {
    return *reinterpret_cast<latency::RequestBlock*>(link.output(0).data());
}
latency::ReplyBlock& reply_block(const HostLink& link) {
    return *reinterpret_cast<latency::ReplyBlock*>(link.output(1).data());
}

/// A peer in a process of its own, killed at the end of the test.
class Peer {
  public:
    explicit Peer(const std::function<void()>& life) : process_(fork()) {
        if (process_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            life();
            _exit(0);
        }
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { kill(); }

    void kill() {
        if (process_ > 0) {
            ::kill(process_, SIGKILL);
            waitpid(process_, nullptr, 0);
            process_ = 0;
        }
    }

  private:
    pid_t process_;
};

template <class Doorbell> void serve(Doorbell& doorbell, const HostLink& link) {
    latency::Responder<Doorbell> responder(doorbell, reply_block(link), request_block(link));
    for (;;) {
        responder.step(doorbell.now() + 10 * millisecond);
    }
}

struct Buffers {
    std::vector<Ticks> time, round_trip, to_responder, to_requester, empty;
    explicit Buffers(std::size_t count)
        : time(count), round_trip(count), to_responder(count), to_requester(count), empty(count) {}
    latency::Samples samples() { return {time, round_trip, to_responder, to_requester, empty}; }
};

class BothModes : public testing::TestWithParam<std::tuple<Mode, Mode>> {};

TEST_P(BothModes, EveryExchangeIsMeasuredAndItsLegsFitIntoTheRoundTrip) {
    const auto [own, peer] = GetParam();
    HostLink link(output_size);
    const Peer process([&] {
        HostDoorbell doorbell(link, 1);
        serve(doorbell, link);
    });
    HostDoorbell doorbell(link, 0);
    latency::Requester requester(doorbell, request_block(link), reply_block(link));
    ASSERT_TRUE(
        requester.start({own, peer, 5000 * millisecond, millisecond}, 1, doorbell.now() + 20'000 * millisecond));
    Buffers buffers(500);
    const latency::Tally tally = latency::measure(requester, {50}, buffers.samples(), [] { return true; });
    requester.stop();
    EXPECT_EQ(tally.completed, 500u);
    EXPECT_EQ(tally.empty, 500u);
    EXPECT_EQ(tally.lost(), 0u);
    EXPECT_EQ(tally.disordered, 0u);
    EXPECT_FALSE(tally.gave_up);
    EXPECT_EQ(buffers.time[0], 0u);
    for (std::size_t index = 0; index < 500; ++index) {
        ASSERT_LE(buffers.to_responder[index] + buffers.to_requester[index], buffers.round_trip[index]);
        ASSERT_GT(buffers.round_trip[index], 0u);
        ASSERT_TRUE(index == 0 || buffers.time[index] > buffers.time[index - 1]);
    }
    EXPECT_GE(tally.duration, buffers.time[499] + buffers.round_trip[499]);
}

INSTANTIATE_TEST_SUITE_P(Latency, BothModes,
                         testing::Combine(testing::Values(Mode::interrupt, Mode::poll),
                                          testing::Values(Mode::interrupt, Mode::poll)),
                         [](const auto& info) {
                             return std::string(latency::mode_name(std::get<0>(info.param))) + "_" +
                                    std::string(latency::mode_name(std::get<1>(info.param)));
                         });

TEST(Latency, OneResponderServesSeveralMeasurements) {
    HostLink link(output_size);
    const Peer process([&] {
        HostDoorbell doorbell(link, 1);
        serve(doorbell, link);
    });
    HostDoorbell doorbell(link, 0);
    std::uint32_t run = 0;
    for (const Mode mode : {Mode::interrupt, Mode::poll, Mode::interrupt}) {
        latency::Requester requester(doorbell, request_block(link), reply_block(link));
        ASSERT_TRUE(requester.start({mode, mode, 5000 * millisecond, millisecond}, ++run,
                                    doorbell.now() + 20'000 * millisecond));
        Buffers buffers(50);
        EXPECT_EQ(latency::measure(requester, {5}, buffers.samples(), [] { return true; }).completed, 50u);
        requester.stop();
    }
}

TEST(Latency, WithoutAPeerTheStartEndsAtItsDeadline) {
    HostLink link(output_size);
    HostDoorbell doorbell(link, 0);
    latency::Requester requester(doorbell, request_block(link), reply_block(link));
    EXPECT_FALSE(requester.start({Mode::interrupt, Mode::interrupt, millisecond, millisecond}, 1,
                                 doorbell.now() + 20 * millisecond));
}

/// Rings only some of the time.
struct LossyDoorbell : HostDoorbell {
    using HostDoorbell::HostDoorbell;
    unsigned rung = 0;
    void ring() {
        if (++rung % 10 != 0) {
            HostDoorbell::ring();
        }
    }
};

TEST(Latency, DoorbellsLostTowardsTheRequesterAreCounted) {
    HostLink link(output_size);
    const Peer process([&] {
        LossyDoorbell doorbell(link, 1);
        serve(doorbell, link);
    });
    HostDoorbell doorbell(link, 0);
    latency::Requester requester(doorbell, request_block(link), reply_block(link));
    ASSERT_TRUE(requester.start({Mode::interrupt, Mode::interrupt, 200 * millisecond, millisecond}, 1,
                                doorbell.now() + 20'000 * millisecond));
    Buffers buffers(50);
    const latency::Tally tally = latency::measure(requester, {0}, buffers.samples(), [] { return true; });
    EXPECT_EQ(tally.lost_towards_requester, 5u);
    EXPECT_EQ(tally.completed, 45u);
    EXPECT_FALSE(tally.gave_up);
}

TEST(Latency, DoorbellsLostTowardsTheResponderAreCounted) {
    HostLink link(output_size);
    const Peer process([&] {
        HostDoorbell doorbell(link, 1);
        serve(doorbell, link);
    });
    LossyDoorbell doorbell(link, 0);
    latency::Requester requester(doorbell, request_block(link), reply_block(link));
    ASSERT_TRUE(requester.start({Mode::poll, Mode::interrupt, 200 * millisecond, millisecond}, 1,
                                doorbell.now() + 20'000 * millisecond));
    Buffers buffers(40);
    const latency::Tally tally = latency::measure(requester, {0}, buffers.samples(), [] { return true; });
    EXPECT_GE(tally.lost_towards_responder, 1u);
    EXPECT_EQ(tally.completed + tally.lost(), 40u);
    EXPECT_FALSE(tally.gave_up);
}

TEST(Latency, APeerThatDiesEndsTheMeasurement) {
    HostLink link(output_size);
    Peer process([&] {
        HostDoorbell doorbell(link, 1);
        serve(doorbell, link);
    });
    HostDoorbell doorbell(link, 0);
    latency::Requester requester(doorbell, request_block(link), reply_block(link));
    ASSERT_TRUE(requester.start({Mode::interrupt, Mode::interrupt, 100 * millisecond, millisecond}, 1,
                                doorbell.now() + 20'000 * millisecond));
    Buffers buffers(100'000);
    std::uint64_t exchanges = 0;
    const latency::Tally tally = latency::measure(requester, {0}, buffers.samples(), [&] {
        if (++exchanges == 20) {
            process.kill();
        }
        return true;
    });
    EXPECT_TRUE(tally.gave_up);
    EXPECT_EQ(tally.completed, 19u);
    EXPECT_EQ(tally.lost(), latency::Plan{}.most_lost_in_a_row);
}

TEST(Latency, StampsOfAnotherClockAreNotBelieved) {
    struct ShiftedClock : HostDoorbell {
        using HostDoorbell::HostDoorbell;
        Ticks now() const { return HostDoorbell::now() + 3600'000 * millisecond; }
        std::optional<Ticks> wait(Ticks deadline) {
            const std::optional<Ticks> stamp = HostDoorbell::wait(deadline - 3600'000 * millisecond);
            return stamp ? std::optional(*stamp + 3600'000 * millisecond) : std::nullopt;
        }
    };
    HostLink link(output_size);
    const Peer process([&] {
        ShiftedClock doorbell(link, 1);
        serve(doorbell, link);
    });
    HostDoorbell doorbell(link, 0);
    latency::Requester requester(doorbell, request_block(link), reply_block(link));
    ASSERT_TRUE(requester.start({Mode::interrupt, Mode::interrupt, 1000 * millisecond, millisecond}, 1,
                                doorbell.now() + 20'000 * millisecond));
    Buffers buffers(100);
    const latency::Tally tally = latency::measure(requester, {0}, buffers.samples(), [] { return true; });
    EXPECT_TRUE(tally.gave_up);
    EXPECT_EQ(tally.completed, 0u);
    EXPECT_EQ(tally.disordered, latency::Plan{}.most_lost_in_a_row);
}

TEST(Latency, ARequestThatMakesNoSenseIsNotAccepted) {
    HostLink link(output_size);
    HostDoorbell doorbell(link, 1);
    latency::Responder responder(doorbell, reply_block(link), request_block(link));
    latency::RequestBlock& request = request_block(link);
    request.magic.store(latency::magic);
    request.version.store(latency::version);
    request.requester_mode.store(1);
    request.responder_mode.store(77);
    request.run.store(5);
    responder.step(doorbell.now());
    EXPECT_EQ(reply_block(link).accepted_run.load(), 0u);
    request.responder_mode.store(2);
    request.run.store(6);
    responder.step(doorbell.now());
    EXPECT_EQ(reply_block(link).accepted_run.load(), 6u);
    EXPECT_EQ(responder.mode(), Mode::poll);
}

} // namespace

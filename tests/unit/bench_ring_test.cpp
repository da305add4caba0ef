// SPDX-License-Identifier: Apache-2.0
#include "bench/core/ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <thread>
#include <vector>

using namespace hil::bench;

namespace {

constexpr std::byte guard{0xee};

/// A ring whose storage has guard bytes around it.
struct Ring {
    static constexpr std::size_t margin = 64;
    RingHeader header{};
    RingFeedback feedback{};
    std::size_t size;
    std::vector<std::byte> memory;

    explicit Ring(std::size_t storage_size) : size(storage_size), memory(storage_size + 2 * margin, guard) {
        const auto misaligned = reinterpret_cast<std::uintptr_t>(memory.data()) % 8;
        EXPECT_EQ(misaligned, 0u);
    }
    std::span<std::byte> storage() { return {memory.data() + margin, size}; }
    bool guards_intact() const {
        const auto intact = [](std::byte byte) { return byte == guard; };
        return std::all_of(memory.begin(), memory.begin() + margin, intact) &&
               std::all_of(memory.end() - margin, memory.end(), intact);
    }
};

std::vector<std::byte> random_message(std::mt19937& random, std::size_t largest) {
    std::vector<std::byte> message(random() % (largest + 1));
    std::generate(message.begin(), message.end(), [&] { return static_cast<std::byte>(random()); });
    return message;
}

TEST(Ring, DeliversEveryMessageInOrderAtEverySize) {
    for (const std::size_t size : {16u, 32u, 64u, 256u, 4096u}) {
        Ring ring(size);
        RingProducer producer(ring.header, ring.storage(), ring.feedback);
        RingConsumer consumer(ring.feedback, ring.header, ring.storage());
        std::mt19937 random(static_cast<unsigned>(size));
        std::deque<std::vector<std::byte>> waiting;
        std::vector<std::byte> buffer(size);
        std::size_t length = 0;
        for (int step = 0; step < 20'000; ++step) {
            if (random() % 2) {
                std::vector<std::byte> message = random_message(random, producer.largest_message());
                const RingStatus status = producer.push(message);
                ASSERT_TRUE(status == RingStatus::done || status == RingStatus::full);
                ASSERT_TRUE(status == RingStatus::done || !waiting.empty()) << "an empty ring has room for any message";
                if (status == RingStatus::done) {
                    waiting.push_back(std::move(message));
                }
            } else if (consumer.pop(buffer, length) == RingStatus::done) {
                ASSERT_FALSE(waiting.empty());
                ASSERT_EQ(std::vector<std::byte>(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(length)),
                          waiting.front());
                waiting.pop_front();
            } else {
                ASSERT_TRUE(waiting.empty());
            }
        }
        EXPECT_TRUE(ring.guards_intact());
    }
}

TEST(Ring, RefusesWhatNeverFitsAndKeepsWhatTheBufferCannotTake) {
    Ring ring(64);
    RingProducer producer(ring.header, ring.storage(), ring.feedback);
    RingConsumer consumer(ring.feedback, ring.header, ring.storage());
    const std::vector<std::byte> message(57, std::byte{1});
    EXPECT_EQ(producer.push(message), RingStatus::too_long);
    EXPECT_EQ(producer.push(std::span(message).first(56)), RingStatus::done);
    EXPECT_EQ(producer.push(std::span(message).first(1)), RingStatus::full);
    std::vector<std::byte> buffer(64);
    std::size_t length = 0;
    EXPECT_EQ(consumer.pop(std::span(buffer).first(55), length), RingStatus::too_long);
    EXPECT_EQ(length, 56u);
    EXPECT_EQ(consumer.pop(buffer, length), RingStatus::done);
    EXPECT_EQ(consumer.pop(buffer, length), RingStatus::empty);
}

TEST(Ring, TwoThreadsOverWrappingIndices) {
    Ring ring(256);
    RingProducer producer(ring.header, ring.storage(), ring.feedback);
    RingConsumer consumer(ring.feedback, ring.header, ring.storage());
    constexpr std::uint32_t messages = 50'000;
    std::thread sender([&] {
        for (std::uint32_t number = 0; number < messages;) {
            std::uint32_t words[8];
            std::fill(std::begin(words), std::end(words), number);
            const std::span<const std::uint32_t> message(words, 1 + number % 8);
            if (producer.push(std::as_bytes(message)) == RingStatus::done) {
                ++number;
            } else {
                std::this_thread::yield();
            }
        }
    });
    for (std::uint32_t number = 0; number < messages;) {
        std::uint32_t words[8];
        std::size_t length = 0;
        if (consumer.pop(std::as_writable_bytes(std::span(words)), length) != RingStatus::done) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(length, 4u * (1 + number % 8));
        for (std::size_t word = 0; word < length / 4; ++word) {
            ASSERT_EQ(words[word], number);
        }
        ++number;
    }
    sender.join();
}

/// The consumer sees any index and any bytes at any time: it must never write beyond what it was given, never report
/// more than the ring can hold, and never hang.
TEST(RingAgainstALyingProducer, ConsumerStaysInBounds) {
    std::mt19937 random(7);
    unsigned caught = 0;
    unsigned delivered = 0;
    for (int round = 0; round < 20'000; ++round) {
        const std::size_t size = std::size_t{16} << random() % 6;
        Ring ring(size);
        RingConsumer consumer(ring.feedback, ring.header, ring.storage());
        constexpr std::size_t margin = 32;
        std::vector<std::byte> buffer(random() % (2 * size) + 2 * margin, guard);
        const std::span<std::byte> given(buffer.data() + margin, buffer.size() - 2 * margin);
        for (int step = 0; step < 8; ++step) {
            std::generate(ring.storage().begin(), ring.storage().end(),
                          [&] { return static_cast<std::byte>(random() % 4 ? 0 : random()); });
            const auto plausible = static_cast<std::uint32_t>(random() % (size / 8 + 1) * 8);
            ring.header.written.store(random() % 2 ? ring.feedback.consumed.load() + plausible
                                                   : static_cast<std::uint32_t>(random()));
            std::size_t length = 0;
            const RingStatus status = consumer.pop(given, length);
            ASSERT_LE(length, size);
            ASSERT_TRUE(status != RingStatus::done || length <= given.size());
            caught += status == RingStatus::peer_broken;
            delivered += status == RingStatus::done;
        }
        ASSERT_TRUE(std::all_of(buffer.begin(), buffer.begin() + margin, [](std::byte b) { return b == guard; }));
        ASSERT_TRUE(std::all_of(buffer.end() - margin, buffer.end(), [](std::byte b) { return b == guard; }));
        ASSERT_TRUE(ring.guards_intact());
    }
    EXPECT_GT(caught, 1000u); // the property was not met by never getting anywhere
    EXPECT_GT(delivered, 1000u);
}

/// The producer sees any consumer's index: it never writes outside of the ring, and never over a message that an honest
/// consumer has not taken (that is: not before the index says so).
TEST(RingAgainstALyingConsumer, ProducerStaysInBounds) {
    std::mt19937 random(8);
    unsigned caught = 0;
    for (int round = 0; round < 20'000; ++round) {
        const std::size_t size = std::size_t{16} << random() % 6;
        Ring ring(size);
        RingProducer producer(ring.header, ring.storage(), ring.feedback);
        for (int step = 0; step < 20; ++step) {
            if (random() % 2) {
                ring.feedback.consumed.store(random() % 3 ? static_cast<std::uint32_t>(random() % (4 * size))
                                                          : static_cast<std::uint32_t>(random()));
            }
            caught += producer.push(random_message(random, size)) == RingStatus::peer_broken;
        }
        ASSERT_TRUE(ring.guards_intact());
    }
    EXPECT_GT(caught, 1000u);
}

TEST(RingAgainstALyingProducer, IsRememberedAsBroken) {
    Ring ring(64);
    RingConsumer consumer(ring.feedback, ring.header, ring.storage());
    ring.header.written.store(72);
    std::vector<std::byte> buffer(64);
    std::size_t length = 0;
    EXPECT_EQ(consumer.pop(buffer, length), RingStatus::peer_broken);
    ring.header.written.store(0);
    EXPECT_EQ(consumer.pop(buffer, length), RingStatus::peer_broken);
}

TEST(Ring, TellsWhenTheOtherSideWaits) {
    Ring ring(64);
    RingProducer producer(ring.header, ring.storage(), ring.feedback);
    RingConsumer consumer(ring.feedback, ring.header, ring.storage());
    EXPECT_FALSE(producer.consumer_waits());
    consumer.announce_waiting(true);
    EXPECT_TRUE(producer.consumer_waits());
    consumer.announce_waiting(false);
    EXPECT_FALSE(producer.consumer_waits());
    producer.announce_waiting(true);
    EXPECT_TRUE(consumer.producer_waits());
}

} // namespace

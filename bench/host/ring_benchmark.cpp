// SPDX-License-Identifier: Apache-2.0
// Ring copies by message size against memcpy in the same process: what the hardening and the second copy cost.
#include "bench/core/ring.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

using namespace hil::bench;

namespace {

constexpr std::size_t storage_size = 1 << 18;

struct Ring {
    RingHeader header{};
    RingFeedback feedback{};
    std::vector<std::uint64_t> words = std::vector<std::uint64_t>(storage_size / 8);
    std::span<std::byte> storage() { return std::as_writable_bytes(std::span(words)); }
};

void set_bytes(benchmark::State& state) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}

/// One message in and out of the ring, both sides on one thread: the copies alone.
void ring_round(benchmark::State& state) {
    const auto ring = std::make_unique<Ring>();
    RingProducer producer(ring->header, ring->storage(), ring->feedback);
    RingConsumer consumer(ring->feedback, ring->header, ring->storage());
    std::vector<std::byte> in(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
    std::vector<std::byte> out(in.size());
    std::size_t size = 0;
    while (state.KeepRunning()) {
        if (producer.push(in) != RingStatus::done || consumer.pop(out, size) != RingStatus::done) {
            state.SkipWithError("the ring refused a message");
            break;
        }
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
    set_bytes(state);
}
BENCHMARK(ring_round)->RangeMultiplier(8)->Range(8, 32768);

/// The same bytes twice by memcpy: what a ring cannot beat.
void memcpy_twice(benchmark::State& state) {
    std::vector<std::byte> in(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
    std::vector<std::byte> middle(in.size()), out(in.size());
    while (state.KeepRunning()) {
        std::memcpy(middle.data(), in.data(), in.size());
        benchmark::DoNotOptimize(middle.data());
        benchmark::ClobberMemory();
        std::memcpy(out.data(), middle.data(), in.size());
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
    set_bytes(state);
}
BENCHMARK(memcpy_twice)->RangeMultiplier(8)->Range(8, 32768);

/// A second thread empties the ring.
void ring_stream(benchmark::State& state) {
    const auto ring = std::make_unique<Ring>();
    RingProducer producer(ring->header, ring->storage(), ring->feedback);
    RingConsumer consumer(ring->feedback, ring->header, ring->storage());
    std::vector<std::byte> message(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
    std::atomic<bool> done = false;
    std::thread reader([&, size = std::size_t{0}, out = std::vector<std::byte>(message.size())]() mutable {
        while (consumer.pop(out, size) == RingStatus::done || !done) {
            relax();
        }
    });
    while (state.KeepRunning()) {
        while (producer.push(message) == RingStatus::full) {
            std::this_thread::yield();
        }
    }
    done = true;
    reader.join();
    set_bytes(state);
}
BENCHMARK(ring_stream)->RangeMultiplier(8)->Range(8, 32768)->UseRealTime();

} // namespace

BENCHMARK_MAIN();

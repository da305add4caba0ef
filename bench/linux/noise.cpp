// SPDX-License-Identifier: Apache-2.0
// A noisy neighbour in the root cell: streams through memory on one CPU until it is ended.
#include "bench/linux/failure.hpp"
#include "bench/linux/real_time.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <getopt.h>
#include <sched.h>
#include <vector>

using namespace hil::bench;

namespace {

constexpr const char* usage =
    "usage: noise [--cpu N] [--mib N] [--seconds N]\n"
    "Copies memory on CPU N (default: the first one allowed) through two buffers of --mib MiB\n"
    "together (default 32) for --seconds (default 0: until a signal). Exit code 0, 2 wrong use.\n";

volatile std::sig_atomic_t ended = 0;

struct Options {
    int cpu = -1;
    int mib = 32;
    int seconds = 0;
};

int number(const char* name, const char* text, int most) {
    int value = 0;
    const char* end = text + std::strlen(text);
    const auto [at, error] = std::from_chars(text, end, value);
    if (error != std::errc() || at != end || value < 0 || value > most) {
        throw Failure{Failure::wrong_use,
                      std::string("--") + name + " " + text + ": expected a number from 0 to " + std::to_string(most)};
    }
    return value;
}

Options parse(int count, char** words) {
    constexpr option known[] = {{"cpu", required_argument, nullptr, 'c'},
                                {"mib", required_argument, nullptr, 'm'},
                                {"seconds", required_argument, nullptr, 's'},
                                {nullptr, 0, nullptr, 0}};
    Options options;
    opterr = 0;
    for (int letter = 0; (letter = getopt_long(count, words, "", known, nullptr)) != -1;) {
        if (letter == 'c') {
            options.cpu = number("cpu", optarg, 1023);
        } else if (letter == 'm') {
            options.mib = std::max(1, number("mib", optarg, 1024));
        } else if (letter == 's') {
            options.seconds = number("seconds", optarg, 1'000'000);
        } else {
            throw Failure{Failure::wrong_use, usage};
        }
    }
    if (optind < count) {
        throw Failure{Failure::wrong_use, std::string("unexpected argument: ") + words[optind] + "\n" + usage};
    }
    return options;
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        throw Failure{Failure::wrong_use, "--cpu " + std::to_string(cpu) + ": " + std::strerror(errno)};
    }
}

void run(const Options& options) {
    using Clock = std::chrono::steady_clock;
    const int cpu = options.cpu >= 0 ? options.cpu : allowed_cpus().front();
    pin(cpu);
    const std::size_t half = static_cast<std::size_t>(options.mib) << 19;
    std::vector<char> from(half, 1), to(half, 2);
    std::fprintf(stderr, "noise: CPU %d, %d MiB\n", cpu, options.mib);
    const Clock::time_point start = Clock::now();
    std::uint64_t moved = 0;
    while (!ended && (options.seconds == 0 || Clock::now() - start < std::chrono::seconds(options.seconds))) {
        std::memcpy(to.data(), from.data(), half);
        asm volatile("" ::"r"(to.data()) : "memory");
        std::swap(from, to);
        moved += 2 * half;
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf("noise: %.0f MB/s over %.1f s\n", static_cast<double>(moved) / 1e6 / seconds, seconds);
}

} // namespace

int main(int count, char** words) {
    try {
        const Options options = parse(count, words);
        std::signal(SIGTERM, [](int) { ended = 1; });
        std::signal(SIGINT, [](int) { ended = 1; });
        run(options);
        return 0;
    } catch (const Failure& failure) {
        std::fprintf(stderr, "noise: %s\n", failure.text.c_str());
        return failure.code;
    }
}

// SPDX-License-Identifier: Apache-2.0
#include "bench/linux/latency_options.hpp"

#include "bench/linux/failure.hpp"

#include <charconv>
#include <getopt.h>

namespace hil::bench {

const char* const latency_usage =
    "usage: ivshmem-latency [options]\n"
    "Measures the doorbell round trip to a peer of an ivshmem link that answers (inmate ivshmem-latency.bin).\n"
    "  --uio DEVICE           UIO device (default: the first ivshmem device)\n"
    "  --peer ID              who answers (default: the lowest id that is not the own one)\n"
    "  --root MODE            interrupt or poll: how this side learns of the answer (default interrupt)\n"
    "  --inmate MODE          interrupt or poll: how the peer learns of the question (default interrupt)\n"
    "  --warmup N             exchanges before those that count (default 1000)\n"
    "  --count N              exchanges that count (default 10000, at most 1000000)\n"
    "  --timeout SECONDS      limit of one exchange; a lost one is counted (default 1)\n"
    "  --handshake SECONDS    limit until the peer is ready (default 20)\n"
    "  --vector N             vector rung at the peer (default 0; INTx has no other)\n"
    "  --cpu N                CPU to run on (default: the last one allowed)\n"
    "  --priority N           SCHED_FIFO priority (default 80)\n"
    "Prints one hil-record line a series on stdout, everything for people on stderr.\n"
    "Exit code: 0 measured, 1 the peer was lost or its stamps make no sense, 2 wrong use, 4 nothing to measure with.\n";

namespace {

template <class Number> Number number(const char* option, const char* text, Number least, Number most) {
    Number value{};
    const std::string whole = text;
    const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
    if (error != std::errc() || end != whole.data() + whole.size() || value < least || value > most) {
        throw Failure{Failure::wrong_use, std::string("--") + option + " " + whole + ": expected a number from " +
                                              std::to_string(least) + " to " + std::to_string(most)};
    }
    return value;
}

latency::Mode mode(const char* option, const std::string& text) {
    if (text == "interrupt") {
        return latency::Mode::interrupt;
    }
    if (text == "poll") {
        return latency::Mode::poll;
    }
    throw Failure{Failure::wrong_use, std::string("--") + option + " " + text + ": expected interrupt or poll"};
}

constexpr option known[] = {
    {"uio", required_argument, nullptr, 'u'},
    {"peer", required_argument, nullptr, 'p'},
    {"root", required_argument, nullptr, 'r'},
    {"inmate", required_argument, nullptr, 'i'},
    {"warmup", required_argument, nullptr, 'w'},
    {"count", required_argument, nullptr, 'n'},
    {"timeout", required_argument, nullptr, 't'},
    {"handshake", required_argument, nullptr, 's'},
    {"vector", required_argument, nullptr, 'v'},
    {"cpu", required_argument, nullptr, 'c'},
    {"priority", required_argument, nullptr, 'P'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

void take(LatencyOptions& options, int letter, const char* name, const char* value) {
    switch (letter) {
    case 'u':
        options.uio = value;
        break;
    case 'p':
        options.peer = number<std::uint32_t>(name, value, 0, 65535);
        break;
    case 'r':
        options.root = mode(name, value);
        break;
    case 'i':
        options.inmate = mode(name, value);
        break;
    case 'w':
        options.warmup = number<std::uint64_t>(name, value, 0, 1'000'000);
        break;
    case 'n':
        options.count = number<std::uint64_t>(name, value, 1, 1'000'000);
        break;
    case 't':
        options.timeout = number<double>(name, value, 0.001, 60);
        break;
    case 's':
        options.handshake = number<double>(name, value, 0.1, 3600);
        break;
    case 'v':
        options.vector = number<std::uint32_t>(name, value, 0, 65535);
        break;
    case 'c':
        options.cpu = number<int>(name, value, 0, 1023);
        break;
    case 'P':
        options.priority = number<int>(name, value, 1, 99);
        break;
    default:
        options.help = true;
    }
}

} // namespace

LatencyOptions parse_latency_options(int count, char* const* words) {
    LatencyOptions options;
    opterr = 0;
    int index = 0;
    for (int letter = 0; (letter = getopt_long(count, words, "h", known, &index)) != -1;) {
        if (letter == '?') {
            throw Failure{Failure::wrong_use,
                          std::string("unknown option or missing value: ") + words[optind - 1] + "\n" + latency_usage};
        }
        take(options, letter, letter == 'h' ? "help" : known[index].name, optarg);
    }
    if (optind < count) {
        throw Failure{Failure::wrong_use, std::string("unexpected argument: ") + words[optind] + "\n" + latency_usage};
    }
    return options;
}

} // namespace hil::bench

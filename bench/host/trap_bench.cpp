// SPDX-License-Identifier: Apache-2.0
// Bytes per second of the trap decoder, beside memcpy, `grep -F` and a pexpect loop over the same bytes. All by CPU
// time (of a program: its own and its shell's), so that other work on the host does not count.
#include "hil/lib/trap_decoder.hpp"
#include "tests/unit/trap_generator.hpp"

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using hil::generator::Random;

constexpr std::size_t stream_size = 64 << 20;

/// A kernel log without any trap.
const std::string& clean_log() {
    static const std::string text = [] {
        Random random(1);
        std::string log;
        log.reserve(stream_size + 256);
        while (log.size() < stream_size) {
            log += hil::generator::kernel_line(random);
        }
        return log;
    }();
    return text;
}

/// Traps of all architectures, nothing but a kernel line between them.
const std::string& dense_traps() {
    static const std::string text = [] {
        Random random(2);
        std::string log;
        log.reserve(stream_size + 4096);
        while (log.size() < stream_size) {
            log += hil::generator::kernel_line(random) + hil::generator::any_report(random).text;
        }
        return log;
    }();
    return text;
}

void decode(benchmark::State& state, const std::string& text) {
    std::size_t events = 0;
    std::vector<hil::TrapEvent> taken;
    for ([[maybe_unused]] auto iteration : state) {
        hil::TrapDecoder decoder;
        events = 0;
        for (std::size_t at = 0; at < text.size(); at += 65536) {
            decoder.feed(std::string_view(text).substr(at, 65536));
            decoder.take(taken);
            events += taken.size();
        }
        decoder.finish();
        decoder.take(taken);
        events += taken.size();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
    state.counters["events"] = static_cast<double>(events);
}

void decode_clean_log(benchmark::State& state) {
    decode(state, clean_log());
}
void decode_dense_traps(benchmark::State& state) {
    decode(state, dense_traps());
}

void copy_dense_traps(benchmark::State& state) {
    const std::string& text = dense_traps();
    std::string copy(text.size(), '\0');
    for ([[maybe_unused]] auto iteration : state) {
        std::memcpy(copy.data(), text.data(), text.size());
        benchmark::DoNotOptimize(copy.data());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

/// CPU seconds of the programs that have ended.
double seconds_of_children() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Runs a program over the bytes in a file; its start is part of the time, as it would be for a user.
// `cat` because grep stops at its first match when its output is /dev/null.
void run_program(benchmark::State& state, const std::string& text, std::size_t size, const std::string& command) {
    const auto path = std::filesystem::temp_directory_path() / ("trap_bench_" + std::to_string(::getpid()));
    std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(size));
    for ([[maybe_unused]] auto iteration : state) {
        const double before = seconds_of_children();
        if (std::system((command + " " + path.string() + " | cat >/dev/null").c_str()) < 0) {
            state.SkipWithError("cannot start the program");
            break;
        }
        state.SetIterationTime(seconds_of_children() - before);
    }
    std::filesystem::remove(path);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

const char* const grep = "grep -c -F -e FATAL -e 'Unhandled data' -e 'Parking CPU' -e 'Stopping CPU'";
const char* const pexpect =
    "/usr/bin/python3 -c '\n"
    "import sys, pexpect.fdpexpect, os\n"
    "p = pexpect.fdpexpect.fdspawn(os.open(sys.argv[1], os.O_RDONLY), timeout=5)\n"
    "while p.expect([r\"Parking CPU (\\d+) \\(Cell: \\\"([^\\\"]*)\\\"\\)\", pexpect.EOF]) == 0: pass\n'";

void grep_clean_log(benchmark::State& state) {
    run_program(state, clean_log(), stream_size, grep);
}
void grep_dense_traps(benchmark::State& state) {
    run_program(state, dense_traps(), stream_size, grep);
}
// pexpect is slower by orders of magnitude: two mebibytes of the same bytes are enough to see it.
void pexpect_clean_log(benchmark::State& state) {
    run_program(state, clean_log(), 2 << 20, pexpect);
}
void pexpect_dense_traps(benchmark::State& state) {
    run_program(state, dense_traps(), 2 << 20, pexpect);
}

BENCHMARK(decode_clean_log)->Unit(benchmark::kMillisecond);
BENCHMARK(decode_dense_traps)->Unit(benchmark::kMillisecond);
BENCHMARK(copy_dense_traps)->Unit(benchmark::kMillisecond);
BENCHMARK(grep_clean_log)->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK(grep_dense_traps)->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK(pexpect_clean_log)->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(1);
BENCHMARK(pexpect_dense_traps)->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(1);

} // namespace

BENCHMARK_MAIN();

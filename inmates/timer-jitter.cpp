// SPDX-License-Identifier: Apache-2.0
// How late a periodic timer interrupt is: from the deadline in the compare register to the first instructions of the
// interrupt vector. Prints a line now and then, and a hil-record when all samples are taken.
// Command line: period_us=1000, warmup=100, count=10000 (at most 20000; 0: lines without end), report_ms=1000,
// repeat=1 (how often the record is printed, a second apart: a damaged copy is dropped by its reader).
#include "inmates/lib/inmate.hpp"

#include "bench/core/record.hpp"

using namespace inmate;
using hil::bench::SharedCounter;

namespace {

constexpr std::uint64_t most_samples = 20'000;

struct Measurement {
    Ticks period = 0;
    std::uint64_t warmup = 0;
    std::uint64_t count = 0; ///< samples to keep; 0: none, without end
    Ticks deadline = 0;
    Ticks first = 0; ///< deadline of the first counted sample
    volatile std::uint64_t taken = 0;
    volatile std::uint64_t missed = 0; ///< periods that were over before the interrupt of the one before came
    volatile Ticks last = 0;
    volatile Ticks smallest = ~0ull; ///< since the last line
    volatile Ticks largest = 0;
    volatile bool finished = false;
};

Measurement measurement;
Ticks times[most_samples];
Ticks lateness[most_samples];
hil::bench::Series series;

void keep(Measurement& now, Ticks late) {
    const std::uint64_t index = now.taken - now.warmup;
    if (index == 0) {
        now.first = now.deadline;
    }
    times[index] = now.deadline - now.first;
    lateness[index] = late;
    now.finished = index + 1 == now.count;
}

void expired(void*, Ticks stamp) {
    Measurement& now = measurement;
    if (now.finished || stamp < now.deadline) {
        return;
    }
    const Ticks late = stamp - now.deadline;
    now.last = late;
    now.smallest = late < now.smallest ? late : now.smallest;
    now.largest = late > now.largest ? late : now.largest;
    if (now.count != 0 && now.taken >= now.warmup) {
        keep(now, late);
    }
    now.taken = now.taken + 1;
    if (now.finished) {
        return;
    }
    now.deadline += now.period;
    for (; now.deadline <= SharedCounter::now(); now.deadline += now.period) {
        now.missed = now.missed + 1;
    }
    timer_arm(now.deadline);
}

std::uint64_t nanoseconds(Ticks ticks) {
    const std::uint64_t hz = timer_frequency();
    return ticks / hz * 1'000'000'000 + ticks % hz * 1'000'000'000 / hz;
}

void print_line() {
    mask_interrupts();
    const Ticks last = measurement.last, smallest = measurement.smallest, largest = measurement.largest;
    measurement.smallest = ~0ull;
    measurement.largest = 0;
    unmask_interrupts();
    if (smallest <= largest) {
        println("timer-jitter: ", std::uint64_t{measurement.taken}, " interrupts, late by ", nanoseconds(last),
                " ns now, ", nanoseconds(smallest), " to ", nanoseconds(largest), " ns since the last line, ",
                std::uint64_t{measurement.missed}, " missed");
    }
}

struct Output {
    void write(std::string_view text) { put(text); }
};

void print_record() {
    Output output;
    hil::bench::write_record({"timer-jitter", "lateness", "deadline of the virtual timer",
                              "inmate: counter read at the first instructions of the interrupt vector",
                              SharedCounter::info(), "", "interrupt", measurement.warmup, measurement.missed},
                             series, output);
}

/// False when a shutdown was asked for meanwhile.
bool pause(Ticks until) {
    while (SharedCounter::now() < until) {
        if (shutdown_requested()) {
            return false;
        }
        sleep_until(until < SharedCounter::now() + microseconds(10'000) ? until
                                                                        : SharedCounter::now() + microseconds(10'000));
    }
    return true;
}

bool measure(Ticks interval) {
    measurement.deadline = SharedCounter::now() + measurement.period;
    mask_interrupts();
    timer_arm(measurement.deadline);
    Ticks next_line = SharedCounter::now() + interval;
    while (!measurement.finished) {
        wait_for_interrupt();
        unmask_interrupts();
        if (shutdown_requested()) {
            timer_stop();
            return false;
        }
        if (SharedCounter::now() >= next_line) {
            next_line += interval;
            print_line();
        }
        mask_interrupts();
    }
    unmask_interrupts();
    return true;
}

} // namespace

bool inmate_main() {
    measurement.period = microseconds(command_line_number("period_us", 1000));
    measurement.warmup = command_line_number("warmup", 100);
    measurement.count = command_line_number("count", 10'000);
    if (measurement.period == 0 || measurement.count > most_samples) {
        println("timer-jitter: period_us must not be 0 and count is at most ", most_samples, ", command line \"",
                command_line(), "\"");
        return false;
    }
    println("timer-jitter: a timer interrupt every ", nanoseconds(measurement.period), " ns, ", measurement.warmup,
            " to warm up, then ", measurement.count);
    if (!timer_open(expired, nullptr) || !measure(microseconds(command_line_number("report_ms", 1000) * 1000))) {
        return true;
    }
    const std::size_t count = measurement.count;
    const Ticks duration = times[count - 1] + lateness[count - 1];
    series.build({times, count}, {lateness, count}, duration);
    for (std::uint64_t copy = command_line_number("repeat", 1); copy > 0; --copy) {
        print_record();
        if (!pause(SharedCounter::now() + timer_frequency())) {
            return true;
        }
    }
    println("timer-jitter: done");
    while (pause(SharedCounter::now() + timer_frequency())) {
    }
    return true;
}

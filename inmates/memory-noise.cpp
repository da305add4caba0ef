// SPDX-License-Identifier: Apache-2.0
// A noisy neighbour: streams through memory larger than the caches, so that other cells feel it on the memory bus.
// Command line: from=0x100000 (RAM behind the inmate), size=0xf00000, report_ms=5000.
#include "inmates/lib/inmate.hpp"

#include "bench/core/barrier.hpp"

#include <span>

using namespace inmate;

namespace {

constexpr std::uint64_t piece = 0x10000; ///< between two looks at messages and time

/// Every cache line is read and written once.
void stream(std::span<volatile std::uint64_t> words) {
    constexpr std::size_t line = 64 / sizeof(std::uint64_t);
    for (std::size_t index = 0; index < words.size(); index += line) {
        words[index] = words[index] + 1;
    }
}

} // namespace

bool inmate_main() {
    const std::uint64_t from = command_line_number("from", 0x100000);
    const std::uint64_t size = command_line_number("size", 0xf00000) & ~(piece - 1);
    if (size == 0 || !map(from, size, Memory::normal)) {
        println("memory-noise: cannot map ", hex(size), " bytes at ", hex(from));
        return false;
    }
    println("memory-noise: streaming through ", hex(size), " bytes at ", hex(from));
    const Ticks interval = microseconds(command_line_number("report_ms", 5000) * 1000);
    Ticks last = hil::bench::SharedCounter::now();
    std::uint64_t moved = 0;
    for (std::uint64_t offset = 0; !shutdown_requested(); offset = (offset + piece) % size) {
        stream({reinterpret_cast<volatile std::uint64_t*>(from + offset), piece / sizeof(std::uint64_t)});
        moved += 2 * piece;
        const Ticks now = hil::bench::SharedCounter::now();
        if (now - last >= interval) {
            println("memory-noise: ", moved / 1000 * timer_frequency() / (now - last) / 1000, " MB/s");
            last = now;
            moved = 0;
        }
        hil::bench::relax();
    }
    return true;
}

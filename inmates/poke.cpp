// SPDX-License-Identifier: Apache-2.0
// Breaks a rule on purpose, to see who stops it and how.
// Command line: kind=read|write|execute (an access to `address`, mapped in the cell's own tables: what the cell's
// config does not grant, the hypervisor traps), kind=unmapped (a read that the cell's own tables do not have),
// kind=undefined (an undefined instruction), kind=stack (a stack overflow), kind=pair (a load of two registers, which
// has no syndrome), kind=fail (the cell reports itself failed); address=0x0a000000, after_ms=100.
#include "inmates/lib/inmate.hpp"

#include "bench/core/mmio.hpp"

using namespace inmate;

namespace {

[[gnu::noinline]] std::uint64_t recurse(std::uint64_t depth) {
    volatile std::uint64_t ballast[64];
    ballast[depth % 64] = depth;
    return depth == ~0ull ? ballast[0] : recurse(depth + 1) + ballast[depth % 64];
}

void load_pair(std::uint64_t address) {
    std::uint64_t low, high;
    asm volatile("ldp %0, %1, [%2]" : "=r"(low), "=r"(high) : "r"(address) : "memory");
    println("poke: pair is ", hex(low), " ", hex(high));
}

void access(std::string_view kind, std::uint64_t address) {
    const Access rights = kind == "execute" ? Access::read_execute : Access::read_write;
    if (kind != "unmapped" && !map(address, 16, kind == "execute" ? Memory::normal : Memory::device, rights)) {
        println("poke: cannot map ", hex(address));
        return;
    }
    if (kind == "write") {
        hil::bench::mmio_write32(address, 0x5a5a5a5a);
        println("poke: written");
    } else if (kind == "execute") {
        reinterpret_cast<void (*)()>(address)();
        println("poke: executed");
    } else if (kind == "pair") {
        load_pair(address);
    } else {
        println("poke: read ", hex(hil::bench::mmio_read32(address)));
    }
}

} // namespace

bool inmate_main() {
    const std::string_view kind = command_line_text("kind", "read");
    const std::uint64_t address = command_line_number("address", 0x0a000000);
    if (!timer_open(nullptr, nullptr)) {
        return false;
    }
    println("poke: ", kind, " at ", hex(address));
    const Ticks start = hil::bench::SharedCounter::now() + microseconds(command_line_number("after_ms", 100) * 1000);
    while (hil::bench::SharedCounter::now() < start) {
        sleep_until(start);
    }
    if (kind == "undefined") {
        asm volatile("udf #0");
    } else if (kind == "stack") {
        println("poke: ", recurse(1));
    } else if (kind == "fail") {
        return false;
    } else {
        access(kind, address);
    }
    println("poke: nobody stopped it");
    while (!shutdown_requested()) {
        sleep_until(hil::bench::SharedCounter::now() + microseconds(10'000));
    }
    return true;
}

// SPDX-License-Identifier: Apache-2.0
// Shows an ivshmem link from inside a cell: prints what the device offers, then answers every doorbell with one.
// Command line: device=0, peer=0 (whom to answer), answer=1 (0: only count), ring_ms=0 (ring the peer so often by
// itself), quiet=0 (1: do not print each interrupt). Of two cells that show a link to each other, one takes answer=0
// ring_ms=500.
#include "inmates/lib/inmate.hpp"
#include "inmates/lib/ivshmem.hpp"

#include "bench/core/barrier.hpp"

using namespace inmate;

namespace {

constexpr std::uint32_t state_ready = 2;

void print_device(const Ivshmem& device) {
    println("ivshmem-demo: device ", pci_bus(device.bdf()), ":", pci_slot(device.bdf()), ".",
            pci_function(device.bdf()), " protocol ", hex(device.protocol()));
    println("ivshmem-demo: peer ", static_cast<unsigned>(device.id()), " of ", device.max_peers(), ", interrupt ",
            static_cast<unsigned>(device.interrupt()));
    println("ivshmem-demo: shared memory ", hex(device.shared_memory()), ", read/write section ",
            hex(device.read_write_section().size()), " bytes, output sections ", hex(device.own_output().size()),
            " bytes each");
}

std::uint32_t first_word(std::span<const std::byte> section) {
    return section.size() < 4 ? 0 : *reinterpret_cast<const volatile std::uint32_t*>(section.data());
}

void print_link(const Ivshmem& device) {
    for (unsigned peer = 0; peer < device.max_peers(); ++peer) {
        const PeerId id{static_cast<std::uint16_t>(peer)};
        println("ivshmem-demo:  peer ", peer, " state ", device.state(id), " output ", first_word(device.output(id)));
    }
}

/// The own output section and, if there is one, the own word of the read/write section count the interrupts.
void leave_count(const Ivshmem& device, std::uint32_t count) {
    const auto own = static_cast<std::size_t>(device.id());
    const std::span<std::byte> shared = device.read_write_section();
    if (shared.size() >= 4 * (own + 1)) {
        reinterpret_cast<volatile std::uint32_t*>(shared.data())[own] = count;
    }
    if (device.own_output().size() >= 4) {
        *reinterpret_cast<volatile std::uint32_t*>(device.own_output().data()) = count * 10;
    }
    hil::bench::publish_barrier();
}

void count_interrupt(void* context, Ticks) {
    auto& count = *static_cast<volatile std::uint32_t*>(context);
    count = count + 1;
}

} // namespace

bool inmate_main() {
    Ivshmem device;
    volatile std::uint32_t interrupts = 0;
    if (!timer_open(nullptr, nullptr) || !device.open(static_cast<unsigned>(command_line_number("device", 0)))) {
        return false;
    }
    const PeerId peer{static_cast<std::uint16_t>(command_line_number("peer", 0))};
    const bool quiet = command_line_number("quiet", 0) != 0;
    const bool answering = command_line_number("answer", 1) != 0;
    const Ticks interval = microseconds(command_line_number("ring_ms", 0) * 1000);
    print_device(device);
    leave_count(device, 0);
    if (!device.enable_interrupt(count_interrupt, const_cast<std::uint32_t*>(&interrupts))) {
        return false;
    }
    device.set_state(state_ready);
    print_link(device);
    std::uint32_t answered = 0;
    Ticks next_ring = hil::bench::SharedCounter::now() + interval;
    while (!shutdown_requested()) {
        if (interval != 0 && hil::bench::SharedCounter::now() >= next_ring) {
            next_ring += interval;
            println("ivshmem-demo: ringing peer ", static_cast<unsigned>(peer));
            device.ring(peer);
        }
        if (interrupts == answered) {
            sleep_until(hil::bench::SharedCounter::now() + microseconds(10'000));
            continue;
        }
        answered = interrupts;
        leave_count(device, answered);
        if (!quiet) {
            println("ivshmem-demo: interrupt ", answered);
            print_link(device);
        }
        if (answering) {
            if (!quiet) {
                println("ivshmem-demo: answering peer ", static_cast<unsigned>(peer));
            }
            device.ring(peer);
        }
    }
    device.disable_interrupt();
    device.set_state(0);
    println("ivshmem-demo: ", answered, " interrupts, shutting down");
    return true;
}

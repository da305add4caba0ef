// SPDX-License-Identifier: Apache-2.0
// Many ivshmem devices in one cell: counts the interrupts of each and answers each by a doorbell to the next peer of
// the same link. Devices share the four pins of a PCI bus, so each is used in one-shot mode: an interrupt switches
// itself off, and that tells whose it was. The first word of a device's own output section is the count, the second the
// number of edges on its pin that were another device's. Command line: devices=5, state=2 (of each device, once all can
// be rung).
#include "inmates/lib/inmate.hpp"
#include "inmates/lib/ivshmem.hpp"

#include "bench/core/barrier.hpp"

using namespace inmate;

namespace {

constexpr unsigned most_devices = 32;

struct End {
    Ivshmem device;
    std::uint32_t count = 0;
    std::uint32_t others = 0;

    void tell() const {
        const std::span<std::byte> own = device.own_output();
        if (own.size() >= 8) {
            auto* words = reinterpret_cast<volatile std::uint32_t*>(own.data());
            words[0] = count;
            words[1] = others;
            hil::bench::publish_barrier();
        }
    }
};
End ends[most_devices];

void interrupt(void* context, Ticks) {
    End& end = *static_cast<End*>(context);
    if (!end.device.switched_itself_off()) {
        ++end.others;
        end.tell();
        return;
    }
    ++end.count;
    end.tell();
    end.device.switch_on_again();
    const unsigned next = (static_cast<unsigned>(end.device.id()) + 1) % end.device.max_peers();
    end.device.ring(PeerId{static_cast<std::uint16_t>(next)});
}

bool open_all(unsigned count) {
    for (unsigned index = 0; index < count; ++index) {
        End& end = ends[index];
        if (!end.device.open(index)) {
            return false;
        }
        end.tell();
        end.device.use_one_shot();
        if (!end.device.enable_interrupt(interrupt, &end)) {
            println("ivshmem-many: no handler is left for device ", index);
            return false;
        }
    }
    return true;
}

} // namespace

bool inmate_main() {
    const auto count = static_cast<unsigned>(command_line_number("devices", 5));
    if (count > most_devices || !timer_open(nullptr, nullptr) || !open_all(count)) {
        return false;
    }
    const auto state = static_cast<std::uint32_t>(command_line_number("state", 2));
    for (unsigned index = 0; index < count; ++index) {
        ends[index].device.set_state(state);
    }
    println("ivshmem-many: ", count, " devices");
    while (!shutdown_requested()) {
        sleep_until(hil::bench::SharedCounter::now() + microseconds(10'000));
    }
    return true;
}

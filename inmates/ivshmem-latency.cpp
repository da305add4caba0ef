// SPDX-License-Identifier: Apache-2.0
// The answering side of the ivshmem-latency probe. How it answers (interrupt or polling) comes with each request, so
// that one start serves several measurements. Command line: device=0, peer=0 (who asks).
#include "inmates/lib/inmate.hpp"
#include "inmates/lib/ivshmem.hpp"

#include "bench/probes/ivshmem_latency.hpp"

using namespace inmate;
namespace latency = hil::bench::latency;

namespace {

/// The probe's environment in a bare-metal cell.
class CellDoorbell {
  public:
    CellDoorbell(Ivshmem& device, PeerId peer) : device_(device), peer_(peer) {}

    bool open() { return device_.enable_interrupt(&CellDoorbell::rang, this); }

    Ticks now() const { return hil::bench::SharedCounter::now(); }
    void ring() { device_.ring(peer_); }

    /// Asleep with interrupts masked: one that comes between the look and the sleep ends the sleep.
    std::optional<Ticks> wait(Ticks deadline) {
        for (;;) {
            mask_interrupts();
            if (rung_) {
                rung_ = false;
                const Ticks stamp = stamp_;
                unmask_interrupts();
                return stamp;
            }
            if (now() >= deadline) {
                unmask_interrupts();
                return std::nullopt;
            }
            timer_arm(deadline);
            wait_for_interrupt();
            unmask_interrupts();
        }
    }

    void drain(Ticks quiet) {
        for (unsigned taken = 0; taken < hil::bench::most_drained && wait(now() + quiet); ++taken) {
        }
    }

  private:
    static void rang(void* context, Ticks stamp) {
        auto& self = *static_cast<CellDoorbell*>(context);
        self.stamp_ = stamp;
        self.rung_ = true;
    }

    Ivshmem& device_;
    PeerId peer_;
    volatile bool rung_ = false;
    volatile Ticks stamp_ = 0;
};

void print_change(const latency::Responder<CellDoorbell>& responder, std::uint32_t before, std::uint64_t answered) {
    if (before != 0) {
        println("ivshmem-latency: ", responder.answered() - answered, " exchanges answered");
    }
    if (responder.run() != 0) {
        println("ivshmem-latency: answering by ", latency::mode_name(responder.mode()));
    }
}

void serve(CellDoorbell& doorbell, latency::Responder<CellDoorbell>& responder) {
    std::uint64_t answered = 0;
    while (!shutdown_requested()) {
        const std::uint32_t before = responder.run();
        responder.step(doorbell.now() + microseconds(10'000));
        if (responder.run() != before) {
            print_change(responder, before, answered);
            answered = responder.answered();
        }
    }
}

} // namespace

bool inmate_main() {
    Ivshmem device;
    if (!timer_open(nullptr, nullptr) || !device.open(static_cast<unsigned>(command_line_number("device", 0)))) {
        return false;
    }
    const PeerId peer{static_cast<std::uint16_t>(command_line_number("peer", 0))};
    const std::span<std::byte> own = device.own_output();
    const std::span<const std::byte> request = device.output(peer);
    if (peer == device.id() || own.size() < sizeof(latency::ReplyBlock) ||
        request.size() < sizeof(latency::RequestBlock)) {
        println("ivshmem-latency: peer ", static_cast<unsigned>(peer), " of ", device.max_peers(), " with ", own.size(),
                " bytes of output section: need another peer than ", static_cast<unsigned>(device.id()), " and ",
                sizeof(latency::ReplyBlock), " bytes");
        return false;
    }
    device.set_state(latency::state_starting);
    CellDoorbell doorbell(device, peer);
    if (!doorbell.open()) {
        return false;
    }
    latency::Responder responder(doorbell, *reinterpret_cast<latency::ReplyBlock*>(own.data()),
                                 *reinterpret_cast<const latency::RequestBlock*>(request.data()));
    device.set_state(latency::state_ready);
    println("ivshmem-latency: peer ", static_cast<unsigned>(device.id()), " ready for peer ",
            static_cast<unsigned>(peer));
    serve(doorbell, responder);
    device.disable_interrupt();
    device.set_state(latency::state_absent);
    println("ivshmem-latency: shutting down");
    return true;
}

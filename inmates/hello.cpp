// SPDX-License-Identifier: Apache-2.0
// Says what the cell looks like from inside, then counts.
// Command line: interval_ms=1000, count=0 (0: until shutdown).
#include "inmates/lib/inmate.hpp"

using namespace inmate;

namespace {

void print_cell() {
    const jh_comm_arm& region = comm_region();
    println("hello: communication region revision ", region.generic.revision, " at ", hex(comm_region_address));
    println("hello: console type ", region.generic.console.type, " at ", hex(region.generic.console.address));
    println("hello: GICv", region.gic_version, ", distributor ", hex(region.gicd_base), ", redistributors ",
            hex(region.gicr_base));
    println("hello: PCI configuration space at ", hex(region.generic.pci_mmconfig_base), ", interrupts from SPI ",
            region.vpci_irq_base, " on");
    println("hello: CPU affinity ", hex(SYSREG_READ(mpidr_el1) & 0xff00ffffff), ", counter ", timer_frequency(), " Hz");
    println("hello: command line \"", command_line(), "\"");
}

} // namespace

bool inmate_main() {
    print_cell();
    if (!timer_open(nullptr, nullptr)) {
        return false;
    }
    const Ticks interval = microseconds(command_line_number("interval_ms", 1000) * 1000);
    const std::uint64_t count = command_line_number("count", 0);
    Ticks next = hil::bench::SharedCounter::now();
    for (std::uint64_t number = 1; count == 0 || number <= count; ++number) {
        println("hello ", number);
        next += interval;
        while (hil::bench::SharedCounter::now() < next) {
            if (shutdown_requested()) {
                println("hello: shutting down");
                return true;
            }
            const Ticks soon = hil::bench::SharedCounter::now() + microseconds(10'000);
            sleep_until(soon < next ? soon : next);
        }
    }
    return true;
}

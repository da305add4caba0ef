// SPDX-License-Identifier: Apache-2.0
// From start-up code to inmate_main and to the cell's end.
#include "inmates/lib/arm64/exception.hpp"
#include "inmates/lib/console.hpp"
#include "inmates/lib/inmate.hpp"

extern "C" {
extern void (*const init_array_start[])();
extern void (*const init_array_end[])();
[[noreturn]] void inmate_entry();
}

using namespace inmate;

void inmate_entry() {
    map(comm_region_address, 0x1000, Memory::normal);
    if (!comm_region_valid()) { // no console is known either: the state is the only thing left to say it with
        set_cell_state(JH_CELL_FAILED_COMM_REV);
        halt();
    }
    console_open(comm_region().generic);
    for (auto constructor = init_array_start; constructor != init_array_end; ++constructor) {
        (*constructor)();
    }
    bool good = false;
    if (gic_open()) {
        set_cell_state(JH_CELL_RUNNING);
        unmask_interrupts();
        good = inmate_main();
    }
    mask_interrupts();
    set_cell_state(good ? JH_CELL_SHUT_DOWN : JH_CELL_FAILED);
    halt();
}

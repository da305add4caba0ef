// SPDX-License-Identifier: Apache-2.0
// Breaks a rule on purpose, to see who stops it and how. Every act is a function of its own that holds the breaking
// instruction itself: the pc of a trap then names function and line of this file.
//
// Command line: act=NAME with what the act needs, after_ms=50 (pause before it), repeat=1 (times),
// second=N (CPU N of the cell is switched on first and idles), handlers=none (exceptions of the inmate itself end in
// silence, as in a program without vectors).
//   read, write        addr=0x0a000000 size=1|2|4|8 (mapped in the inmate's own tables; value=… for write)
//   pair-read, pair-write   addr=…: two registers at once, for which there is no syndrome
//   exec               addr=…: jumps there
//   unmapped           addr=…: an address that the inmate's own tables do not have
//   undefined, stack   an undefined instruction; a recursion without end
//   hvc                a hypervisor call with a foreign immediate; hypercall number=… argument=…: with the right one
//   smc, smc-service   a monitor call with a foreign immediate; with a function id that nobody serves: function=…
//   ecam               device=0 reg=0 size=4 value=…: writes to the virtual PCI configuration space
//   ecam-search        looks for an ivshmem device and walks on where there is none
//   cpu-off            PSCI CPU_OFF
//   state              value=0…4: writes the cell's state
//   locked, refuse, no-reply   takes part in the messages: as running/locked; refusing the first; never answering
//   flood              text without a pause
//   idle               nothing; with reply_ms=… it takes that long to answer a message
#include "inmates/lib/inmate.hpp"

#include "abi/hypercall.h"
#include "abi/ivshmem.h"
#include "bench/core/barrier.hpp"
#include "inmates/lib/arm64/hypercall.hpp"

using namespace inmate;

namespace {

constexpr std::uint64_t nobody_there = 0x0a000000;

// --- the acts; `asm` so that the instruction is this file's and has a valid syndrome ---

[[gnu::noinline]] std::uint64_t read_from(std::uint64_t address, std::uint64_t size) {
    std::uint64_t value = 0;
    switch (size) {
    case 1:
        asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
        break;
    case 2:
        asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
        break;
    case 8:
        asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
        break;
    default:
        asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
        break;
    }
    return value;
}

[[gnu::noinline]] void write_to(std::uint64_t address, std::uint64_t size, std::uint64_t value) {
    switch (size) {
    case 1:
        asm volatile("strb %w0, [%1]" ::"r"(value), "r"(address) : "memory");
        break;
    case 2:
        asm volatile("strh %w0, [%1]" ::"r"(value), "r"(address) : "memory");
        break;
    case 8:
        asm volatile("str %0, [%1]" ::"r"(value), "r"(address) : "memory");
        break;
    default:
        asm volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
        break;
    }
}

[[gnu::noinline]] std::uint64_t read_pair(std::uint64_t address) {
    std::uint64_t low, high;
    asm volatile("ldp %0, %1, [%2]" : "=r"(low), "=r"(high) : "r"(address) : "memory");
    return low ^ high;
}

[[gnu::noinline]] void write_pair(std::uint64_t address, std::uint64_t value) {
    asm volatile("stp %0, %0, [%1]" ::"r"(value), "r"(address) : "memory");
}

[[gnu::noinline]] void jump_to(std::uint64_t address) {
    asm volatile("blr %0" ::"r"(address) : "x30", "memory");
}

[[gnu::noinline]] std::uint64_t recurse(std::uint64_t depth) {
    volatile std::uint64_t ballast[64];
    ballast[depth % 64] = depth;
    return depth == ~0ull ? ballast[0] : recurse(depth + 1) + ballast[depth % 64];
}

[[gnu::noinline]] void undefined_instruction() {
    asm volatile("udf #0");
}

[[gnu::noinline]] void foreign_hypervisor_call() {
    asm volatile("hvc #0x1234" ::: "memory");
}

[[gnu::noinline]] void foreign_monitor_call() {
    asm volatile("smc #1" ::: "memory");
}

[[gnu::noinline]] std::uint64_t monitor_call(std::uint64_t function, std::uint64_t first = 0,
                                             std::uint64_t second = 0) {
    register std::uint64_t x0 asm("x0") = function;
    register std::uint64_t x1 asm("x1") = first;
    register std::uint64_t x2 asm("x2") = second;
    register std::uint64_t x3 asm("x3") = 0;
    asm volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return x0;
}

/// As naive drivers search: vendor and device in one word, function after function, with no thought of the window's
/// end. Never comes back when there is no such device.
[[gnu::noinline]] std::uint64_t search_device(std::uint64_t window, std::uint64_t wanted) {
    for (std::uint64_t address = window;; address += 0x1000) {
        std::uint64_t found;
        asm volatile("ldr %w0, [%1]" : "=r"(found) : "r"(address), "r"(wanted) : "memory");
        if (found == wanted) {
            return address;
        }
    }
}

// --- their command line ---

bool mapped(std::uint64_t address, std::uint64_t size, bool code = false) {
    if (map(address, size, code ? Memory::normal : Memory::device, code ? Access::read_execute : Access::read_write)) {
        return true;
    }
    println("fault: cannot map ", hex(address));
    return false;
}

void memory_act(std::string_view act, std::uint64_t address, std::uint64_t size, std::uint64_t value) {
    if (act != "unmapped" && !mapped(address, 16, act == "exec")) {
        return;
    }
    if (act == "write") {
        write_to(address, size, value);
    } else if (act == "pair-read") {
        println("fault: pair is ", hex(read_pair(address)));
    } else if (act == "pair-write") {
        write_pair(address, value);
    } else if (act == "exec") {
        jump_to(address);
    } else {
        println("fault: read ", hex(read_from(address, size)));
    }
}

void ecam_act(std::string_view act, std::uint64_t size, std::uint64_t value) {
    const std::uint64_t window = comm_region().generic.pci_mmconfig_base;
    constexpr std::uint64_t ivshmem = IVSHMEM_VENDOR_ID | std::uint64_t{IVSHMEM_DEVICE_ID} << 16;
    const std::uint64_t address = window + (command_line_number("device", 0) << 12) + command_line_number("reg", 0);
    if (!mapped(window, 0x200000)) {
        return;
    }
    if (act == "ecam") {
        write_to(address, size, value);
    } else {
        println("fault: found at ", hex(search_device(window, ivshmem)));
    }
}

void call_act(std::string_view act) {
    if (act == "hvc") {
        foreign_hypervisor_call();
    } else if (act == "hypercall") {
        const std::int64_t result = hypercall(command_line_number("number", ~0u), command_line_number("argument", 0));
        println("fault: hypercall gives ", result);
    } else if (act == "smc") {
        foreign_monitor_call();
    } else {
        println("fault: service gives ", hex(monitor_call(command_line_number("function", 0xc3000001))));
    }
}

[[noreturn]] void flood() {
    for (std::uint64_t line = 0;; ++line) {
        println("fault: flood ", line);
    }
}

/// False: no such act.
bool do_act(std::string_view act) {
    constexpr std::uint64_t psci_cpu_off = 0x84000002;
    const std::uint64_t size = command_line_number("size", 4);
    const std::uint64_t value = command_line_number("value", 0x5a5a5a5a);
    if (act == "read" || act == "write" || act == "pair-read" || act == "pair-write" || act == "exec" ||
        act == "unmapped") {
        memory_act(act, command_line_number("addr", nobody_there), size, value);
    } else if (act == "hvc" || act == "hypercall" || act == "smc" || act == "smc-service") {
        call_act(act);
    } else if (act == "ecam" || act == "ecam-search") {
        ecam_act(act, size, value);
    } else if (act == "undefined") {
        undefined_instruction();
    } else if (act == "stack") {
        println("fault: ", recurse(1));
    } else if (act == "cpu-off") {
        monitor_call(psci_cpu_off);
    } else if (act == "state") {
        set_cell_state(static_cast<jh_cell_state>(command_line_number("value", JH_CELL_FAILED)));
    } else if (act == "locked") {
        set_cell_state(JH_CELL_RUNNING_LOCKED);
    } else if (act == "flood") {
        flood();
    } else if (act != "idle" && act != "refuse" && act != "no-reply") {
        println("fault: no act is called ", act);
        return false;
    }
    return true;
}

extern "C" char silent_vectors[];

/// Each vector is a loop: what a program without handlers looks like from outside.
asm(R"(
    .pushsection .text
    .balign 0x800
    .global silent_vectors
silent_vectors:
    .rept 16
    .balign 0x80
    b .
    .endr
    .balign 0x80

    .global idle_cpu
idle_cpu:
    wfi
    b idle_cpu
    .popsection
)");

extern "C" char idle_cpu[];

/// The image lies at its linked address in the cell: so does the entry of a CPU that starts with its MMU off.
void switch_on(std::uint64_t cpu) {
    constexpr std::uint64_t psci_cpu_on = 0xc4000003;
    if (monitor_call(psci_cpu_on, cpu, reinterpret_cast<std::uint64_t>(idle_cpu)) == 0) {
        println("fault: CPU ", cpu, " is on");
    }
}

void wait_ms(std::uint64_t count) {
    const Ticks end = hil::bench::SharedCounter::now() + microseconds(count * 1000);
    while (hil::bench::SharedCounter::now() < end) {
        sleep_until(end);
    }
}

} // namespace

bool inmate_main() {
    const std::string_view act = command_line_text("act", "read");
    if (!timer_open(nullptr, nullptr)) {
        return false;
    }
    println("fault: ", act);
    if (const std::uint64_t cpu = command_line_number("second", 0); cpu != 0) {
        switch_on(cpu);
    }
    wait_ms(command_line_number("after_ms", 50));
    if (command_line_text("handlers", "") == "none") {
        mask_interrupts();
        SYSREG_WRITE(vbar_el1, reinterpret_cast<std::uint64_t>(silent_vectors));
        instruction_barrier();
    }
    for (std::uint64_t turn = command_line_number("repeat", 1); turn > 0; --turn) {
        if (!do_act(act)) {
            return false;
        }
    }
    println("fault: nobody stopped ", act);
    const std::uint64_t reply_ms = command_line_number("reply_ms", 0);
    for (bool refuse = act == "refuse";; wait_ms(10)) {
        if (refuse && comm_region().generic.msg_to_cell == JH_MSG_SHUTDOWN_REQUEST) {
            refuse = false;
            comm_region().generic.msg_to_cell = JH_MSG_NONE;
            hil::bench::publish_barrier();
            comm_region().generic.reply_from_cell = JH_REPLY_REQUEST_DENIED;
            println("fault: refused");
        } else if (act != "no-reply" && comm_region().generic.msg_to_cell != JH_MSG_NONE) {
            wait_ms(reply_ms);
            if (shutdown_requested()) {
                return true;
            }
        }
    }
}

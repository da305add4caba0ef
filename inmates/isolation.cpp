// SPDX-License-Identifier: Apache-2.0
// Reaches for what belongs to others in ways that must not park the cell: registers that read as zero, calls that are
// refused, state that is gone. Each act ends with "isolation: held ACT" or "isolation: BROKEN ACT: …".
//
// Command line: act=NAME with what the act needs.
//   gic                foreign=33 (an interrupt of another cell): distributor, redistributors, SGIs to everybody
//   psci               foreign=0 (affinity of another cell's CPU)
//   hypercall          all numbers but the console's
//   registers          auxiliary control, interrupt interface
//   residue-leave, residue-find    registers written by one cell, looked for by the next
//   subpage            addr=… size=4: one read, its value printed
//   mmu-off            addr=… write=0|1: an access with MMU and caches off (trapped, or BROKEN)
//   order              more interrupts at once than there are list registers, by priority
//   pair               second=2 (affinity): both CPUs fault at the same time
//   off-and-fault      second=2: the first CPU switches itself off, then the second faults
//   ecam               foreign=8 (bdf of another cell's virtual device): configuration space shows the cell's own alone
//   doorbell           reaches an end that has enabled it, and no other way (rings itself)
//   shared             second=2 line=132 end=fault|off seen=0|1: the second CPU stops with a shared interrupt of the
//                      cell, taken and not finished or not taken at all; the first must get the one, and get the other
//                      anew
//   keep               line=132: faults inside the handler of a shared interrupt
//   take               line=132: a shared interrupt, made pending, must come
//   flood              kind=doorbell|sgi|hypercall|console|mmio|psci ms=0: without a pause, for so many milliseconds
//                      (0: for ever); spin, svc: the same without an exit
#include "inmates/lib/inmate.hpp"
#include "inmates/lib/ivshmem.hpp"

#include "abi/hypercall.h"
#include "abi/ivshmem.h"
#include "bench/core/mmio.hpp"
#include "inmates/lib/arm64/exception.hpp"
#include "inmates/lib/arm64/hypercall.hpp"

using namespace inmate;
using hil::bench::mmio_read32;
using hil::bench::mmio_read64;
using hil::bench::mmio_write32;
using hil::bench::mmio_write64;

namespace {

bool broken;
std::string_view act;

void check(bool holds, std::string_view what, std::uint64_t found) {
    if (!holds) {
        broken = true;
        println("isolation: BROKEN ", act, ": ", what, ": ", hex(found));
    }
}
void check_zero(std::string_view what, std::uint64_t found) {
    check(found == 0, what, found);
}

std::int64_t monitor_call(std::uint64_t function, std::uint64_t first = 0, std::uint64_t second = 0,
                          std::uint64_t third = 0) {
    register std::uint64_t x0 asm("x0") = function;
    register std::uint64_t x1 asm("x1") = first;
    register std::uint64_t x2 asm("x2") = second;
    register std::uint64_t x3 asm("x3") = third;
    asm volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return static_cast<std::int64_t>(x0);
}
constexpr std::uint64_t psci_cpu_off = 0x84000002, psci_cpu_on = 0xc4000003, psci_affinity_info = 0xc4000004,
                        psci_system_off = 0x84000008, psci_system_reset = 0x84000009;

// --- interrupt controller ---

constexpr std::uint64_t sgi_frame = 0x10000, redistributor_stride = 0x20000;
constexpr std::uint64_t set_enable = 0x100, clear_enable = 0x180, set_pending = 0x200, clear_pending = 0x280,
                        set_active = 0x300, priority = 0x400, configuration = 0xc00, route = 0x6000;

void foreign_line(std::uint64_t distributor, std::uint64_t line) {
    const std::uint64_t word = line / 32 * 4;
    for (const std::uint64_t bank : {set_enable, clear_enable, set_pending, set_active}) {
        mmio_write32(distributor + bank + word, ~0u);
        check_zero("a bit of a foreign interrupt", mmio_read32(distributor + bank + word) & 1u << line % 32);
    }
    mmio_write32(distributor + priority + line / 4 * 4, 0x01010101);
    check_zero("priority of a foreign interrupt",
               mmio_read32(distributor + priority + line / 4 * 4) >> line % 4 * 8 & 0xff);
    mmio_write32(distributor + configuration + line / 16 * 4, 0);
    check_zero("configuration of a foreign interrupt",
               mmio_read32(distributor + configuration + line / 16 * 4) >> line % 16 * 2 & 3);
    mmio_write64(distributor + route + line * 8, SYSREG_READ(mpidr_el1) & 0xff00ffffff);
    check_zero("route of a foreign interrupt", mmio_read64(distributor + route + line * 8));
}

void foreign_redistributors(std::uint64_t base) {
    const std::uint64_t own = SYSREG_READ(mpidr_el1) & 0xff;
    for (std::uint64_t frame = 0; frame < 4; ++frame) {
        const std::uint64_t at = base + frame * redistributor_stride;
        if (!map(at, redistributor_stride, Memory::device)) {
            return;
        }
        if (mmio_read64(at + 8) >> 32 == own) {
            continue;
        }
        for (const std::uint64_t bank : {clear_enable, set_enable, set_pending, set_active}) {
            mmio_write32(at + sgi_frame + bank, ~0u);
            check_zero("private interrupts of a foreign CPU", mmio_read32(at + sgi_frame + bank));
        }
        mmio_write32(at + 0x14, 2); // asleep
        check_zero("sleep of a foreign CPU", mmio_read32(at + 0x14));
        check_zero("priority at a foreign CPU", mmio_read32(at + sgi_frame + priority + 24));
    }
}

void sgis_to_all() {
    for (std::uint64_t sgi = 0; sgi < 16; ++sgi) {
        SYSREG_WRITE(S3_0_C12_C11_5, sgi << 24 | 0xffff);                 // everybody of the cluster by number
        SYSREG_WRITE(S3_0_C12_C11_5, sgi << 24 | std::uint64_t{1} << 40); // everybody but me
        SYSREG_WRITE(S3_0_C12_C11_6, sgi << 24 | 0xffff);
        SYSREG_WRITE(S3_0_C12_C11_7, sgi << 24 | 0xffff);
    }
}

void gic_act() {
    const std::uint64_t distributor = comm_region().gicd_base;
    mmio_write32(distributor, 0);
    check(mmio_read32(distributor) != 0, "the distributor is off", 0);
    foreign_line(distributor, command_line_number("foreign", 33));
    foreign_redistributors(comm_region().gicr_base);
    sgis_to_all();
}

// --- calls ---

void psci_act() {
    const std::uint64_t foreign = command_line_number("foreign", 0);
    constexpr std::int64_t invalid_parameters = -2, denied = -3;
    check(monitor_call(psci_cpu_on, foreign, 0) == invalid_parameters, "CPU_ON of a foreign CPU", foreign);
    check(monitor_call(psci_affinity_info, foreign) == invalid_parameters, "AFFINITY_INFO of a foreign CPU", foreign);
    check(monitor_call(psci_system_off) == denied, "SYSTEM_OFF", 0);
    check(monitor_call(psci_system_reset) == denied, "SYSTEM_RESET", 0);
}

void hypercall_act() {
    for (std::uint64_t number = 0; number < 8; ++number) {
        for (const std::uint64_t argument : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
            check(hypercall(number, argument) == -JH_EPERM, "hypercall", number);
        }
    }
    check(hypercall(9) == -JH_ENOSYS && hypercall(~std::uint64_t{0}) == -JH_ENOSYS, "unknown hypercall", 9);
}

// --- registers ---

void registers_act() {
    const std::uint64_t auxiliary = SYSREG_READ(actlr_el1);
    SYSREG_WRITE(actlr_el1, ~auxiliary);
    instruction_barrier();
    check(SYSREG_READ(actlr_el1) == auxiliary, "auxiliary control changed", SYSREG_READ(actlr_el1));
    SYSREG_WRITE(S3_0_C12_C12_5, 0); // ICC_SRE_EL1: back to memory-mapped registers, that this cell does not have
    instruction_barrier();
    check((SYSREG_READ(S3_0_C12_C12_5) & 1) != 0, "interrupt interface off", 0);
}

constexpr std::uint64_t pattern = 0x5ec4e75ec4e75ec4;

// clang-format off
#define EACH_REGISTER(DO)                                                                                              \
    DO(tpidr_el0) DO(tpidrro_el0) DO(tpidr_el1) DO(contextidr_el1) DO(par_el1) DO(far_el1) DO(afsr0_el1)               \
    DO(ttbr1_el1) DO(dbgbvr0_el1) DO(dbgwvr0_el1) DO(dbgbcr0_el1) DO(mdscr_el1) DO(pmccntr_el0)                        \
    DO(pmuserenr_el0) DO(pmcntenset_el0) DO(pmccfiltr_el0) DO(cntp_cval_el0)
// clang-format on

[[gnu::noinline]] void leave_residue() {
#define LEAVE(name) SYSREG_WRITE(name, pattern & ~1ull);
    EACH_REGISTER(LEAVE)
    SYSREG_WRITE(pmcr_el0, 1 | 1 << 6);
    SYSREG_WRITE(pmcntenset_el0, 1u << 31);
    asm volatile(".arch_extension fp\n.arch_extension simd\n"
                 "mrs x9, cpacr_el1\norr x9, x9, #(3 << 20)\nmsr cpacr_el1, x9\nisb\n"
                 "dup v0.2d, %0\ndup v31.2d, %0" ::"r"(pattern)
                 : "x9", "memory");
    instruction_barrier();
    check(SYSREG_READ(tpidr_el1) != 0 && SYSREG_READ(pmccntr_el0) != 0, "nothing was left", 0);
}

[[gnu::noinline]] void find_residue() {
    std::uint64_t low, high;
    asm volatile(".arch_extension fp\n.arch_extension simd\n"
                 "mrs x9, cpacr_el1\norr x9, x9, #(3 << 20)\nmsr cpacr_el1, x9\nisb\n"
                 "fmov %0, d0\nfmov %1, d31"
                 : "=r"(low), "=r"(high)::"x9", "memory");
    check_zero("v0", low);
    check_zero("v31", high);
#define FIND(name) check_zero(#name, SYSREG_READ(name));
    EACH_REGISTER(FIND)
}

// --- memory ---

void subpage_act() {
    const std::uint64_t address = command_line_number("addr", 0);
    std::uint64_t value = 0;
    if (!map(address, 16, Memory::device)) {
        check(false, "cannot map", address);
    } else if (command_line_number("size", 4) == 2) {
        asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    } else {
        asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    }
    println("isolation: at ", hex(address), " is ", hex(value));
}

/// No stack, no data: with the MMU off both are elsewhere in the eyes of the caches.
[[gnu::noinline]] void mmu_off_act() {
    const std::uint64_t address = command_line_number("addr", 0);
    const std::uint64_t write = command_line_number("write", 0);
    println("isolation: MMU off");
    mask_interrupts();
    asm volatile("mrs x9, sctlr_el1\n"
                 "bic x10, x9, #1\n"  // M
                 "bic x10, x10, #4\n" // C
                 "dsb sy\n"
                 "msr sctlr_el1, x10\n"
                 "isb\n"
                 "cbz %1, 1f\n"
                 "str wzr, [%0]\n"
                 "b 2f\n"
                 "1: ldr w11, [%0]\n"
                 "2: dsb sy\n"
                 "msr sctlr_el1, x9\n"
                 "isb" ::"r"(address),
                 "r"(write)
                 : "x9", "x10", "x11", "memory");
    check(false, "nobody stopped the access", address);
}

// --- interrupts: more than list registers, by priority ---

constexpr unsigned sgi_count = 12;

/// SGI n has the priority 0x80 - 8 n: the last sent is the most urgent, and must evict others from list registers.
void order_act() {
    const std::uint64_t frame = comm_region().gicr_base + (SYSREG_READ(mpidr_el1) & 0xff) * redistributor_stride;
    mask_interrupts();
    for (std::uint64_t sgi = 0; sgi < sgi_count; ++sgi) {
        const std::uint64_t at = frame + sgi_frame + priority + sgi / 4 * 4;
        const std::uint32_t old = mmio_read32(at);
        const unsigned shift = sgi % 4 * 8;
        mmio_write32(at, (old & ~(0xffu << shift)) | static_cast<std::uint32_t>(0x80 - 8 * sgi) << shift);
    }
    mmio_write32(frame + sgi_frame + set_enable, 0xffff);
    for (std::uint64_t sgi = 0; sgi < sgi_count; ++sgi) {
        SYSREG_WRITE(S3_0_C12_C11_5, sgi << 24 | 1u << (SYSREG_READ(mpidr_el1) & 0xf));
        instruction_barrier();
    }
    for (unsigned expected = sgi_count; expected > 0; --expected) {
        std::uint64_t interrupt = 1023;
        for (const Ticks end = hil::bench::SharedCounter::now() + microseconds(200'000);
             interrupt >= 1020 && hil::bench::SharedCounter::now() < end;) {
            interrupt = SYSREG_READ(S3_0_C12_C12_0);
        }
        check(interrupt == expected - 1, "interrupt out of order", interrupt);
        SYSREG_WRITE(S3_0_C12_C12_1, interrupt);
        instruction_barrier();
    }
    check(SYSREG_READ(S3_0_C12_C12_0) >= 1020, "one interrupt too many", 0);
}

// --- several CPUs ---

volatile bool second_is_here;
volatile bool go;

void* const nowhere = reinterpret_cast<void*>(0x0a000000);

/// The second CPU runs with its MMU off.
extern "C" [[gnu::used]] void isolation_second() {
    second_is_here = true;
    asm volatile("dsb sy");
    while (!go) {
        asm volatile("yield; dc ivac, %0; dsb sy" ::"r"(&go) : "memory");
    }
    for (int turn = 0; turn < 20'000; ++turn) {
        asm volatile("yield");
    }
    asm volatile("str wzr, [%0]" ::"r"(nowhere) : "memory");
    halt();
}
extern "C" char isolation_second_entry[];
asm(R"(
    .pushsection .text
    .balign 16
    .global isolation_second_entry
isolation_second_entry:
    mov sp, x0
    b isolation_second
    .popsection
)");

/// A stack in RAM that the image does not use.
constexpr std::uint64_t second_stack = 0x100000;

void publish() {
    asm volatile("dc civac, %0; dsb sy" ::"r"(&go) : "memory");
}

bool start_second(const char* entry = isolation_second_entry) {
    asm volatile("dc civac, %0; dsb sy" ::"r"(&second_is_here) : "memory");
    const std::int64_t result = monitor_call(psci_cpu_on, command_line_number("second", 2),
                                             reinterpret_cast<std::uint64_t>(entry), second_stack);
    check(result == 0, "CPU_ON of the cell's own CPU", static_cast<std::uint64_t>(-result));
    while (result == 0 && !second_is_here) {
        asm volatile("yield; dc civac, %0; dsb sy" ::"r"(&second_is_here) : "memory");
    }
    return result == 0;
}

void pair_act(bool off) {
    if (!start_second()) {
        return;
    }
    println("isolation: both CPUs run");
    mask_interrupts();
    go = true;
    publish();
    if (off) {
        monitor_call(psci_cpu_off);
    }
    if (map(reinterpret_cast<std::uint64_t>(nowhere), 16, Memory::device)) {
        for (int turn = 0; turn < 20'000; ++turn) {
            asm volatile("yield");
        }
        asm volatile("str wzr, [%0]" ::"r"(nowhere) : "memory");
    }
    check(false, "nobody stopped the access", 0);
}

// --- shared interrupts of a CPU that stops ---

constexpr std::uint64_t set_group = 0x080;

std::uint64_t own_affinity() {
    return SYSREG_READ(mpidr_el1) & 0xff00ffffff;
}
void route_to(std::uint64_t line, std::uint64_t affinity) {
    mmio_write64(comm_region().gicd_base + route + line * 8, affinity);
}
void set_bit(std::uint64_t bank, std::uint64_t line) {
    mmio_write32(comm_region().gicd_base + bank + line / 32 * 4, 1u << line % 32);
}
std::uint64_t acknowledge() {
    return SYSREG_READ(S3_0_C12_C12_0);
}
/// The CPU's interface takes everything; nothing is delivered as an exception.
void open_interface() {
    SYSREG_WRITE(S3_0_C4_C6_0, 0xff);
    SYSREG_WRITE(S3_0_C12_C12_7, 1);
    instruction_barrier();
}
/// The interrupt when it comes within a second, or 1023.
std::uint64_t awaited() {
    std::uint64_t interrupt = 1023;
    for (const Ticks end = hil::bench::SharedCounter::now() + microseconds(1'000'000);
         interrupt >= 1020 && hil::bench::SharedCounter::now() < end;) {
        interrupt = acknowledge();
    }
    return interrupt;
}
void make_ready(std::uint64_t line) {
    mask_interrupts();
    set_bit(set_group, line);
    mmio_write32(comm_region().gicd_base + configuration + line / 16 * 4, 0xaaaaaaaa); // edges
    set_bit(set_enable, line);
    open_interface();
}

/// What the second CPU is to do; it runs with its MMU off, and so reads memory.
struct Stop {
    std::uint64_t line;
    std::uint64_t seen;
    std::uint64_t fault;
};
alignas(64) volatile Stop stop;
alignas(64) volatile std::uint64_t second_taken;

/// The second CPU: waits for the interrupt, takes it or leaves it pending, and stops.
extern "C" [[gnu::used]] void isolation_stop() {
    open_interface();
    second_is_here = true;
    asm volatile("dsb sy");
    const std::uint64_t bit = 1ull << 7; // ISR_EL1.I
    while ((SYSREG_READ(isr_el1) & bit) == 0) {
        asm volatile("yield");
    }
    second_taken = stop.seen != 0 ? acknowledge() : 1;
    asm volatile("dsb sy");
    if (stop.fault != 0) {
        asm volatile("str wzr, [%0]" ::"r"(nowhere) : "memory");
    }
    monitor_call(psci_cpu_off);
}
extern "C" char isolation_stop_entry[];
asm(R"(
    .pushsection .text
    .balign 16
    .global isolation_stop_entry
isolation_stop_entry:
    mov sp, x0
    b isolation_stop
    .popsection
)");

/// The second CPU, with `x0` its stack: counts that it is here, and off it goes.
extern "C" [[gnu::used]] void isolation_churn() {
    monitor_call(psci_cpu_off);
}
extern "C" char isolation_churn_entry[];
asm(R"(
    .pushsection .text
    .balign 16
    .global isolation_churn_entry
isolation_churn_entry:
    mov sp, x0
    b isolation_churn
    .popsection
)");

/// The second CPU goes on and off for ever, or `turns` times.
void churn_act() {
    constexpr std::int64_t off = 1;
    const std::uint64_t second = command_line_number("second", 3);
    const std::uint64_t turns = command_line_number("turns", 0);
    for (std::uint64_t turn = 0; turns == 0 || turn < turns; ++turn) {
        const std::int64_t result =
            monitor_call(psci_cpu_on, second, reinterpret_cast<std::uint64_t>(isolation_churn_entry), second_stack);
        check(result == 0, "CPU_ON of a CPU that is off", static_cast<std::uint64_t>(-result));
        while (result == 0 && monitor_call(psci_affinity_info, second) != off) {
            asm volatile("yield");
        }
        if (result != 0) {
            return;
        }
        if (turn == 20) {
            println("isolation: the second CPU comes and goes");
        }
    }
}

template <typename Object> void to_memory(const Object& object) {
    asm volatile("dc civac, %0; dsb sy" ::"r"(&object) : "memory");
}

void shared_act() {
    const std::uint64_t line = command_line_number("line", 132);
    const std::uint64_t second = command_line_number("second", 2);
    stop.line = line;
    stop.seen = command_line_number("seen", 1);
    stop.fault = command_line_text("end", "fault") == "fault" ? 1 : 0;
    to_memory(stop);
    to_memory(second_taken);
    make_ready(line);
    route_to(line, second);
    if (!start_second(isolation_stop_entry)) {
        return;
    }
    set_bit(set_pending, line);
    if (stop.seen != 0) { // the second CPU keeps it, so that it must be sent again
        while (second_taken == 0) {
            asm volatile("yield; dc civac, %0; dsb sy" ::"r"(&second_taken) : "memory");
        }
        check(second_taken == line, "the second CPU took another interrupt", second_taken);
        for (std::int64_t state = 0; stop.fault == 0 && state == 0;) {
            state = monitor_call(psci_affinity_info, second);
        }
        route_to(line, own_affinity());
        set_bit(set_pending, line);
    }
    check(awaited() == line, "the interrupt of a CPU that stopped is lost", line);
    SYSREG_WRITE(S3_0_C12_C12_1, line);
    set_bit(set_pending, line);
    check(awaited() == line, "it does not come a second time", line);
    SYSREG_WRITE(S3_0_C12_C12_1, line);
    instruction_barrier();
}

void take_act(bool keep) {
    const std::uint64_t line = command_line_number("line", 132);
    make_ready(line);
    route_to(line, own_affinity());
    set_bit(set_pending, line);
    check(awaited() == line, "the interrupt does not come", line);
    if (keep) {
        println("isolation: has taken ", line);
        if (map(reinterpret_cast<std::uint64_t>(nowhere), 16, Memory::device)) {
            asm volatile("str wzr, [%0]" ::"r"(nowhere) : "memory");
        }
        check(false, "nobody stopped the access", 0);
    }
    SYSREG_WRITE(S3_0_C12_C12_1, line);
    instruction_barrier();
}

// --- virtual PCI ---

void ecam_act() {
    if (!pci_open()) {
        return check(false, "no configuration space", 0);
    }
    const auto foreign = Bdf{static_cast<std::uint16_t>(command_line_number("foreign", 8))};
    constexpr std::uint32_t nobody = ~0u;
    for (const std::uint16_t reg : {pci_command, pci_bar0, std::uint16_t{0x40}}) {
        pci_write32(foreign, reg, 0);
        pci_write32(foreign, reg, ~0u);
        check(pci_read32(foreign, reg) == nobody, "a register of a foreign function", reg);
    }
    unsigned found = 0;
    for (unsigned function = 0; function < 256; ++function) {
        found += pci_read32(Bdf{static_cast<std::uint16_t>(function)}, pci_vendor_id) != nobody ? 1 : 0;
    }
    check(found == 1, "functions seen beside the cell's one", found);
}

/// Is the line pending after a ring? Made quiet again.
bool rings(const Ivshmem& device, PeerId target, std::uint16_t vector = 0) {
    const auto line = static_cast<std::uint64_t>(device.interrupt());
    const std::uint64_t distributor = comm_region().gicd_base;
    device.ring(target, vector);
    const bool pending = (mmio_read32(distributor + set_pending + line / 32 * 4) >> line % 32 & 1) != 0;
    mmio_write32(distributor + clear_pending + line / 32 * 4, 1u << line % 32);
    return pending;
}

void doorbell_act() {
    Ivshmem device;
    if (!device.open(0)) {
        return check(false, "no device", 0);
    }
    const std::uint64_t registers = comm_region().generic.pci_mmconfig_base + pci_bus_window;
    const auto line = static_cast<std::uint64_t>(device.interrupt());
    mmio_write32(comm_region().gicd_base + clear_enable + line / 32 * 4, 1u << line % 32);
    mmio_write32(registers + IVSHMEM_REG_INT_CONTROL, 0);
    check(!rings(device, device.id()), "rang an end that has not enabled it", 0);
    mmio_write32(registers + IVSHMEM_REG_INT_CONTROL, 1);
    check(rings(device, device.id()), "did not ring an end that has enabled it", 0);
    check(!rings(device, device.id(), 1), "rang with a vector that there is not", 1);
    for (const auto nobody : {std::uint16_t{15}, std::uint16_t{16}, std::uint16_t{0xffff}}) {
        check(!rings(device, PeerId{nobody}), "rang the wrong end", nobody);
    }
    const std::uint16_t command = pci_read16(device.bdf(), pci_command);
    pci_write16(device.bdf(), pci_command, command | 1u << 10);
    check(!rings(device, device.id()), "rang an end with INTx disabled", 0);
    pci_write16(device.bdf(), pci_command, command);
    check(rings(device, device.id()), "does not ring any more", 0);
    mmio_write32(registers + IVSHMEM_REG_INT_CONTROL, 0);
}

// --- floods ---

extern "C" char returning_vectors[];

/// Each vector goes back at once: a supervisor call is an exception that stays in the cell.
asm(R"(
    .pushsection .text
    .balign 0x800
    .global returning_vectors
returning_vectors:
    .rept 16
    .balign 0x80
    eret
    .endr
    .balign 0x80
    .popsection
)");

[[noreturn]] void flood(std::string_view kind) {
    Ivshmem device;
    if (kind == "doorbell" && !device.open(0)) {
        halt();
    }
    println("isolation: flood of ", kind);
    const std::uint64_t distributor = comm_region().gicd_base;
    if (kind == "svc") {
        mask_interrupts();
        SYSREG_WRITE(vbar_el1, reinterpret_cast<std::uint64_t>(returning_vectors));
        instruction_barrier();
    }
    const std::uint64_t ms = command_line_number("ms", 0);
    const Ticks end = hil::bench::SharedCounter::now() + microseconds(ms * 1000);
    while (ms == 0 || hil::bench::SharedCounter::now() < end) {
        if (kind == "doorbell") {
            device.ring(PeerId{0});
        } else if (kind == "sgi") {
            SYSREG_WRITE(S3_0_C12_C11_5, std::uint64_t{3} << 24 | std::uint64_t{1} << 40 | 0xffff);
        } else if (kind == "console") {
            hypercall(JH_HC_CONSOLE_PUTC, '.');
        } else if (kind == "mmio") {
            mmio_write32(distributor + clear_enable + 4, ~0u);
        } else if (kind == "psci") {
            monitor_call(psci_affinity_info, 0);
        } else if (kind == "spin") {
            asm volatile("nop"); // computes, and never enters the hypervisor: what the others are compared with
        } else if (kind == "svc") {
            asm volatile("svc #0" ::: "memory");
        } else {
            hypercall(9);
        }
    }
    halt();
}

} // namespace

bool inmate_main() {
    act = command_line_text("act", "registers");
    if (act == "gic") {
        gic_act();
    } else if (act == "psci") {
        psci_act();
    } else if (act == "hypercall") {
        hypercall_act();
    } else if (act == "registers") {
        registers_act();
    } else if (act == "residue-leave") {
        leave_residue();
    } else if (act == "residue-find") {
        find_residue();
    } else if (act == "subpage") {
        subpage_act();
    } else if (act == "mmu-off") {
        mmu_off_act();
    } else if (act == "order") {
        order_act();
    } else if (act == "pair" || act == "off-and-fault") {
        pair_act(act == "off-and-fault");
    } else if (act == "churn") {
        churn_act();
    } else if (act == "ecam") {
        ecam_act();
    } else if (act == "doorbell") {
        doorbell_act();
    } else if (act == "shared") {
        shared_act();
    } else if (act == "take" || act == "keep") {
        take_act(act == "keep");
    } else if (act == "flood") {
        flood(command_line_text("kind", "hypercall"));
    } else {
        check(false, "no such act", 0);
    }
    if (!broken) {
        println("isolation: held ", act);
    }
    return !broken;
}

// SPDX-License-Identifier: Apache-2.0
// Every online CPU comes in at once, interrupts off, EL2's MMU off. One of them builds; all switch their MMU on, meet,
// and go back to Linux below a stage 2. A refusal at any point puts every CPU back as it was.
#include "hypervisor/arch/arm64/launch.hpp"

#include "abi/gaol_image.h"
#include "hypervisor/arch/arm64/address_space.hpp"
#include "hypervisor/arch/arm64/cpu_control.hpp"
#include "hypervisor/arch/arm64/gic.hpp"
#include "hypervisor/arch/arm64/stage2.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/config_check.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/core/refusal.hpp"

#include <new>

#ifndef GAOL_VERSION
#define GAOL_VERSION "unversioned"
#endif

namespace gaol {

// Linker script and assembly. Hidden: reached relative to here, also before the relocations are applied.
#pragma GCC visibility push(hidden)
extern "C" {
extern char image_rodata_start[], image_data_start[];
extern char gaol_vectors[];
struct Relocation {
    uint64_t offset, info;
    uint64_t addend;
};
extern const Relocation image_relocations_start[], image_relocations_end[];
void gaol_set_sctlr(uint64_t value);
[[noreturn]] void gaol_leave(const Frame& frame, uint64_t sctlr, uint64_t vbar, uint64_t sp);
[[gnu::section(".console_ring"), gnu::aligned(4096)]] gaol_console gaol_console_ring_area;
}
#pragma GCC visibility pop

namespace {

constexpr uint64_t sctlr = 0x30c50830 | 1u << 0 | 1u << 2 | 1u << 3 | 1u << 12 | 1u << 19; // MMU, caches, SA, WXN
constexpr uint64_t hcr = uint64_t{1} << 31 |                                               // EL1 is AArch64
                         1u << 0 | 1u << 1 |                                               // stage 2, set/way override
                         1u << 3 | 1u << 4 | 1u << 5 |                                     // FIQ, IRQ, SError are ours
                         1u << 19 |                                                        // SMC traps
                         1u << 20 | 1u << 21;                                              // see system_register()
constexpr uint64_t hcr_kept = uint64_t{3} << 40; // pointer authentication as Linux had it

/// Debug and counter registers are the cell's own (reset.cpp); its debug exceptions stay at EL1.
constexpr uint64_t mdcr_el2_debug = 1u << 8;

/// What the CPUs tell each other while they come in. `ready` and `error` are read with the MMU off.
struct Meeting {
    volatile uint32_t ready;
    volatile int32_t error;
    std::atomic<uint32_t> phase;
    std::atomic<uint32_t> arrived;
    std::atomic<uint32_t> activated;
    std::atomic<bool> leaving;
    bool console; ///< there is one, and it takes characters
};
constinit Meeting meeting = {};

CpuSet online_cpus(const gaol_image& header) {
    CpuSet set;
    for (size_t cpu = 0; cpu < GAOL_MAX_CPUS; ++cpu) {
        if (header.mpidr[cpu] != ~uint64_t{0}) {
            set.set(cpu);
        }
    }
    return set;
}

uint32_t count(const CpuSet& cpus) {
    uint32_t number = 0;
    for (size_t cpu = cpus.next(); cpu < max_cpus; cpu = cpus.next(cpu + 1)) {
        ++number;
    }
    return number;
}

uint64_t areas_start(const gaol_image& header) {
    return page_up(header.physical_base + header.config_offset + header.config_size);
}

void relocate(uint64_t base) {
    constexpr uint64_t relative = 1027; // R_AARCH64_RELATIVE
    for (const Relocation* entry = image_relocations_start; entry != image_relocations_end; ++entry) {
        if (entry->info == relative) {
            *reinterpret_cast<uint64_t*>(base + entry->offset) = base + entry->addend;
        }
    }
}

NativeState read_native(uint64_t stub_sp) {
    NativeState native = {};
    native.sp = stub_sp;
    native.sctlr = SYSREG_READ(sctlr_el2);
    native.tcr = SYSREG_READ(tcr_el2);
    native.mair = SYSREG_READ(mair_el2);
    native.ttbr0 = SYSREG_READ(ttbr0_el2);
    native.vbar = SYSREG_READ(vbar_el2);
    native.hcr = SYSREG_READ(hcr_el2);
    native.vtcr = SYSREG_READ(vtcr_el2);
    native.vttbr = SYSREG_READ(vttbr_el2);
    native.cptr = SYSREG_READ(cptr_el2);
    native.hstr = SYSREG_READ(hstr_el2);
    native.mdcr = SYSREG_READ(mdcr_el2);
    native.cnthctl = SYSREG_READ(cnthctl_el2);
    native.cntvoff = SYSREG_READ(cntvoff_el2);
    native.tpidr = SYSREG_READ(tpidr_el2);
    native.icc_sre = READ_GIC(ICC_SRE_EL2);
    return native;
}

/// EL2 as the stub had it; the MMU is off when this returns.
void restore_native(PerCpu& cpu) {
    const NativeState native = cpu.native;
    SYSREG_WRITE(hcr_el2, native.hcr);
    SYSREG_WRITE(vttbr_el2, native.vttbr);
    SYSREG_WRITE(vtcr_el2, native.vtcr);
    SYSREG_WRITE(cptr_el2, native.cptr);
    SYSREG_WRITE(hstr_el2, native.hstr);
    SYSREG_WRITE(mdcr_el2, native.mdcr);
    SYSREG_WRITE(cnthctl_el2, native.cnthctl);
    SYSREG_WRITE(cntvoff_el2, native.cntvoff);
    SYSREG_WRITE(tpidr_el2, native.tpidr);
    WRITE_GIC(ICC_SRE_EL2, native.icc_sre);
    dsb_sy();
    isb();
    asm volatile("tlbi alle1; dsb sy; isb" ::: "memory");
}

/// The builder, MMU off: pool and address space.
int prepare(gaol_image& header) {
    Hypervisor& hv = hypervisor();
    const uint64_t base = header.physical_base;
    const CpuSet online = online_cpus(header);
    const uint64_t areas = areas_start(header);
    uint32_t area_count = 0;
    for (size_t cpu = online.next(); cpu < max_cpus; cpu = online.next(cpu + 1)) {
        hv.cpus[cpu] = reinterpret_cast<PerCpu*>(areas + cpu * PER_CPU_SIZE);
        area_count = static_cast<uint32_t>(cpu) + 1;
    }
    const uint64_t pool = areas + uint64_t{area_count} * PER_CPU_SIZE;
    const uint64_t end = base + header.memory_size;
    if (pool + 64 * page_size > end) {
        return -JH_ENOMEM;
    }
    hv.system = reinterpret_cast<const jh_system*>(base + header.config_offset);
    hv.memory = {PhysAddr{base}, header.memory_size};
    hv.pool.init(PhysAddr{pool}, end - pool);
    if (const int error = address_space_create(area_count); error != 0) {
        return error;
    }
    const auto rodata = reinterpret_cast<uint64_t>(image_rodata_start);
    const auto data = reinterpret_cast<uint64_t>(image_data_start);
    int error = address_space_map(PhysAddr{base}, rodata - base, HypMemory::code);
    error = error != 0 ? error : address_space_map(PhysAddr{rodata}, data - rodata, HypMemory::constants);
    error = error != 0 ? error : address_space_map(PhysAddr{data}, end - data, HypMemory::data);
    for (uint32_t cpu = 0; cpu < area_count && error == 0; ++cpu) {
        error =
            address_space_unmap(PhysAddr{areas + uint64_t{cpu} * PER_CPU_SIZE + PER_CPU_DATA_SIZE}, PER_CPU_GUARD_SIZE);
    }
    hv.console.open(Uart(), &gaol_console_ring_area);
    return error;
}

/// The config's console, once reads of addresses at which nothing answers come back. What is wrong with it is said by
/// build(), to the ring.
void open_console() {
    Hypervisor& hv = hypervisor();
    const jh_console& console = hv.system->debug_console;
    const Uart::Status status = Uart::status_of(console);
    uint64_t value = 0;
    if (!console_usable(console, hv.memory) ||
        !arch::device_read(PhysAddr{console.address + status.offset}, status.size, value) ||
        map_device(PhysAddr{console.address}, console.size) != 0) {
        return;
    }
    dsb_ish();
    isb();
    const Uart uart(console, reinterpret_cast<volatile uint8_t*>(uint64_t{console.address}));
    constexpr uint64_t a_second = 1000000;
    if (uart.awaits(a_second)) {
        hv.console.open(uart, &gaol_console_ring_area);
        meeting.console = true;
    }
}

void announce(const gaol_image& header) {
    {
        ConsoleOut out;
        out << "\nInitializing Jailhouse hypervisor v0.12 (gaol " GAOL_VERSION ") on CPU " << this_cpu().id
            << "\nCode location: 0x" << hex(header.physical_base, 16) << '\n';
    }
    hypervisor().report_pools("after early setup");
    ConsoleOut() << "Initializing processors:\n";
}

/// The builder, MMU on, all CPUs here.
int build(const gaol_image& header) {
    Hypervisor& hv = hypervisor();
    if (const int error = check_platform(*hv.system, header.config_size, hv.memory); error != 0) {
        return error;
    }
    if (const jh_console& console = hv.system->debug_console; console.type != JH_CONSOLE_NONE && !meeting.console) {
        return refuse(hv.system->root_cell)
               << "debug_console: address: 0x" << hex(console.address) << ": no UART there takes a character";
    }
    ConsoleOut() << "Initializing unit: irqchip\n";
    if (const int error = gic::discover(); error != 0) {
        return error;
    }
    if (const int error = check_root(*hv.system, header.config_size, online_cpus(header)); error != 0) {
        return error;
    }
    ConsoleOut() << "Initializing unit: PCI\n";
    if (const int error = root_create(); error != 0) {
        return error;
    }
    if ((hv.system->flags & JH_SYS_VIRTUAL_CONSOLE) != 0) {
        const auto ring = reinterpret_cast<uint64_t>(&gaol_console_ring_area);
        if (arch::stage2_map(hv.root, GuestAddr{ring}, PhysAddr{ring}, page_up(sizeof(gaol_console)), JH_MEM_READ) !=
            0) {
            return -JH_ENOMEM;
        }
    }
    hv.report_pools("after late setup");
    ConsoleOut() << "Activating hypervisor\n";
    return 0;
}

void wait_for(const std::atomic<uint32_t>& value, uint32_t wanted) {
    while (value.load(std::memory_order_acquire) < wanted) {
        arch::relax();
    }
}

void activate(PerCpu& cpu) {
    cpu.state = CpuState::running;
    SYSREG_WRITE(vtcr_el2, stage2_control());
    SYSREG_WRITE(hcr_el2, hcr | (cpu.native.hcr & hcr_kept));
    SYSREG_WRITE(mdcr_el2, cpu.native.mdcr & ~mdcr_el2_debug);
    SYSREG_WRITE(cntvoff_el2, 0);
    load_cell(cpu);
    asm volatile("tlbi alle1; dsb sy; isb" ::: "memory");
    gic::take_cpu_interface(cpu);
}

/// With the MMU on: meet the others, let the builder build. The same result on every CPU.
int come_in(PerCpu& cpu, bool builder, const gaol_image& header) {
    const uint32_t cpus = count(online_cpus(header));
    if (builder) {
        open_console();
        announce(header);
        meeting.phase = 1;
    }
    wait_for(meeting.phase, 1);
    ConsoleOut() << " CPU " << cpu.id << "... OK\n";
    meeting.arrived.fetch_add(1, std::memory_order_acq_rel);
    if (builder) {
        wait_for(meeting.arrived, cpus);
        meeting.error = build(header);
        meeting.phase = 2;
    }
    wait_for(meeting.phase, 2);
    if (meeting.error != 0) {
        return meeting.error;
    }
    activate(cpu);
    meeting.activated.fetch_add(1, std::memory_order_acq_rel);
    wait_for(meeting.activated, cpus);
    return 0;
}

} // namespace

/// Called by entry.S on every CPU.
extern "C" int64_t gaol_launch(gaol_image& header, uint64_t id, void* area, uint64_t stub_sp) {
    const bool builder = id == online_cpus(header).next();
    const NativeState native = read_native(stub_sp);
    if (builder) {
        relocate(header.physical_base);
        meeting.error = prepare(header);
        dsb_sy();
        meeting.ready = 1;
        dsb_sy();
    }
    while (meeting.ready == 0) {
        arch::relax();
    }
    if (meeting.error != 0) {
        return meeting.error;
    }
    *fixup_slot(area) = 0;
    SYSREG_WRITE(tpidr_el2, reinterpret_cast<uint64_t>(area));
    SYSREG_WRITE(vbar_el2, reinterpret_cast<uint64_t>(gaol_vectors));
    address_space_load();
    arch::clean_invalidate_object(area, PER_CPU_DATA_SIZE);
    arch::clean_invalidate_object(static_cast<char*>(area) + PER_CPU_SIZE - PER_CPU_STACK_SIZE, PER_CPU_STACK_SIZE);
    gaol_set_sctlr(sctlr);
    *fixup_slot(area) = 0;

    PerCpu& cpu = *new (area) PerCpu;
    cpu.id = static_cast<uint32_t>(id);
    cpu.affinity = header.mpidr[id];
    cpu.native = native;
    const int error = come_in(cpu, builder, header);
    if (error != 0) {
        restore_native(cpu);
        // Stack lines go to memory before the caches are left.
        arch::clean_invalidate_object(area, PER_CPU_DATA_SIZE);
        arch::clean_invalidate_object(static_cast<char*>(area) + PER_CPU_SIZE - PER_CPU_STACK_SIZE, PER_CPU_STACK_SIZE);
        gaol_set_sctlr(native.sctlr);
        SYSREG_WRITE(tcr_el2, native.tcr);
        SYSREG_WRITE(mair_el2, native.mair);
        SYSREG_WRITE(ttbr0_el2, native.ttbr0);
        SYSREG_WRITE(vbar_el2, native.vbar);
        asm volatile("isb; tlbi alle2; dsb sy; isb" ::: "memory");
    }
    return error;
}

int64_t leave_hypervisor(PerCpu& cpu, const Frame& frame) {
    if (!cpu.cell->is_root()) {
        return -JH_EPERM;
    }
    if (const int error = check_disable(); error != 0) {
        return error;
    }
    if (!meeting.leaving.exchange(true)) {
        ConsoleOut() << "Shutting down hypervisor\n";
    }
    ConsoleOut() << " Releasing CPU " << cpu.id << '\n';
    const NativeState native = cpu.native;
    gic::give_cpu_interface(cpu);
    restore_native(cpu);
    gaol_leave(frame, native.sctlr, native.vbar, native.sp);
}

} // namespace gaol

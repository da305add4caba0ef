// SPDX-License-Identifier: Apache-2.0
#include "inmates/lib/arm64/gic.hpp"

#include "bench/core/barrier.hpp"
#include "bench/core/mmio.hpp"
#include "inmates/lib/arm64/mmu.hpp"
#include "inmates/lib/arm64/sysreg.hpp"
#include "inmates/lib/comm_region.hpp"
#include "inmates/lib/print.hpp"

extern "C" void irq_dispatch(hil::bench::Ticks stamp);

namespace inmate {
namespace {

using namespace hil::bench;

// Distributor, and the same offsets in a redistributor's SGI frame
constexpr std::uint64_t group = 0x080, set_enable = 0x100, clear_enable = 0x180, clear_pending = 0x280,
                        priority = 0x400, configuration = 0xc00;
constexpr std::uint64_t distributor_control = 0x000, distributor_route = 0x6000;
constexpr std::uint64_t distributor_size = 0x10000;
constexpr std::uint32_t control_affinity_routing = 1u << 4, control_group1 = 1u << 1;

// Redistributor
constexpr std::uint64_t frame_size = 0x10000;
constexpr std::uint64_t redistributor_type = 0x08, redistributor_waker = 0x14;
constexpr std::uint64_t type_virtual_frames = 1u << 1, type_last = 1u << 4;
constexpr std::uint32_t waker_processor_sleep = 1u << 1, waker_children_asleep = 1u << 2;
constexpr unsigned most_redistributors = 512;

constexpr std::uint32_t first_spurious = 1020;
constexpr std::uint32_t normal_priority = 0xa0;

struct Handler {
    IntId interrupt;
    InterruptHandler function;
    void* context;
};

constexpr unsigned most_handlers = 40;
Handler handlers[most_handlers];
unsigned used_handlers;
std::uint64_t distributor;
std::uint64_t redistributor;

std::uint64_t affinity() {
    const std::uint64_t mpidr = SYSREG_READ(mpidr_el1);
    return (mpidr & 0xffffff) | (mpidr >> 32 & 0xff) << 32;
}

/// The redistributor whose affinity is this CPU's; 0 if there is none.
std::uint64_t find_redistributor(std::uint64_t base) {
    const std::uint64_t own = affinity();
    const std::uint64_t own_packed = (own & 0xffffff) | (own >> 32 & 0xff) << 24;
    std::uint64_t frame = base;
    for (unsigned index = 0; index < most_redistributors; ++index) {
        if (!map(frame, 2 * frame_size, Memory::device)) {
            return 0;
        }
        const std::uint64_t type = mmio_read64(frame + redistributor_type);
        if (type >> 32 == own_packed) {
            return frame;
        }
        if (type & type_last) {
            return 0;
        }
        frame += (type & type_virtual_frames ? 4 : 2) * frame_size;
    }
    return 0;
}

bool wake(std::uint64_t frame) {
    std::uint32_t waker = mmio_read32(frame + redistributor_waker);
    if ((waker & (waker_processor_sleep | waker_children_asleep)) == 0) {
        return true;
    }
    mmio_write32(frame + redistributor_waker, waker & ~waker_processor_sleep);
    const auto [name, hz] = SharedCounter::info();
    for (const Ticks end = SharedCounter::now() + hz; SharedCounter::now() < end; relax()) {
        if ((mmio_read32(frame + redistributor_waker) & waker_children_asleep) == 0) {
            return true;
        }
    }
    return false;
}

void open_interface() {
    SYSREG_WRITE(S3_0_C12_C12_5, SYSREG_READ(S3_0_C12_C12_5) | 1); // ICC_SRE_EL1: system registers
    instruction_barrier();
    SYSREG_WRITE(S3_0_C4_C6_0, 0xf0); // ICC_PMR_EL1
    SYSREG_WRITE(S3_0_C12_C12_3, 0);  // ICC_BPR1_EL1
    SYSREG_WRITE(S3_0_C12_C12_4, 0);  // ICC_CTLR_EL1: one write ends and deactivates
    SYSREG_WRITE(S3_0_C12_C12_7, 1);  // ICC_IGRPEN1_EL1
    instruction_barrier();
}

constexpr std::uint32_t number(IntId interrupt) {
    return static_cast<std::uint32_t>(interrupt);
}
constexpr bool is_private(IntId interrupt) {
    return number(interrupt) < 32;
}
/// Private interrupts live in the redistributor's second frame.
std::uint64_t registers(IntId interrupt) {
    return is_private(interrupt) ? redistributor + frame_size : distributor;
}

void set_bit(std::uint64_t base, IntId interrupt) {
    const std::uint64_t address = base + number(interrupt) / 32 * 4;
    const std::uint32_t old = mmio_read32(address);
    const std::uint32_t bit = 1u << number(interrupt) % 32;
    if (!(old & bit)) {
        mmio_write32(address, old | bit);
    }
}

void set_edge(IntId interrupt) {
    const std::uint64_t address = distributor + configuration + number(interrupt) / 16 * 4;
    const std::uint32_t old = mmio_read32(address);
    const std::uint32_t edge = 2u << number(interrupt) % 16 * 2;
    if (!(old & edge)) {
        mmio_write32(address, old | edge);
    }
}

bool has_handler(IntId interrupt) {
    for (unsigned index = 0; index < used_handlers; ++index) {
        if (handlers[index].interrupt == interrupt) {
            return true;
        }
    }
    return false;
}

} // namespace

bool gic_open() {
    const jh_comm_arm& region = comm_region();
    if (region.gic_version != 3) {
        println("inmate: GIC version ", region.gic_version, " found, this inmate needs version 3");
        return false;
    }
    distributor = region.gicd_base;
    if (!map(distributor, distributor_size, Memory::device)) {
        println("inmate: cannot map the GIC distributor at ", hex(distributor));
        return false;
    }
    redistributor = find_redistributor(region.gicr_base);
    if (redistributor == 0) {
        println("inmate: no GIC redistributor for affinity ", hex(affinity()), " from ", hex(region.gicr_base), " on");
        return false;
    }
    if (!wake(redistributor)) {
        println("inmate: the GIC redistributor at ", hex(redistributor), " stays asleep");
        return false;
    }
    const std::uint32_t control = mmio_read32(distributor + distributor_control);
    constexpr std::uint32_t wanted = control_affinity_routing | control_group1;
    if ((control & wanted) != wanted) {
        mmio_write32(distributor + distributor_control, control | wanted);
    }
    open_interface();
    return true;
}

bool interrupt_enable(IntId interrupt, InterruptHandler handler, void* context) {
    if (used_handlers == most_handlers) {
        return false;
    }
    mask_interrupts();
    const bool enabled = has_handler(interrupt);
    handlers[used_handlers++] = {interrupt, handler, context};
    if (enabled) { // one that is pending is not to be lost
        unmask_interrupts();
        return true;
    }
    const std::uint64_t base = registers(interrupt);
    set_bit(base + group, interrupt);
    mmio_write8(base + priority + number(interrupt), normal_priority);
    if (!is_private(interrupt)) {
        set_edge(interrupt);
        mmio_write64(distributor + distributor_route + 8ull * number(interrupt), affinity());
    }
    const std::uint32_t bit = 1u << number(interrupt) % 32;
    mmio_write32(base + clear_pending + number(interrupt) / 32 * 4, bit);
    mmio_write32(base + set_enable + number(interrupt) / 32 * 4, bit);
    data_barrier();
    unmask_interrupts();
    return true;
}

void interrupt_disable(IntId interrupt) {
    mask_interrupts();
    mmio_write32(registers(interrupt) + clear_enable + number(interrupt) / 32 * 4, 1u << number(interrupt) % 32);
    data_barrier();
    for (unsigned index = 0; index < used_handlers;) {
        if (handlers[index].interrupt == interrupt) {
            handlers[index] = handlers[--used_handlers];
        } else {
            ++index;
        }
    }
    unmask_interrupts();
}

} // namespace inmate

using namespace inmate;

/// Takes everything that is pending; `stamp` belongs to the first.
void irq_dispatch(hil::bench::Ticks stamp) {
    for (;;) {
        const std::uint64_t interrupt = SYSREG_READ(S3_0_C12_C12_0); // ICC_IAR1_EL1
        if (interrupt >= first_spurious && interrupt < 1024) {
            return;
        }
        data_barrier();
        for (unsigned index = 0; index < used_handlers; ++index) {
            if (number(handlers[index].interrupt) == interrupt) {
                handlers[index].function(handlers[index].context, stamp);
            }
        }
        SYSREG_WRITE(S3_0_C12_C12_1, interrupt); // ICC_EOIR1_EL1
        instruction_barrier();
        stamp = hil::bench::SharedCounter::now();
    }
}

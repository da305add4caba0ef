// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/gic.hpp"

#include "hypervisor/arch/arm64/address_space.hpp"
#include "hypervisor/arch/arm64/virtual_interrupts.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/refusal.hpp"

namespace gaol::gic {

Lock distributor_lock;
constinit Layout layout;

namespace {

constexpr uint64_t affinity_mask = 0xff00ffffff;
constexpr uint32_t register_write_pending = 1u << 31;
constexpr uint64_t icc_ctlr_eoi_mode = 2;
constexpr uint64_t virtual_frames = 2;
constexpr uint32_t max_frames = 64;

PerCpu* frame_cpus[max_frames];

PerCpu* find_cpu(uint64_t affinity) {
    for (Cpu* cpu : hypervisor().cpus) {
        if (cpu != nullptr && (cpu->affinity & affinity_mask) == affinity) {
            return static_cast<PerCpu*>(cpu);
        }
    }
    return nullptr;
}

void wait_for_writes() {
    while ((read32(distributor() + ctlr) & register_write_pending) != 0) {
        arch::relax();
    }
}

/// Does a part of a GICv3 (or of a GICv4, see check_frame) answer there? The config may name any address, and a plain
/// read of one at which nothing is would be a fault of ours.
bool answers(uint64_t base) {
    constexpr uint64_t identification = 0xffe8; // GICD_PIDR2, GICR_PIDR2: bits 7:4 are the architecture's revision
    uint64_t value = 0;
    return arch::device_read(PhysAddr{base + identification}, 4, value) && (value >> 4 & 0xf) >= 3;
}

/// What would not work: LPIs, that come without an active state past everything that is emulated, and frames of GICv4,
/// that are twice as long.
int check_frame(uint32_t frame, uint64_t type) {
    constexpr uint32_t lpis_enabled = 1;
    if ((type & virtual_frames) != 0) {
        ConsoleOut() << "GICv4 redistributor at 0x" << hex(frame_base(frame)) << ": not supported\n";
        return -JH_ENODEV;
    }
    if ((read32(frame_base(frame) + ctlr) & lpis_enabled) != 0) {
        ConsoleOut() << "The redistributor at 0x" << hex(frame_base(frame))
                     << " has LPIs enabled: interrupts of an ITS are not supported, boot Linux without its driver\n";
        return -JH_ENODEV;
    }
    return 0;
}

/// Disable shared interrupts, forget their state, route them to `cpu`.
void quiet_spi(uint32_t interrupt, const Cpu& cpu) {
    const uint64_t word = distributor() + word_offset(interrupt);
    const uint32_t bit = 1u << (interrupt % 32);
    write32(word + icenable, bit);
    wait_for_writes();
    write32(word + icpend, bit);
    write32(word + icactive, bit);
    write64(distributor() + irouter + uint64_t{interrupt} * 8, route_to(cpu));
}

} // namespace

PerCpu* frame_cpu(uint32_t frame) {
    return frame_cpus[frame];
}
int discover() {
    layout.distributor = hypervisor().platform().arm.gicd_base;
    layout.redistributors = hypervisor().platform().arm.gicr_base;
    uint32_t& frames = layout.frames;
    if (!answers(distributor())) {
        return refuse(hypervisor().system->root_cell)
               << "gicd_base: 0x" << hex(distributor()) << ": no distributor of a GICv3 answers there";
    }
    if (map_device(PhysAddr{distributor()}, distributor_size) != 0) {
        return -JH_ENOMEM;
    }
    bool last = false;
    for (frames = 0; !last && frames < max_frames; ++frames) {
        if (!answers(frame_base(frames))) {
            return refuse(hypervisor().system->root_cell)
                   << "gicr_base: 0x" << hex(layout.redistributors) << ": no redistributor of a GICv3 answers at 0x"
                   << hex(frame_base(frames));
        }
        if (map_device(PhysAddr{frame_base(frames)}, redistributor_size) != 0) {
            return -JH_ENOMEM;
        }
        dsb_ish();
        isb();
        const uint64_t type = read64(frame_base(frames) + redistributor_typer);
        if (const int error = check_frame(frames, type); error != 0) {
            return error;
        }
        const uint64_t affinity = type >> 32;
        frame_cpus[frames] = find_cpu((affinity & 0xffffff) | (affinity >> 24) << 32);
        if (frame_cpus[frames] != nullptr) {
            frame_cpus[frames]->redistributor = frame_base(frames);
        }
        last = (type & 1u << 4) != 0;
    }
    for (const Cpu* cpu : hypervisor().cpus) {
        if (cpu != nullptr && static_cast<const PerCpu*>(cpu)->redistributor == 0) {
            ConsoleOut() << "No redistributor for CPU " << cpu->id << " from gicr_base 0x"
                         << hex(hypervisor().platform().arm.gicr_base) << " on\n";
            return -JH_ENODEV;
        }
    }
    return 0;
}

uint64_t bit_register(const PerCpu& cpu, uint32_t interrupt, uint32_t offset) {
    return interrupt < first_spi ? cpu.redistributor + sgi_frame + offset
                                 : distributor() + offset + word_offset(interrupt);
}

uint8_t priority_of(const PerCpu& cpu, uint32_t interrupt) {
    const uint64_t base = interrupt < first_spi ? cpu.redistributor + sgi_frame : distributor();
    return read8(base + ipriority + interrupt);
}

uint64_t route_to(const Cpu& cpu) {
    return cpu.affinity & affinity_mask;
}

void send_sgi(const Cpu& cpu, uint32_t sgi) {
    const uint64_t affinity = cpu.affinity;
    const uint64_t aff0 = affinity & 0xff;
    WRITE_GIC(ICC_SGI1R_EL1, (affinity >> 32 & 0xff) << 48 | (affinity >> 16 & 0xff) << 32 | uint64_t{sgi} << 24 |
                                 (affinity >> 8 & 0xff) << 16 | (aff0 >> 4) << 44 | uint64_t{1} << (aff0 & 0xf));
    isb();
}

void take_cpu_interface(PerCpu& cpu) {
    NativeState& native = cpu.native;
    const uint64_t sgi_base = cpu.redistributor + sgi_frame;
    native.pmr = READ_GIC(ICC_PMR_EL1);
    native.ctlr = READ_GIC(ICC_CTLR_EL1);
    native.bpr1 = READ_GIC(ICC_BPR1_EL1);
    native.group0 = READ_GIC(ICC_IGRPEN0_EL1);
    native.group1 = READ_GIC(ICC_IGRPEN1_EL1);
    native.ich_hcr = READ_GIC(ICH_HCR_EL2);
    native.sgi_enable = read32(sgi_base + isenable);
    for (uint32_t sgi = 0; sgi < 16; ++sgi) {
        native.sgi_priority[sgi] = read8(sgi_base + ipriority + sgi);
    }
    virtual_interrupts_from_native(cpu);
    // The kick is always enabled, as urgent as can be; so is the maintenance interrupt.
    const uint32_t maintenance = hypervisor().platform().arm.maintenance_irq;
    write8(sgi_base + ipriority + kick_sgi, 0);
    write8(sgi_base + ipriority + maintenance, 0);
    write32(sgi_base + isenable, 0xffffu | 1u << maintenance);
    WRITE_GIC(ICC_PMR_EL1, 0xff);
    WRITE_GIC(ICC_BPR1_EL1, 0);
    WRITE_GIC(ICC_CTLR_EL1, native.ctlr | icc_ctlr_eoi_mode);
    WRITE_GIC(ICC_IGRPEN0_EL1, 0); // all interrupts are group 1 below us: no FIQ
    WRITE_GIC(ICC_IGRPEN1_EL1, 1);
    isb();
}

void give_cpu_interface(PerCpu& cpu) {
    const uint64_t sgi_base = cpu.redistributor + sgi_frame;
    virtual_interrupts_to_native(cpu);
    const uint32_t maintenance = hypervisor().platform().arm.maintenance_irq;
    write32(sgi_base + icenable, 0xffffu | 1u << maintenance);
    write32(sgi_base + isenable, cpu.native.sgi_enable & (0xffffu | 1u << maintenance));
    for (uint32_t sgi = 0; sgi < 16; ++sgi) {
        write8(sgi_base + ipriority + sgi, cpu.native.sgi_priority[sgi]);
    }
    WRITE_GIC(ICH_HCR_EL2, cpu.native.ich_hcr);
    WRITE_GIC(ICC_PMR_EL1, cpu.native.pmr);
    WRITE_GIC(ICC_BPR1_EL1, cpu.native.bpr1);
    WRITE_GIC(ICC_CTLR_EL1, cpu.native.ctlr);
    WRITE_GIC(ICC_IGRPEN0_EL1, cpu.native.group0);
    WRITE_GIC(ICC_IGRPEN1_EL1, cpu.native.group1);
    isb();
}

void reset_private(PerCpu& cpu) {
    const uint64_t base = cpu.redistributor + sgi_frame;
    const uint32_t ours = 1u << hypervisor().platform().arm.maintenance_irq;
    const uint32_t ppis = 0xffff0000u & ~ours;
    write32(base + icenable, ppis);
    write32(base + icpend, ppis);
    write32(base + icactive, ppis | 0xffffu);
    for (uint32_t ppi = 16; ppi < first_spi; ++ppi) {
        if ((ppis >> ppi & 1) != 0) {
            write8(base + ipriority + ppi, 0);
        }
    }
    virtual_interrupts_reset(cpu);
}

} // namespace gaol::gic

namespace gaol::arch {

using namespace gaol::gic;

void kick(Cpu& cpu) {
    dsb_ish(); // the request is visible before the call arrives
    send_sgi(cpu, kick_sgi);
}

uint32_t interrupt_limit() {
    const uint32_t limit = ((read32(distributor() + typer) & 0x1f) + 1) * 32;
    return limit < max_interrupts ? limit : static_cast<uint32_t>(max_interrupts);
}

void interrupts_assign(const InterruptSet& interrupts, const Cell& owner) {
    const LockGuard guard(distributor_lock);
    const Cpu& cpu = *hypervisor().cpus[owner.cpus.next()];
    for (size_t bit = interrupts.next(first_spi); bit < max_interrupts; bit = interrupts.next(bit + 1)) {
        quiet_spi(static_cast<uint32_t>(bit), cpu);
    }
}

void interrupts_reroute(const InterruptSet& interrupts, const Cell& owner) {
    const LockGuard guard(distributor_lock);
    for (size_t bit = interrupts.next(first_spi); bit < max_interrupts; bit = interrupts.next(bit + 1)) {
        const uint64_t address = distributor() + irouter + bit * 8;
        const PerCpu* target = find_cpu(read64(address) & affinity_mask);
        if (target != nullptr && !owner.cpus.test(target->id)) {
            write64(address, route_to(*hypervisor().cpus[owner.cpus.next()]));
        }
    }
}

void interrupt_raise(uint32_t interrupt) {
    dsb_ish(); // what the cell wrote before the doorbell is visible before the interrupt
    write32(distributor() + ispend + word_offset(interrupt), 1u << (interrupt % 32));
}

bool reserved_for_hypervisor(PhysRange range) {
    const PhysRange distributor_range{PhysAddr{distributor()}, distributor_size};
    const PhysRange redistributors{PhysAddr{frame_base(0)}, frame_count() * redistributor_size};
    return range.overlaps(distributor_range) || range.overlaps(redistributors);
}

} // namespace gaol::arch

// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/virtual_gic.hpp"

#include "hypervisor/arch/arm64/gic.hpp"
#include "hypervisor/arch/arm64/virtual_interrupts.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

/// 32 interrupts, a bit each: which of those that a register word covers are the cell's.
uint32_t owned_word(const PerCpu& cpu, uint32_t word) {
    return word == 0 ? 0 : cpu.cell->interrupts.word(word);
}

/// The private interrupts that a cell may use: all but the hypervisor's.
uint32_t usable_private() {
    return ~(1u << hypervisor().platform().arm.maintenance_irq | 1u << gic::hypervisor_timer_ppi);
}

/// Registers with one bit an interrupt, set or clear by writing ones: only owned bits get through.
void bit_access(uint64_t address, uint32_t owned, MmioAccess& access) {
    if (access.write) {
        gic::write32(address, static_cast<uint32_t>(access.value) & owned);
    } else {
        access.value = gic::read32(address) & owned;
    }
}

/// Two configuration bits an interrupt. `owned` has a bit for each of the 16.
void config_access(uint64_t address, uint32_t owned, MmioAccess& access) {
    uint32_t mask = 0;
    for (uint32_t interrupt = 0; interrupt < 16; ++interrupt) {
        mask |= (owned >> interrupt & 1) != 0 ? 3u << (2 * interrupt) : 0;
    }
    const LockGuard guard(gic::distributor_lock);
    const uint32_t old = gic::read32(address);
    if (access.write) {
        gic::write32(address, (old & ~mask) | (static_cast<uint32_t>(access.value) & mask));
    } else {
        access.value = old & mask;
    }
}

/// One byte an interrupt, byte by byte.
template <typename Owned> void priority_access(uint64_t base, uint32_t first, Owned owned, MmioAccess& access) {
    uint64_t result = 0;
    for (uint32_t byte = 0; byte < access.size; ++byte) {
        if (!owned(first + byte)) {
            continue;
        }
        if (access.write) {
            gic::write8(base + gic::ipriority + first + byte, static_cast<uint8_t>(access.value >> (8 * byte)));
        } else {
            result |= uint64_t{gic::read8(base + gic::ipriority + first + byte)} << (8 * byte);
        }
    }
    access.value = access.write ? access.value : result;
}

/// Routing: only to CPUs of the cell.
void route_access(const PerCpu& cpu, uint32_t offset, MmioAccess& access) {
    const uint32_t interrupt = (offset - gic::irouter) / 8;
    if (interrupt < first_spi || !cpu.cell->interrupts.test(interrupt)) {
        access.value = 0;
        return;
    }
    const LockGuard guard(gic::distributor_lock);
    const uint64_t address = gic::distributor() + gic::irouter + uint64_t{interrupt} * 8;
    const uint64_t old = gic::read64(address);
    const unsigned shift = (offset & 4) * 8;
    if (!access.write) {
        access.value = access.size == 8 ? old : old >> shift & 0xffffffff;
        return;
    }
    const uint64_t mask = access.size == 8 ? ~uint64_t{0} : uint64_t{0xffffffff} << shift;
    const uint64_t wanted = (old & ~mask) | (access.value << shift & mask);
    for (size_t id = cpu.cell->cpus.next(); id < max_cpus; id = cpu.cell->cpus.next(id + 1)) {
        if (gic::route_to(*hypervisor().cpus[id]) == wanted) {
            gic::write64(address, wanted);
        }
    }
}

bool within(uint32_t offset, uint32_t start, uint32_t size) {
    return offset >= start && offset < start + size;
}

/// The seven banks of bit registers from ISENABLER to ICACTIVER; `word` gets the index inside the bank.
bool is_bit_register(uint32_t offset, uint32_t& word) {
    word = offset % 0x80 / 4;
    return within(offset, gic::isenable, 0x300) && offset % 4 == 0;
}

MmioResult distributor_access(const PerCpu& cpu, MmioAccess& access) {
    const auto offset = static_cast<uint32_t>(access.address);
    const uint64_t address = gic::distributor() + offset;
    uint32_t word = 0;
    if (within(offset, gic::ipriority, 0x400)) {
        priority_access(
            gic::distributor(), offset - gic::ipriority,
            [&cpu](uint32_t interrupt) { return interrupt >= first_spi && cpu.cell->interrupts.test(interrupt); },
            access);
    } else if (within(offset, gic::irouter, 0x2000) && (access.size == 4 || access.size == 8)) {
        route_access(cpu, offset, access);
    } else if (access.size != 4) {
        return MmioResult::unclaimed;
    } else if (is_bit_register(offset, word)) {
        bit_access(address, owned_word(cpu, word), access);
    } else if (within(offset, gic::igroup, 0x80)) {
        access.value = owned_word(cpu, (offset - gic::igroup) / 4); // group 1, all of them
    } else if (within(offset, gic::icfg, 0x100)) {
        const uint32_t half = (offset - gic::icfg) / 4;
        config_access(address, owned_word(cpu, half / 2) >> (half % 2 * 16), access);
    } else if (offset == gic::ctlr || offset == gic::typer || offset == gic::iidr || within(offset, 0xffd0, 0x30)) {
        access.value = access.write ? 0 : gic::read32(address);
    } else {
        access.value = 0;
    }
    return MmioResult::done;
}

/// What `target` may deliver has changed.
void look_again(PerCpu& target) {
    if (&target == &this_cpu()) {
        refill(target);
    } else {
        arch::kick(target);
    }
}

/// SGIs have no hardware behind them: their state is the hypervisor's.
uint32_t sgi_bits(PerCpu& target, uint32_t offset, const MmioAccess& access) {
    VirtualInterrupts& virt = target.interrupts;
    const auto bits = static_cast<uint32_t>(access.value) & 0xffff;
    switch (offset) {
    case gic::isenable:
    case gic::icenable:
        if (access.write) {
            if (offset == gic::isenable) {
                virt.sgi_enable.fetch_or(bits);
            } else {
                virt.sgi_enable.fetch_and(~bits);
            }
            look_again(target);
        }
        return virt.sgi_enable;
    case gic::ispend:
        for (uint32_t sgi = 0; access.write && sgi < 16; ++sgi) {
            if ((bits >> sgi & 1) != 0) {
                post_sgi(target, sgi);
            }
        }
        return virt.pending_sgis;
    case gic::icpend:
        if (access.write) {
            virt.pending_sgis.fetch_and(~bits);
        }
        return virt.pending_sgis;
    default:
        return 0;
    }
}

void private_bits(PerCpu& target, uint32_t offset, MmioAccess& access) {
    const uint32_t sgis = sgi_bits(target, offset, access);
    bit_access(target.redistributor + gic::sgi_frame + offset, usable_private() & 0xffff0000, access);
    if (!access.write) {
        access.value |= sgis;
    }
}

void private_priority(PerCpu& target, uint32_t first, MmioAccess& access) {
    if (first >= 16) {
        priority_access(
            target.redistributor + gic::sgi_frame, first,
            [](uint32_t interrupt) { return interrupt < first_spi && (usable_private() >> interrupt & 1) != 0; },
            access);
        return;
    }
    uint64_t result = 0;
    for (uint32_t byte = 0; byte < access.size && first + byte < 16; ++byte) {
        uint8_t& priority = target.interrupts.sgi_priority[first + byte];
        if (access.write) {
            priority = static_cast<uint8_t>(access.value >> (8 * byte));
        }
        result |= uint64_t{priority} << (8 * byte);
    }
    access.value = result;
}

MmioResult sgi_frame_access(PerCpu& target, uint32_t offset, MmioAccess& access) {
    uint32_t word = 0;
    if (within(offset, gic::ipriority, 0x20)) {
        private_priority(target, offset - gic::ipriority, access);
    } else if (access.size != 4) {
        return MmioResult::unclaimed;
    } else if (is_bit_register(offset, word) && word == 0) {
        private_bits(target, offset, access);
    } else if (offset == gic::igroup) {
        access.value = ~0u;
    } else if (offset == gic::icfg + 4) {
        config_access(target.redistributor + gic::sgi_frame + offset, usable_private() >> 16, access);
    } else {
        access.value = offset == gic::icfg ? 0xaaaaaaaa : 0; // SGIs are edge-triggered
    }
    return MmioResult::done;
}

MmioResult redistributor_access(const PerCpu& cpu, uint32_t frame, MmioAccess& access) {
    const auto offset = static_cast<uint32_t>(access.address);
    PerCpu* target = gic::frame_cpu(frame);
    const bool own = target != nullptr && target->cell == cpu.cell;
    if (offset >= gic::sgi_frame) {
        if (own) {
            return sgi_frame_access(*target, static_cast<uint32_t>(offset - gic::sgi_frame), access);
        }
        access.value = 0;
        return MmioResult::done;
    }
    // Whoever looks for its redistributor walks over all of them: the ids can be read everywhere.
    const bool id = offset == gic::redistributor_iidr || within(offset, 0xffd0, 0x30);
    const uint64_t address = gic::frame_base(frame) + offset;
    const uint64_t type = gic::read64(gic::frame_base(frame) + gic::redistributor_typer);
    if (access.write) {
        return MmioResult::done;
    }
    if (within(offset, gic::redistributor_typer, 8)) {
        access.value = access.size == 8 ? type : type >> ((offset & 4) * 8) & 0xffffffff;
    } else {
        access.value = access.size == 4 && (id || (own && offset == gic::waker)) ? gic::read32(address) : 0;
    }
    return MmioResult::done;
}

} // namespace

MmioResult virtual_gic_access(PerCpu& cpu, MmioAccess& access) {
    if (access.address % access.size != 0) {
        return MmioResult::unclaimed;
    }
    MmioResult result = MmioResult::unclaimed;
    MmioAccess inner = access;
    if (access.address - gic::distributor() < gic::distributor_size) {
        inner = access.at(access.address - gic::distributor());
        result = distributor_access(cpu, inner);
    } else if (access.address - gic::frame_base(0) < gic::frame_count() * gic::redistributor_size) {
        const uint64_t offset = access.address - gic::frame_base(0);
        inner = access.at(offset % gic::redistributor_size);
        result = redistributor_access(cpu, static_cast<uint32_t>(offset / gic::redistributor_size), inner);
    }
    access.value = inner.value;
    return result;
}

} // namespace gaol

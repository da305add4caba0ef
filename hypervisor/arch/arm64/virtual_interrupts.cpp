// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/arch/arm64/virtual_interrupts.hpp"

#include "hypervisor/arch/arm64/gic.hpp"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"

namespace gaol {

namespace {

constexpr uint64_t state_pending = uint64_t{1} << 62;
constexpr uint64_t state_active = uint64_t{1} << 63;
constexpr uint64_t linked_to_hardware = uint64_t{1} << 61;
constexpr uint64_t group1 = uint64_t{1} << 60;
constexpr uint64_t in_use = state_pending | state_active;

constexpr uint64_t hcr_enable = 1;
// Maintenance interrupt when at most one list register is in use, when none has a pending interrupt
constexpr uint64_t hcr_underflow = 2;
constexpr uint64_t hcr_none_pending = 8;

uint32_t list_registers() {
    return static_cast<uint32_t>(READ_GIC(ICH_VTR_EL2) & 0x1f) + 1;
}

uint64_t read_list(uint32_t index) {
    switch (index) {
    // clang-format off
    case 0: return SYSREG_READ(S3_4_C12_C12_0);
    case 1: return SYSREG_READ(S3_4_C12_C12_1);
    case 2: return SYSREG_READ(S3_4_C12_C12_2);
    case 3: return SYSREG_READ(S3_4_C12_C12_3);
    case 4: return SYSREG_READ(S3_4_C12_C12_4);
    case 5: return SYSREG_READ(S3_4_C12_C12_5);
    case 6: return SYSREG_READ(S3_4_C12_C12_6);
    case 7: return SYSREG_READ(S3_4_C12_C12_7);
    case 8: return SYSREG_READ(S3_4_C12_C13_0);
    case 9: return SYSREG_READ(S3_4_C12_C13_1);
    case 10: return SYSREG_READ(S3_4_C12_C13_2);
    case 11: return SYSREG_READ(S3_4_C12_C13_3);
    case 12: return SYSREG_READ(S3_4_C12_C13_4);
    case 13: return SYSREG_READ(S3_4_C12_C13_5);
    case 14: return SYSREG_READ(S3_4_C12_C13_6);
    default: return SYSREG_READ(S3_4_C12_C13_7);
        // clang-format on
    }
}

void write_list(uint32_t index, uint64_t value) {
    switch (index) {
    // clang-format off
    case 0: SYSREG_WRITE(S3_4_C12_C12_0, value); break;
    case 1: SYSREG_WRITE(S3_4_C12_C12_1, value); break;
    case 2: SYSREG_WRITE(S3_4_C12_C12_2, value); break;
    case 3: SYSREG_WRITE(S3_4_C12_C12_3, value); break;
    case 4: SYSREG_WRITE(S3_4_C12_C12_4, value); break;
    case 5: SYSREG_WRITE(S3_4_C12_C12_5, value); break;
    case 6: SYSREG_WRITE(S3_4_C12_C12_6, value); break;
    case 7: SYSREG_WRITE(S3_4_C12_C12_7, value); break;
    case 8: SYSREG_WRITE(S3_4_C12_C13_0, value); break;
    case 9: SYSREG_WRITE(S3_4_C12_C13_1, value); break;
    case 10: SYSREG_WRITE(S3_4_C12_C13_2, value); break;
    case 11: SYSREG_WRITE(S3_4_C12_C13_3, value); break;
    case 12: SYSREG_WRITE(S3_4_C12_C13_4, value); break;
    case 13: SYSREG_WRITE(S3_4_C12_C13_5, value); break;
    case 14: SYSREG_WRITE(S3_4_C12_C13_6, value); break;
    default: SYSREG_WRITE(S3_4_C12_C13_7, value); break;
        // clang-format on
    }
}

void clear_lists() {
    for (uint32_t index = 0; index < list_registers(); ++index) {
        write_list(index, 0);
    }
}

/// Put an interrupt into a free list register; false when there is none.
bool place(uint64_t entry) {
    const auto empty = static_cast<uint32_t>(READ_GIC(ICH_ELRSR_EL2)) & ((1u << list_registers()) - 1);
    if (empty == 0) {
        return false;
    }
    write_list(static_cast<uint32_t>(__builtin_ctz(empty)), entry);
    return true;
}

uint64_t hardware_entry(uint32_t interrupt, uint8_t priority) {
    return state_pending | linked_to_hardware | group1 | uint64_t{priority} << 48 | uint64_t{interrupt} << 32 |
           interrupt;
}

/// One SGI into the lists: merged with one that is there already; false when there is no room.
bool place_sgi(const PerCpu& cpu, uint32_t sgi) {
    for (uint32_t index = 0; index < list_registers(); ++index) {
        const uint64_t entry = read_list(index);
        if ((entry & in_use) != 0 && (entry & 0xffffffff) == sgi) {
            write_list(index, entry | state_pending);
            return true;
        }
    }
    return place(state_pending | group1 | uint64_t{cpu.interrupts.sgi_priority[sgi]} << 48 | sgi);
}

/// The most urgent hardware interrupt that waits.
uint32_t most_urgent(const PerCpu& cpu) {
    uint32_t best = 0;
    uint32_t best_priority = 256;
    const InterruptSet& waiting = cpu.interrupts.waiting;
    for (size_t bit = waiting.next(); bit < max_interrupts; bit = waiting.next(bit + 1)) {
        const uint32_t priority = gic::priority_of(cpu, static_cast<uint32_t>(bit));
        if (priority < best_priority) {
            best = static_cast<uint32_t>(bit);
            best_priority = priority;
        }
    }
    return best;
}

void set_control(PerCpu& cpu, uint64_t control) {
    if (cpu.interrupts.control != control) {
        cpu.interrupts.control = control;
        WRITE_GIC(ICH_HCR_EL2, control);
    }
}

void wait_for(PerCpu& cpu, uint32_t interrupt) {
    if (!cpu.interrupts.waiting.test(interrupt)) {
        cpu.interrupts.waiting.set(interrupt);
        ++cpu.interrupts.waiting_count;
    }
}

/// Free a list register by taking out the least urgent interrupt that the cell has not seen yet, if it is less urgent
/// than `priority`.
bool evict(PerCpu& cpu, uint32_t priority) {
    uint32_t victim = ~0u;
    uint64_t worst = priority;
    for (uint32_t index = 0; index < list_registers(); ++index) {
        const uint64_t entry = read_list(index);
        if ((entry & in_use) == state_pending && (entry >> 48 & 0xff) > worst) {
            victim = index;
            worst = entry >> 48 & 0xff;
        }
    }
    if (victim == ~0u) {
        return false;
    }
    const uint64_t entry = read_list(victim);
    if ((entry & linked_to_hardware) != 0) {
        wait_for(cpu, static_cast<uint32_t>(entry));
    } else {
        cpu.interrupts.pending_sgis.fetch_or(1u << (entry & 0xf), std::memory_order_acq_rel);
    }
    write_list(victim, 0);
    return true;
}

/// Does any list register hold an interrupt that the cell has not taken?
bool any_pending() {
    for (uint32_t index = 0; index < list_registers(); ++index) {
        if ((read_list(index) & state_pending) != 0) {
            return true;
        }
    }
    return false;
}

/// The most urgent enabled SGI that waits; 16: none.
uint32_t most_urgent_sgi(const VirtualInterrupts& virt) {
    uint32_t ready = virt.pending_sgis.load(std::memory_order_acquire) & virt.sgi_enable;
    uint32_t best = 16;
    for (; ready != 0; ready &= ready - 1) {
        const auto sgi = static_cast<uint32_t>(__builtin_ctz(ready));
        if (best == 16 || virt.sgi_priority[sgi] < virt.sgi_priority[best]) {
            best = sgi;
        }
    }
    return best;
}

/// Hand the most urgent of what waits to the cell. False: nothing waits (`full` is false), or there is no room.
bool place_next(PerCpu& cpu, bool& full) {
    VirtualInterrupts& virt = cpu.interrupts;
    const uint32_t sgi = most_urgent_sgi(virt);
    full = false;
    if (sgi == 16 && virt.waiting_count == 0) {
        return false;
    }
    const uint32_t interrupt = virt.waiting_count != 0 ? most_urgent(cpu) : 0;
    const uint32_t priority = virt.waiting_count != 0 ? gic::priority_of(cpu, interrupt) : 256;
    if (sgi < 16 && virt.sgi_priority[sgi] <= priority) {
        // Taken before it is placed: one that is posted meanwhile stays pending.
        virt.pending_sgis.fetch_and(~(1u << sgi), std::memory_order_acq_rel);
        full = !place_sgi(cpu, sgi) && !(evict(cpu, virt.sgi_priority[sgi]) && place_sgi(cpu, sgi));
        if (full) {
            virt.pending_sgis.fetch_or(1u << sgi, std::memory_order_acq_rel);
        }
        return !full;
    }
    const uint64_t entry = hardware_entry(interrupt, static_cast<uint8_t>(priority));
    full = !place(entry) && !(evict(cpu, priority) && place(entry));
    if (!full) {
        virt.waiting.clear(interrupt);
        --virt.waiting_count;
    }
    return !full;
}

/// Undo an acknowledged interrupt. One that its cell has not seen is pending again in the hardware; one that it has
/// seen will not be finished by it any more, and may come anew.
void give_back(const PerCpu& cpu, uint32_t interrupt, bool pending) {
    const uint32_t bit = 1u << (interrupt % 32);
    if (pending) {
        gic::write32(gic::bit_register(cpu, interrupt, gic::ispend), bit);
    }
    gic::write32(gic::bit_register(cpu, interrupt, gic::icactive), bit);
}

/// A CPU that may take what this one cannot; null: none of the cell runs.
const Cpu* running_sibling(const PerCpu& cpu) {
    for (size_t id = cpu.cell->cpus.next(); id < max_cpus; id = cpu.cell->cpus.next(id + 1)) {
        if (hypervisor().cpus[id]->state == CpuState::running) {
            return hypervisor().cpus[id];
        }
    }
    return nullptr;
}

/// Has a cell taken the interrupt from the root cell? Asked by CPUs of the root, that no list of cells changes under.
bool belongs_to_a_cell(uint32_t interrupt) {
    for (const Cell* cell = hypervisor().root.next; cell != nullptr; cell = cell->next) {
        if (interrupt >= first_spi && cell->interrupts.test(interrupt)) {
            return true;
        }
    }
    return false;
}

/// Call `action(interrupt, not yet seen by the cell)` for each hardware interrupt that this CPU holds active.
template <typename Action> void for_each_acknowledged(const PerCpu& cpu, Action action) {
    for (uint32_t index = 0; index < list_registers(); ++index) {
        const uint64_t entry = read_list(index);
        if ((entry & in_use) != 0 && (entry & linked_to_hardware) != 0) {
            action(static_cast<uint32_t>(entry), (entry & state_active) == 0);
        }
    }
    const InterruptSet& waiting = cpu.interrupts.waiting;
    for (size_t bit = waiting.next(); bit < max_interrupts; bit = waiting.next(bit + 1)) {
        action(static_cast<uint32_t>(bit), true);
    }
}

} // namespace

void virtual_interrupts_from_native(PerCpu& cpu) {
    clear_lists();
    cpu.interrupts.waiting = {};
    cpu.interrupts.waiting_count = 0;
    cpu.interrupts.sgi_enable = cpu.native.sgi_enable & 0xffff;
    for (uint32_t sgi = 0; sgi < 16; ++sgi) {
        cpu.interrupts.sgi_priority[sgi] = cpu.native.sgi_priority[sgi];
    }
    const uint64_t sgi_base = cpu.redistributor + gic::sgi_frame;
    cpu.interrupts.pending_sgis = gic::read32(sgi_base + gic::ispend) & 0xffff;
    gic::write32(sgi_base + gic::icpend, 0xffff);
    WRITE_GIC(ICH_AP0R0_EL2, 0);
    WRITE_GIC(ICH_AP1R0_EL2, 0);
    WRITE_GIC(ICH_VMCR_EL2,
              cpu.native.pmr << 24 | cpu.native.bpr1 << 18 | (cpu.native.ctlr & 2) << 8 | (cpu.native.group1 & 1) << 1);
    cpu.interrupts.control = hcr_enable;
    WRITE_GIC(ICH_HCR_EL2, hcr_enable);
    refill(cpu);
}

void virtual_interrupts_to_native(PerCpu& cpu) {
    uint32_t sgis = cpu.interrupts.pending_sgis.exchange(0);
    for (uint32_t index = 0; index < list_registers(); ++index) {
        const uint64_t entry = read_list(index);
        if ((entry & state_pending) != 0 && (entry & linked_to_hardware) == 0) {
            sgis |= 1u << (entry & 0xf);
        }
    }
    for_each_acknowledged(cpu, [&cpu](uint32_t interrupt, bool pending) {
        if (pending) {
            give_back(cpu, interrupt, true);
        }
    });
    clear_lists();
    const uint64_t vmcr = READ_GIC(ICH_VMCR_EL2);
    cpu.native.pmr = vmcr >> 24;
    cpu.native.bpr1 = vmcr >> 18 & 7;
    cpu.native.ctlr = (cpu.native.ctlr & ~uint64_t{2}) | (vmcr >> 9 & 1) << 1;
    cpu.native.group1 = vmcr >> 1 & 1;
    cpu.native.sgi_enable = (cpu.native.sgi_enable & ~0xffffu) | cpu.interrupts.sgi_enable;
    for (uint32_t sgi = 0; sgi < 16; ++sgi) {
        cpu.native.sgi_priority[sgi] = cpu.interrupts.sgi_priority[sgi];
    }
    gic::write32(cpu.redistributor + gic::sgi_frame + gic::icpend, 0xffff);
    gic::write32(cpu.redistributor + gic::sgi_frame + gic::ispend, sgis);
}

void release_shared(PerCpu& cpu) {
    for_each_acknowledged(cpu, [&cpu](uint32_t interrupt, bool pending) {
        if (interrupt >= first_spi) {
            give_back(cpu, interrupt, pending);
        }
    });
    clear_lists();
    cpu.interrupts.waiting = {};
    cpu.interrupts.waiting_count = 0;
}

void pass_on_shared(PerCpu& cpu) {
    const Cpu* const sibling = running_sibling(cpu);
    if (sibling == nullptr) {
        return; // what is held stays active until the cell is started, loaded or destroyed
    }
    const LockGuard guard(gic::distributor_lock);
    for_each_acknowledged(cpu, [sibling](uint32_t interrupt, bool) {
        if (interrupt >= first_spi) {
            gic::write64(gic::distributor() + gic::irouter + uint64_t{interrupt} * 8, gic::route_to(*sibling));
        }
    });
    release_shared(cpu);
}

void drop_lost(PerCpu& cpu) {
    if (!cpu.cell->is_root()) {
        return; // other cells keep their interrupts as long as they have their CPUs
    }
    for (uint32_t index = 0; index < list_registers(); ++index) {
        const uint64_t entry = read_list(index);
        if ((entry & linked_to_hardware) != 0 && belongs_to_a_cell(static_cast<uint32_t>(entry))) {
            write_list(index, 0);
        }
    }
    InterruptSet& waiting = cpu.interrupts.waiting;
    for (size_t bit = waiting.next(first_spi); bit < max_interrupts; bit = waiting.next(bit + 1)) {
        if (belongs_to_a_cell(static_cast<uint32_t>(bit))) {
            waiting.clear(bit);
            --cpu.interrupts.waiting_count;
        }
    }
}

void virtual_interrupts_reset(PerCpu& cpu) {
    clear_lists();
    cpu.interrupts.pending_sgis = 0;
    cpu.interrupts.sgi_enable = 0;
    cpu.interrupts.waiting = {};
    cpu.interrupts.waiting_count = 0;
    for (auto& priority : cpu.interrupts.sgi_priority) {
        priority = 0;
    }
    WRITE_GIC(ICH_AP0R0_EL2, 0);
    WRITE_GIC(ICH_AP1R0_EL2, 0);
    WRITE_GIC(ICH_VMCR_EL2, 0);
    cpu.interrupts.control = hcr_enable;
    WRITE_GIC(ICH_HCR_EL2, hcr_enable);
}

void inject_hardware(PerCpu& cpu, uint32_t interrupt, uint8_t priority) {
    if (cpu.interrupts.waiting_count == 0 && place(hardware_entry(interrupt, priority))) {
        return;
    }
    wait_for(cpu, interrupt);
    refill(cpu);
}

void inject_sgis(PerCpu& cpu, uint32_t sgis) {
    cpu.interrupts.pending_sgis |= sgis;
    refill(cpu);
}

void refill(PerCpu& cpu) {
    bool full = false;
    while (place_next(cpu, full)) {
    }
    // Come back when the cell has taken all that it was given; when it nests so deep that nothing is pending, when it
    // has finished all but one.
    set_control(cpu, hcr_enable | (full ? hcr_underflow | (any_pending() ? hcr_none_pending : 0) : 0));
}

void post_sgi(PerCpu& target, uint32_t sgi) {
    target.interrupts.pending_sgis.fetch_or(1u << sgi, std::memory_order_release);
    if (&target == &this_cpu()) {
        refill(target);
    } else {
        arch::kick(target);
    }
}

void generate_sgi(PerCpu& cpu, uint64_t value) {
    const auto sgi = static_cast<uint32_t>(value >> 24 & 0xf);
    const bool all_but_me = (value >> 40 & 1) != 0;
    const uint64_t cluster = (value >> 48 & 0xff) << 32 | (value >> 32 & 0xff) << 16 | (value >> 16 & 0xff) << 8;
    const uint64_t range = value >> 44 & 0xf;
    for (size_t id = cpu.cell->cpus.next(); id < max_cpus; id = cpu.cell->cpus.next(id + 1)) {
        auto& target = static_cast<PerCpu&>(*hypervisor().cpus[id]);
        const uint64_t aff0 = target.affinity & 0xff;
        const bool listed =
            (target.affinity & 0xff00ffff00) == cluster && aff0 >> 4 == range && (value >> (aff0 & 0xf) & 1) != 0;
        if (all_but_me ? &target != &cpu : listed) {
            post_sgi(target, sgi);
        }
    }
}

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
#include "hypervisor/core/ivshmem.hpp"

#include "abi/ivshmem.h"
#include "hypervisor/core/arch.hpp"
#include "hypervisor/core/hypervisor.hpp"
#include "hypervisor/core/vpci.hpp"

namespace gaol {

namespace {

constexpr uint16_t command_memory = 0x2;
constexpr uint16_t command_intx_disable = 0x400;

const jh_memory& region(const IvshmemDevice& device, uint32_t index) {
    return device.cell->config.memory()[device.config->shmem_regions_start + index];
}

/// The same link: same function number, same sections of the same memory, same number of peers.
bool same_link(const IvshmemDevice& one, const IvshmemDevice& other) {
    if (one.config->bdf != other.config->bdf || one.config->shmem_peers != other.config->shmem_peers) {
        return false;
    }
    for (uint32_t section = 0; section < 2u + one.config->shmem_peers; ++section) {
        const jh_memory& a = region(one, section);
        const jh_memory& b = region(other, section);
        if (a.size != b.size || (a.size != 0 && a.phys_start != b.phys_start)) {
            return false;
        }
    }
    return true;
}

} // namespace

uint64_t IvshmemDevice::state_table_size() const {
    return region(*this, 0).size;
}
uint64_t IvshmemDevice::rw_size() const {
    return region(*this, 1).size;
}
uint64_t IvshmemDevice::output_size() const {
    return region(*this, 2).size;
}
uint64_t IvshmemDevice::base() const {
    return region(*this, 0).virt_start;
}
PhysAddr IvshmemDevice::state_table() const {
    return PhysAddr{region(*this, 0).phys_start};
}
bool IvshmemDevice::memory_enabled() const {
    return (command & command_memory) != 0;
}
uint32_t IvshmemDevice::bar_size() const {
    return ~config->bar_mask[0] + 1;
}

IvshmemDevice* IvshmemLink::any() const {
    for (auto* end : peer) {
        if (end != nullptr) {
            return end;
        }
    }
    return nullptr;
}

void IvshmemDevice::interrupt_me() {
    if ((interrupt_enable & IVSHMEM_INT_ENABLE) == 0 || (command & command_intx_disable) != 0) {
        return;
    }
    if ((control & IVSHMEM_CONTROL_ONE_SHOT) != 0) {
        interrupt_enable = 0;
    }
    arch::interrupt_raise(interrupt);
}

void IvshmemDevice::interrupt_peer(uint32_t target) {
    if (target < max_peers && link->peer[target] != nullptr) {
        link->peer[target]->interrupt_me();
    }
}

void IvshmemDevice::set_state(uint32_t value) {
    state = value;
    arch::write_physical(state_table() + config->shmem_dev_id * 4u, value);
    for (uint32_t other = 0; other < max_peers; ++other) {
        if (other != config->shmem_dev_id) {
            interrupt_peer(other);
        }
    }
}

void IvshmemDevice::reset() {
    const LockGuard guard(link->lock);
    command = 0;
    bar0 = 0;
    control = 0;
    interrupt_enable = 0;
    if (state != 0) {
        set_state(0);
    }
}

MmioResult IvshmemDevice::registers(MmioAccess& access) {
    if (access.size == 4) { // first: a doorbell is what must be quick
        return word(access);
    }
    if ((access.address & (access.size - 1)) != 0) {
        return MmioResult::unclaimed;
    }
    return access.size < 4 ? part_of_word(access) : two_words(access);
}

MmioResult IvshmemDevice::two_words(MmioAccess& access) {
    MmioAccess low{access.address, 4, access.write, access.value & 0xffffffff};
    MmioAccess high{access.address + 4, 4, access.write, access.value >> 32};
    word(low);
    word(high);
    access.value = low.value | high.value << 32;
    return MmioResult::done;
}

/// What is written goes into what the word holds.
MmioResult IvshmemDevice::part_of_word(MmioAccess& access) {
    const unsigned shift = 8 * (access.address & 3);
    const uint64_t mask = ((uint64_t{1} << (8 * access.size)) - 1) << shift;
    MmioAccess whole{access.address & ~uint64_t{3}, 4, false, 0};
    word(whole);
    if (access.write) {
        whole.write = true;
        whole.value = (whole.value & ~mask) | (access.value << shift & mask);
        return word(whole);
    }
    access.value = (whole.value & mask) >> shift;
    return MmioResult::done;
}

MmioResult IvshmemDevice::word(MmioAccess& access) {
    const LockGuard guard(link->lock);
    const auto written = static_cast<uint32_t>(access.value);
    switch (access.address) {
    case IVSHMEM_REG_ID:
        access.value = config->shmem_dev_id;
        break;
    case IVSHMEM_REG_MAX_PEERS:
        access.value = config->shmem_peers;
        break;
    case IVSHMEM_REG_INT_CONTROL:
        if (access.write) {
            interrupt_enable = written & IVSHMEM_INT_ENABLE;
        }
        access.value = interrupt_enable;
        break;
    case IVSHMEM_REG_DOORBELL: {
        const uint32_t vector = written & 0xffff; // INTx has vector 0 alone
        if (access.write && vector == 0) {
            interrupt_peer(written >> 16);
        }
        access.value = 0;
        break;
    }
    case IVSHMEM_REG_STATE:
        if (access.write) {
            set_state(written);
        }
        access.value = state;
        break;
    default:
        access.value = 0;
        return (access.address & 3) == 0 ? MmioResult::done : MmioResult::unclaimed;
    }
    return MmioResult::done;
}

int ivshmem_connect(IvshmemDevice& device) {
    IvshmemLink* free_link = nullptr;
    IvshmemLink* link = nullptr;
    for (auto& candidate : hypervisor().links) {
        const IvshmemDevice* end = candidate.any();
        if (end == nullptr) {
            free_link = free_link == nullptr ? &candidate : free_link;
        } else if (same_link(*end, device)) {
            link = &candidate;
        }
    }
    if (link == nullptr) {
        link = free_link;
    }
    ConsoleOut out;
    if (link == nullptr) {
        out << "Cell \"" << device.cell->name() << "\" refused: more than " << uint64_t{max_links}
            << " shared memory links\n";
        return -JH_ENOMEM;
    }
    const uint8_t id = device.config->shmem_dev_id;
    if (link->peer[id] != nullptr) {
        out << "Cell \"" << device.cell->name() << "\" refused: shmem_dev_id " << uint64_t{id} << " of device "
            << PciName{device.config->bdf} << " is taken by cell \"" << link->peer[id]->cell->name() << "\"\n";
        return -JH_EBUSY;
    }
    if (link->used()) {
        out << "Shared memory connection established, peer cells:\n";
        for (const auto* peer : link->peer) {
            if (peer != nullptr) {
                out << " \"" << peer->cell->name() << "\"\n";
            }
        }
    }
    if (!arch::write_physical(device.state_table() + id * 4u, 0)) {
        out << "Cell \"" << device.cell->name() << "\" refused: state table of device " << PciName{device.config->bdf}
            << ": no memory answers at 0x" << hex(device.state_table().value) << '\n';
        return -JH_EINVAL;
    }
    const LockGuard guard(link->lock);
    device.link = link;
    link->peer[id] = &device;
    return 0;
}

void ivshmem_disconnect(IvshmemDevice& device) {
    if (device.link == nullptr) {
        return;
    }
    device.reset();
    const LockGuard guard(device.link->lock);
    device.link->peer[device.config->shmem_dev_id] = nullptr;
}

} // namespace gaol

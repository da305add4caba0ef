// SPDX-License-Identifier: Apache-2.0
// The physical GICv3 (IHI 0069): register offsets, access, and what the hypervisor itself does with it.
#pragma once

#include "hypervisor/arch/arm64/per_cpu.hpp"
#include "hypervisor/core/address.hpp"
#include "hypervisor/core/lock.hpp"

#include <cstdint>

namespace gaol::gic {

// Distributor and SGI frame of a redistributor (same offsets in both)
inline constexpr uint32_t igroup = 0x080;
inline constexpr uint32_t isenable = 0x100;
inline constexpr uint32_t icenable = 0x180;
inline constexpr uint32_t ispend = 0x200;
inline constexpr uint32_t icpend = 0x280;
inline constexpr uint32_t isactive = 0x300;
inline constexpr uint32_t icactive = 0x380;
inline constexpr uint32_t ipriority = 0x400;
inline constexpr uint32_t icfg = 0xc00;
inline constexpr uint32_t irouter = 0x6000;
inline constexpr uint32_t ctlr = 0x0000;
inline constexpr uint32_t typer = 0x0004; // distributor
inline constexpr uint32_t iidr = 0x0008;  // distributor; redistributor: 0x4
inline constexpr uint32_t pidr2 = 0xffe8;
inline constexpr uint32_t redistributor_iidr = 0x0004;
inline constexpr uint32_t redistributor_typer = 0x0008;
inline constexpr uint32_t waker = 0x0014;

inline constexpr uint64_t distributor_size = 0x10000;
inline constexpr uint64_t redistributor_size = 0x20000;
inline constexpr uint64_t sgi_frame = 0x10000;

/// The SGI with which CPUs call each other into the hypervisor. Linux uses 0 to 6.
inline constexpr uint32_t kick_sgi = 7;
inline constexpr uint32_t hypervisor_timer_ppi = 26;

/// Of the register word that has a bit for the interrupt.
constexpr uint64_t word_offset(uint32_t interrupt) {
    return uint64_t{interrupt / 32} * 4;
}

inline uint32_t read32(uint64_t address) {
    return *reinterpret_cast<volatile uint32_t*>(address);
}
inline void write32(uint64_t address, uint32_t value) {
    *reinterpret_cast<volatile uint32_t*>(address) = value;
}
inline uint64_t read64(uint64_t address) {
    return *reinterpret_cast<volatile uint64_t*>(address);
}
inline void write64(uint64_t address, uint64_t value) {
    *reinterpret_cast<volatile uint64_t*>(address) = value;
}
inline uint8_t read8(uint64_t address) {
    return *reinterpret_cast<volatile uint8_t*>(address);
}
inline void write8(uint64_t address, uint8_t value) {
    *reinterpret_cast<volatile uint8_t*>(address) = value;
}

/// Serialises read-modify-write of distributor registers that several cells share.
extern Lock distributor_lock;

/// Where everything is, as found at enable. Every access of a cell that traps asks.
struct Layout {
    uint64_t distributor = 0;
    uint64_t redistributors = 0;
    uint32_t frames = 0;
};
extern Layout layout;

inline uint64_t distributor() {
    return layout.distributor;
}
/// Redistributor frames that exist; `cpu` is null for one whose CPU is not online.
inline uint32_t frame_count() {
    return layout.frames;
}
PerCpu* frame_cpu(uint32_t frame);
inline uint64_t frame_base(uint32_t frame) {
    return layout.redistributors + frame * redistributor_size;
}

/// Map everything and find each CPU's redistributor. 0 or a negative errno with a line.
int discover();
/// Registers of a private interrupt of `cpu` or of a shared one: address of the word that has its bit.
uint64_t bit_register(const PerCpu& cpu, uint32_t interrupt, uint32_t offset);
uint8_t priority_of(const PerCpu& cpu, uint32_t interrupt);

/// This CPU: from Linux's use of the interface to the hypervisor's, and back.
void take_cpu_interface(PerCpu& cpu);
void give_cpu_interface(PerCpu& cpu);
/// A cell's CPU starts afresh: private interrupts disabled, nothing pending or active.
void reset_private(PerCpu& cpu);

/// IROUTER value that means `cpu`.
uint64_t route_to(const Cpu& cpu);
void send_sgi(const Cpu& cpu, uint32_t sgi);

} // namespace gaol::gic

// SPDX-License-Identifier: Apache-2.0
// Device registers. On arm64 one plain load or store each: a hypervisor that emulates the register needs a valid
// syndrome, which pair and write-back forms do not give (Arm ARM, ISS of a data abort, ISV).
#pragma once

#include <cstdint>

namespace hil::bench {

#if defined(__aarch64__)
inline std::uint8_t mmio_read8(std::uintptr_t address) {
    std::uint32_t value;
    asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return static_cast<std::uint8_t>(value);
}
inline std::uint16_t mmio_read16(std::uintptr_t address) {
    std::uint32_t value;
    asm volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return static_cast<std::uint16_t>(value);
}
inline std::uint32_t mmio_read32(std::uintptr_t address) {
    std::uint32_t value;
    asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}
inline std::uint64_t mmio_read64(std::uintptr_t address) {
    std::uint64_t value;
    asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}
inline void mmio_write8(std::uintptr_t address, std::uint8_t value) {
    asm volatile("strb %w0, [%1]" ::"r"(std::uint32_t{value}), "r"(address) : "memory");
}
inline void mmio_write16(std::uintptr_t address, std::uint16_t value) {
    asm volatile("strh %w0, [%1]" ::"r"(std::uint32_t{value}), "r"(address) : "memory");
}
inline void mmio_write32(std::uintptr_t address, std::uint32_t value) {
    asm volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}
inline void mmio_write64(std::uintptr_t address, std::uint64_t value) {
    asm volatile("str %0, [%1]" ::"r"(value), "r"(address) : "memory");
}
#else
template <class Word> Word mmio_read(std::uintptr_t address) {
    return *reinterpret_cast<volatile Word*>(address);
}
template <class Word> void mmio_write(std::uintptr_t address, Word value) {
    *reinterpret_cast<volatile Word*>(address) = value;
}
inline std::uint32_t mmio_read32(std::uintptr_t address) {
    return mmio_read<std::uint32_t>(address);
}
inline void mmio_write32(std::uintptr_t address, std::uint32_t value) {
    mmio_write(address, value);
}
#endif

} // namespace hil::bench

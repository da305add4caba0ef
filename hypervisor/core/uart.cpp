// SPDX-License-Identifier: Apache-2.0
// Sources: ARM DDI 0183 (PL011), 16550 data sheets.
#include "hypervisor/core/uart.hpp"

#include "hypervisor/core/arch.hpp"

namespace gaol {

namespace {
constexpr uint32_t pl011_data = 0x00;
constexpr uint32_t pl011_flags = 0x18;
constexpr uint32_t pl011_transmit_full = 1u << 5;

constexpr uint32_t ns_data = 0;
constexpr uint32_t ns_line_status = 5;
constexpr uint32_t ns_transmit_empty = 1u << 5;
} // namespace

Uart::Uart(const jh_console& console, volatile uint8_t* registers)
    : registers_(registers), type_(console.type), distance4_((console.flags & JH_CONSOLE_REGDIST_4) != 0) {}

bool Uart::supported(const jh_console& console) {
    const bool mmio = (console.flags & JH_CONSOLE_MMIO) != 0;
    return console.type == JH_CONSOLE_NONE ||
           (mmio && (console.type == JH_CONSOLE_PL011 || console.type == JH_CONSOLE_8250));
}

bool Uart::ready() const {
    if (type_ == JH_CONSOLE_PL011) {
        return (register32(pl011_flags) & pl011_transmit_full) == 0;
    }
    const uint32_t status = distance4_ ? register32(ns_line_status * 4) : registers_[ns_line_status];
    return (status & ns_transmit_empty) != 0;
}

void Uart::put(char character) const {
    if (registers_ == nullptr || type_ == JH_CONSOLE_NONE) {
        return;
    }
    while (!ready()) {
        arch::relax();
    }
    const auto byte = static_cast<uint8_t>(character);
    if (type_ == JH_CONSOLE_PL011) {
        register32(pl011_data) = byte;
    } else if (distance4_) {
        register32(ns_data) = byte;
    } else {
        registers_[ns_data] = byte;
    }
}

} // namespace gaol

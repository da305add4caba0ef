// SPDX-License-Identifier: Apache-2.0
// Sources: ARM DDI 0183 (PL011), 16550 data sheets.
#include "hypervisor/core/uart.hpp"

#include "hypervisor/core/arch.hpp"

namespace gaol {

namespace {
constexpr uint32_t pl011_data = 0x00;
constexpr uint32_t pl011_flags = 0x18;
constexpr uint32_t pl011_transmit_full = 1u << 5;

constexpr uint32_t ns_data = 0; // with ns_divider_access: the divider's low byte
constexpr uint32_t ns_divider_high = 1;
constexpr uint32_t ns_line_control = 3;
constexpr uint32_t ns_line_status = 5;
constexpr uint32_t ns_registers = 8;
constexpr uint32_t ns_transmit_empty = 1u << 5;
constexpr uint32_t ns_divider_access = 1u << 7;
constexpr uint32_t ns_8n1 = 3;
} // namespace

Uart::Uart(const jh_console& console, volatile uint8_t* registers)
    : registers_(registers), type_(console.type), distance4_((console.flags & JH_CONSOLE_REGDIST_4) != 0) {
    if (registers_ != nullptr && type_ == JH_CONSOLE_8250 && console.divider != 0) {
        ns_write(ns_line_control, ns_8n1 | ns_divider_access);
        ns_write(ns_data, console.divider & 0xff);
        ns_write(ns_divider_high, console.divider >> 8 & 0xff);
        ns_write(ns_line_control, ns_8n1);
    }
}

uint32_t Uart::registers_size(const jh_console& console) {
    if (console.type == JH_CONSOLE_PL011) {
        return pl011_flags + 4;
    }
    return (console.flags & JH_CONSOLE_REGDIST_4) != 0 ? ns_registers * 4 : ns_registers;
}

Uart::Status Uart::status_of(const jh_console& console) {
    if (console.type == JH_CONSOLE_PL011) {
        return {pl011_flags, 4};
    }
    return (console.flags & JH_CONSOLE_REGDIST_4) != 0 ? Status{ns_line_status * 4, 4} : Status{ns_line_status, 1};
}

bool Uart::awaits(uint64_t microseconds) const {
    const uint64_t start = arch::microseconds();
    while (!ready()) {
        if (arch::microseconds() - start >= microseconds) {
            return false;
        }
        arch::relax();
    }
    return true;
}

uint32_t Uart::ns_read(uint32_t index) const {
    return distance4_ ? register32(index * 4) : registers_[index];
}

void Uart::ns_write(uint32_t index, uint32_t value) const {
    if (distance4_) {
        register32(index * 4) = value;
    } else {
        registers_[index] = static_cast<uint8_t>(value);
    }
}

bool Uart::ready() const {
    if (type_ == JH_CONSOLE_PL011) {
        return (register32(pl011_flags) & pl011_transmit_full) == 0;
    }
    return (ns_read(ns_line_status) & ns_transmit_empty) != 0;
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
    } else {
        ns_write(ns_data, byte);
    }
}

} // namespace gaol

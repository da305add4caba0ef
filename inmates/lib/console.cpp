// SPDX-License-Identifier: Apache-2.0
// Sources: ARM PrimeCell UART (PL011) TRM, 16550 data sheets.
#include "inmates/lib/console.hpp"

#include "bench/core/barrier.hpp"
#include "bench/core/mmio.hpp"
#include "inmates/lib/arm64/hypercall.hpp"
#include "inmates/lib/arm64/mmu.hpp"

namespace inmate {
namespace {

using hil::bench::mmio_read32;
using hil::bench::mmio_read8;
using hil::bench::mmio_write32;
using hil::bench::mmio_write8;
using hil::bench::relax;

enum class Kind {
    none,
    pl011,
    uart8250,
};

struct {
    Kind kind = Kind::none;
    bool hypervisor = false;
    std::uint64_t base = 0;
    unsigned shift = 0; // register distance of the 8250, as a power of two
} console;

namespace pl011 {
constexpr std::uint64_t data = 0x00, flag = 0x18, line_control = 0x2c, control = 0x30;
constexpr std::uint32_t transmit_full = 1u << 5;
constexpr std::uint32_t eight_bits_fifo = 0x70;
constexpr std::uint32_t enable = 1u << 0, transmit_enable = 1u << 8, receive_enable = 1u << 9;

/// A UART that somebody else uses is left as it is.
void prepare() {
    if ((mmio_read32(console.base + control) & enable) == 0) {
        mmio_write32(console.base + line_control, eight_bits_fifo);
        mmio_write32(console.base + control, enable | transmit_enable | receive_enable);
    }
}

void write(char byte) {
    while (mmio_read32(console.base + flag) & transmit_full) {
        relax();
    }
    mmio_write32(console.base + data, static_cast<std::uint8_t>(byte));
}
} // namespace pl011

namespace uart8250 {
constexpr std::uint64_t data = 0, divisor_low = 0, divisor_high = 1, fifo_control = 2, line_control = 3,
                        line_status = 5;
constexpr std::uint32_t transmit_empty = 1u << 5;
constexpr std::uint32_t eight_bits = 3, divisor_access = 0x80, fifo_on = 1;

std::uint32_t read(std::uint64_t index) {
    const std::uint64_t address = console.base + (index << console.shift);
    return console.shift ? mmio_read32(address) : mmio_read8(address);
}

void write_register(std::uint64_t index, std::uint32_t value) {
    const std::uint64_t address = console.base + (index << console.shift);
    if (console.shift) {
        mmio_write32(address, value);
    } else {
        mmio_write8(address, static_cast<std::uint8_t>(value));
    }
}

void prepare(std::uint32_t divider) {
    if (divider == 0) {
        return;
    }
    write_register(line_control, divisor_access);
    write_register(divisor_low, divider & 0xff);
    write_register(divisor_high, divider >> 8 & 0xff);
    write_register(line_control, eight_bits);
    write_register(fifo_control, fifo_on);
}

void write(char byte) {
    while ((read(line_status) & transmit_empty) == 0) {
        relax();
    }
    write_register(data, static_cast<std::uint8_t>(byte));
}
} // namespace uart8250

void open_clock_gate(const jh_console& description) {
    if (description.clock_reg == 0 || !map(description.clock_reg, 4, Memory::device)) {
        return;
    }
    const std::uint32_t bit = 1u << (description.gate_nr & 31);
    const std::uint32_t old = mmio_read32(description.clock_reg);
    const bool inverted = description.flags & JH_CONSOLE_INVERTED_GATE;
    const std::uint32_t wanted = inverted ? old & ~bit : old | bit;
    if (wanted != old) {
        mmio_write32(description.clock_reg, wanted);
    }
}

} // namespace

void console_open(const jh_comm_generic& region) {
    const jh_console& description = region.console;
    const bool mmio = description.flags & JH_CONSOLE_MMIO;
    const bool known = description.type == JH_CONSOLE_PL011 || description.type == JH_CONSOLE_8250;
    if (mmio && known && map(description.address, description.size ? description.size : 0x1000, Memory::device)) {
        open_clock_gate(description);
        console.base = description.address;
        if (description.type == JH_CONSOLE_PL011) {
            pl011::prepare();
            console.kind = Kind::pl011;
        } else {
            console.shift = description.flags & JH_CONSOLE_REGDIST_4 ? 2 : 0;
            uart8250::prepare(description.divider);
            console.kind = Kind::uart8250;
        }
    }
    const bool permitted = region.flags & JH_COMM_FLAG_PUTC_PERMITTED;
    const bool active = region.flags & JH_COMM_FLAG_PUTC_ACTIVE;
    console.hypervisor = active || (permitted && console.kind == Kind::none);
}

void console_write(char byte) {
    if (console.kind == Kind::pl011) {
        pl011::write(byte);
    } else if (console.kind == Kind::uart8250) {
        uart8250::write(byte);
    }
    if (console.hypervisor) {
        hypercall(JH_HC_CONSOLE_PUTC, static_cast<std::uint8_t>(byte));
    }
}

} // namespace inmate

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_board.hpp"

#include <algorithm>
#include <array>

namespace hil {
namespace {

/// Where Allwinner has put the same block on the A20 and on the H3.
constexpr std::array<BoardDevice, 15> sunxi{{
    {0x01c02000, 0x1000, "dma", "DMA controller"},
    {0x01c0f000, 0x1000, "mmc0", "SD/MMC controller 0"},
    {0x01c10000, 0x1000, "mmc1", "SD/MMC controller 1"},
    {0x01c11000, 0x1000, "mmc2", "SD/MMC controller 2"},
    {0x01c15000, 0x1000, "crypto", "crypto engine"},
    {0x01c20000, 0x400, "ccu", "CCU (clock controller)"},
    {0x01c20800, 0x400, "pio", "PIO (pin controller, GPIO)"},
    {0x01c28000, 0x400, "uart0", "UART 0"},
    {0x01c28400, 0x400, "uart1", "UART 1"},
    {0x01c28800, 0x400, "uart2", "UART 2"},
    {0x01c28c00, 0x400, "uart3", "UART 3"},
    {0x01c2ac00, 0x400, "twi0", "I2C 0"},
    {0x01c81000, 0x1000, "gicd", "GIC distributor"},
    {0x01c82000, 0x2000, "gicc", "GIC CPU interface"},
    {0x40000000, 0x40000000, "dram", "DRAM"},
}};

constexpr std::array<BoardDevice, 31> a20{{
    {0x01c00000, 0x1000, "sram", "SRAM controller"},
    {0x01c03000, 0x1000, "nand", "NAND controller"},
    {0x01c05000, 0x1000, "spi0", "SPI 0"},
    {0x01c06000, 0x1000, "spi1", "SPI 1"},
    {0x01c0c000, 0x1000, "tcon0", "display timing controller 0"},
    {0x01c0d000, 0x1000, "tcon1", "display timing controller 1"},
    {0x01c0e000, 0x1000, "ve", "video engine"},
    {0x01c12000, 0x1000, "mmc3", "SD/MMC controller 3"},
    {0x01c13000, 0x1000, "usb-otg", "USB OTG"},
    {0x01c14000, 0x1000, "usb1", "USB host 1"},
    {0x01c16000, 0x1000, "hdmi", "HDMI"},
    {0x01c17000, 0x1000, "spi2", "SPI 2"},
    {0x01c18000, 0x1000, "sata", "SATA"},
    {0x01c1c000, 0x1000, "usb2", "USB host 2"},
    {0x01c20400, 0x400, "intc", "interrupt controller"},
    {0x01c20c00, 0x400, "timer", "timers, watchdog and RTC"},
    {0x01c21800, 0x400, "ir0", "infrared receiver 0"},
    {0x01c22800, 0x400, "lradc", "keypad ADC"},
    {0x01c22c00, 0x400, "codec", "audio codec"},
    {0x01c23800, 0x400, "sid", "security id"},
    {0x01c25000, 0x400, "rtp", "RTP (touch panel and temperature sensor)"},
    {0x01c25c00, 0x400, "cpucfg", "CPU configuration"},
    {0x01c29000, 0x400, "uart4", "UART 4"},
    {0x01c29400, 0x400, "uart5", "UART 5"},
    {0x01c29800, 0x400, "uart6", "UART 6"},
    {0x01c29c00, 0x400, "uart7", "UART 7"},
    {0x01c2b000, 0x400, "twi1", "I2C 1"},
    {0x01c2b400, 0x400, "twi2", "I2C 2"},
    {0x01c40000, 0x10000, "mali", "Mali GPU"},
    {0x01c50000, 0x10000, "gmac", "Ethernet (GMAC)"},
    {0x01c60000, 0x1000, "hstimer", "high-speed timers"},
}};

constexpr std::array<BoardDevice, 9> h3{{
    {0x01c00000, 0x1000, "syscon", "system controller"},
    {0x01c14000, 0x400, "sid", "security id"},
    {0x01c19000, 0x1000, "usb-otg", "USB OTG"},
    {0x01c20c00, 0x400, "timer", "timers and watchdog"},
    {0x01c30000, 0x10000, "emac", "Ethernet (EMAC)"},
    {0x01ee0000, 0x10000, "hdmi", "HDMI"},
    {0x01f00000, 0x400, "rtc", "RTC"},
    {0x01f01400, 0x400, "r-ccu", "R_CCU (clock controller of the always-on part)"},
    {0x01f02c00, 0x400, "r-pio", "R_PIO (pin controller of the always-on part)"},
}};

constexpr std::array<BoardDevice, 9> qemu_virt{{
    {0x08000000, 0x10000, "gicd", "GIC distributor"},
    {0x080a0000, 0xf60000, "gicr", "GIC redistributors"},
    {0x09000000, 0x1000, "uart0", "PL011 UART"},
    {0x09010000, 0x1000, "rtc", "PL031 RTC"},
    {0x09020000, 0x1000, "fw-cfg", "QEMU firmware configuration"},
    {0x09030000, 0x1000, "gpio", "PL061 GPIO"},
    {0x0a000000, 0x4000, "virtio-mmio", "virtio-mmio transports"},
    {0x10000000, 0x2eff0000, "pcie-mmio", "PCIe memory window"},
    {0x40000000, 0x40000000, "dram", "RAM"},
}};

constexpr std::array<BoardDevice, 6> rpi4{{
    {0xfe200000, 0x1000, "gpio", "GPIO"},
    {0xfe201000, 0x1000, "uart0", "PL011 UART 0"},
    {0xfe215000, 0x1000, "aux", "auxiliary block: UART 1 and SPI"},
    {0xfe340000, 0x1000, "mmc", "SD controller"},
    {0xfd580000, 0x10000, "genet", "Ethernet"},
    {0xff841000, 0x8000, "gic", "GIC-400"},
}};

constexpr std::array<BoardTable, 4> boards{{
    {"Allwinner A20 (Banana Pi)", "banana bananapi cubie a20", a20, sunxi},
    {"Allwinner H3 (Orange Pi)", "orange orangepi h3", h3, sunxi},
    {"QEMU virt", "qemu-arm64 qemu-root qemu-arm qemu-virt", qemu_virt, {}},
    {"Raspberry Pi 4", "rpi4 raspberry-pi4 raspberrypi4", rpi4, {}},
}};

struct ClockRegister {
    std::uint64_t offset;
    std::string_view a20;
    std::string_view h3;
};

constexpr std::array<ClockRegister, 12> clock_registers{{
    {0x54, "the CPU, AHB and APB0 divider", "the AHB1 and APB1 divider"},
    {0x58, "the APB1 divider", "the APB2 divider"},
    {0x5c, "the AXI gate", "the AHB2 divider"},
    {0x60, "AHB gate 0 (USB, DMA, MMC, SPI, NAND)", "bus gate 0 (USB, DMA, MMC, SPI, NAND)"},
    {0x64, "AHB gate 1 (display, HDMI, GMAC)", "bus gate 1 (display, HDMI)"},
    {0x68, "the APB0 gate (PIO, codec, IR)", "bus gate 2 (PIO, codec)"},
    {0x6c, "the APB1 gate of the UARTs and I2C controllers", "bus gate 3 of the UARTs and I2C controllers"},
    {0x88, "the clock of SD/MMC controller 0", "the clock of SD/MMC controller 0"},
    {0x8c, "the clock of SD/MMC controller 1", "the clock of SD/MMC controller 1"},
    {0x90, "the clock of SD/MMC controller 2", "the clock of SD/MMC controller 2"},
    {0xcc, "the USB clock", "the USB clock"},
    {0x2d8, "", "bus reset 4 of the UARTs and I2C controllers"},
}};

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// A short hint must be a word by itself: "alpha20" is no A20. A long one may go on: "orangepi0".
bool has_hint(std::string_view words, std::string_view hint) {
    for (std::size_t at = words.find(hint); at != std::string_view::npos; at = words.find(hint, at + 1)) {
        const std::size_t end = at + hint.size();
        const bool begins = at == 0 || !is_letter_or_digit(words[at - 1]);
        const bool ends = end == words.size() || !is_letter_or_digit(words[end]);
        if (begins && (ends || hint.size() > 4)) {
            return true;
        }
    }
    return false;
}

bool has_word(std::string_view words, std::string_view hints) {
    while (!hints.empty()) {
        const std::size_t stop = std::min(hints.find(' '), hints.size());
        if (has_hint(words, hints.substr(0, stop))) {
            return true;
        }
        hints.remove_prefix(std::min(stop + 1, hints.size()));
    }
    return false;
}

} // namespace

const BoardTable* board_for(std::string_view words) {
    std::string lower(words);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const BoardTable* found = nullptr;
    for (const BoardTable& board : boards) {
        if (has_word(lower, board.hints)) {
            if (found != nullptr) {
                return nullptr;
            }
            found = &board;
        }
    }
    return found;
}

const BoardDevice* device_at(const BoardTable& board, std::uint64_t address) {
    const BoardDevice* found = nullptr;
    for (const auto devices : {board.devices, board.family}) {
        for (const BoardDevice& device : devices) {
            if (address >= device.address && address - device.address < device.size &&
                (found == nullptr || device.size < found->size)) {
                found = &device;
            }
        }
    }
    return found;
}

std::string_view clock_register(const BoardTable& board, std::uint64_t address) {
    const BoardDevice* device = device_at(board, address);
    if (device == nullptr || device->name != "ccu") {
        return {};
    }
    for (const ClockRegister& known : clock_registers) {
        if (known.offset == address - device->address) {
            return board.devices.data() == a20.data() ? known.a20 : known.h3;
        }
    }
    return {};
}

} // namespace hil

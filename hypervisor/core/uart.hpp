// SPDX-License-Identifier: Apache-2.0
// Output over a memory-mapped UART: ARM PL011 and 8250. Each is two registers for us: "room for a character" and data.
#pragma once

#include "abi/cell_config.h"

#include <cstdint>

namespace gaol {

class Uart {
  public:
    Uart() = default;
    /// `registers`: where the device is mapped; null: a UART that swallows everything. An 8250 gets its divider and 8N1
    /// when the config has a divider.
    Uart(const jh_console& console, volatile uint8_t* registers);

    void put(char character) const;
    /// Bytes that the registers of a PL011 or an 8250 take.
    [[nodiscard]] static uint32_t registers_size(const jh_console& console);
    /// Its status register, to be tried before a Uart is made: a config may name an address at which nothing answers.
    struct Status {
        uint32_t offset;
        unsigned size;
    };
    [[nodiscard]] static Status status_of(const jh_console& console);
    /// Will it take a character, within so many microseconds?
    [[nodiscard]] bool awaits(uint64_t microseconds) const;
    static constexpr uint32_t most_size = 16 << 20; ///< of a console region: all of it is mapped

  private:
    [[nodiscard]] volatile uint32_t& register32(uint32_t offset) const {
        return *reinterpret_cast<volatile uint32_t*>(registers_ + offset);
    }
    [[nodiscard]] uint32_t ns_read(uint32_t index) const;
    void ns_write(uint32_t index, uint32_t value) const;
    [[nodiscard]] bool ready() const;

    volatile uint8_t* registers_ = nullptr;
    uint16_t type_ = JH_CONSOLE_NONE;
    bool distance4_ = false;
};

} // namespace gaol

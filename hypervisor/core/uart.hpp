// SPDX-License-Identifier: Apache-2.0
// Output over a memory-mapped UART: ARM PL011 and 8250. Each is two registers for us: "room for a character" and data.
#pragma once

#include "abi/cell_config.h"

#include <cstdint>

namespace gaol {

class Uart {
  public:
    Uart() = default;
    /// `registers`: where the device is mapped; null: a UART that swallows everything.
    Uart(const jh_console& console, volatile uint8_t* registers);

    void put(char character) const;
    /// Is there a driver for this console type? (JH_CONSOLE_NONE: yes, the silent one.)
    [[nodiscard]] static bool supported(const jh_console& console);

  private:
    [[nodiscard]] volatile uint32_t& register32(uint32_t offset) const {
        return *reinterpret_cast<volatile uint32_t*>(registers_ + offset);
    }
    [[nodiscard]] bool ready() const;

    volatile uint8_t* registers_ = nullptr;
    uint16_t type_ = JH_CONSOLE_NONE;
    bool distance4_ = false;
};

} // namespace gaol

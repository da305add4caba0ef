// SPDX-License-Identifier: Apache-2.0
// The hypervisor's console: a UART and a ring that the root cell may read. Whoever writes holds it from the first to
// the last character, so that two CPUs never mix their lines.
#pragma once

#include "abi/gaol_image.h"
#include "hypervisor/core/lock.hpp"
#include "hypervisor/core/text.hpp"
#include "hypervisor/core/uart.hpp"

#include <atomic>
#include <cstdint>

namespace gaol {

class Console final : public TextSink {
  public:
    void open(Uart uart, gaol_console* ring) {
        uart_ = uart;
        ring_ = ring;
    }
    /// One character; `\n` becomes CR LF on the wire. The caller holds the console.
    void put(char character) override;

    /// Take the console for CPU `owner`. Nests: a fault while printing must still be able to say so.
    void acquire(uint32_t owner);
    void release();

  private:
    Lock lock_;
    std::atomic<uint32_t> owner_{no_owner};
    uint32_t depth_ = 0;
    Uart uart_;
    gaol_console* ring_ = nullptr;

    static constexpr uint32_t no_owner = ~0u;
};

/// The console for the length of a scope.
class ConsoleOut : public Text {
  public:
    ConsoleOut();
    ~ConsoleOut() { finish(); }
    /// Let others write before the scope ends.
    void finish();
    ConsoleOut(const ConsoleOut&) = delete;
    ConsoleOut& operator=(const ConsoleOut&) = delete;

  private:
    bool held_ = true;
};

} // namespace gaol

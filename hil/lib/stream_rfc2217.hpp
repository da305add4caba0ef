// SPDX-License-Identifier: Apache-2.0
// A serial port behind telnet with COM port control (RFC 854, 856, 2217), as ser2net offers it.
#pragma once

#include <cstdint>
#include <vector>

#include "hil/lib/stream.hpp"

namespace hil {

/// Removes telnet's commands from what is read, doubles 0xff in what is written, asks for `baud` 8N1 and binary mode.
class Rfc2217Stream : public Stream {
  public:
    Rfc2217Stream(std::unique_ptr<Stream> inner, int baud);
    [[nodiscard]] int descriptor() const override { return inner_->descriptor(); }
    Transfer read(std::span<char> to) override;
    Transfer write(std::span<const char> from) override;
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> due() const override { return inner_->due(); }

  private:
    enum class Scan {
        data,
        command,
        option,
        sub,
        sub_command,
    };
    bool scan(std::uint8_t byte); // true: the byte is data
    void answer(std::uint8_t verb, std::uint8_t option);
    void ask_settings();
    bool flush(Transfer& outcome);

    std::unique_ptr<Stream> inner_;
    std::uint32_t baud_;
    Scan scan_ = Scan::data;
    std::uint8_t verb_ = 0;
    std::vector<std::uint8_t> sub_; // bounded
    std::vector<char> out_;         // escaped bytes on their way
    bool asked_ = false;
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// Real UARTs, by libserialport: found by device path or by the USB adapter's serial number, never by port order.
#pragma once

#include <libserialport.h>

#include "hil/lib/stream.hpp"

namespace hil {

class SerialStream : public Stream {
  public:
    /// Opens a UART at `baud`, 8N1, no flow control. Another program that holds it is an error that names the port.
    static Result<std::unique_ptr<Stream>> open_path(const std::string& path, int baud);
    /// The same, for the port whose USB adapter says `serial`; when none does, the error lists those that are there.
    static Result<std::unique_ptr<Stream>> open_usb(const std::string& serial, int baud);

    ~SerialStream() override;
    [[nodiscard]] int descriptor() const override { return fd_; }
    Transfer read(std::span<char> to) override;
    Transfer write(std::span<const char> from) override;

  private:
    SerialStream(sp_port* port, int fd) : port_(port), fd_(fd) {}
    Transfer outcome(int count) const;
    sp_port* port_;
    int fd_;
};

} // namespace hil

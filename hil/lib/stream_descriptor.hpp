// SPDX-License-Identifier: Apache-2.0
// A stream over a file descriptor: sockets, ptys, pipes.
#pragma once

#include "hil/lib/file_descriptor.hpp"
#include "hil/lib/stream.hpp"

namespace hil {

class DescriptorStream : public Stream {
  public:
    /// Takes `fd` over and sets it non-blocking.
    explicit DescriptorStream(FileDescriptor fd);
    [[nodiscard]] int descriptor() const override { return fd_.get(); }
    Transfer read(std::span<char> to) override;
    Transfer write(std::span<const char> from) override;

  private:
    FileDescriptor fd_;
};

/// Opens a terminal device (the user's end of a pty) and sets it raw.
Result<FileDescriptor> open_raw_terminal(const std::string& path);

} // namespace hil

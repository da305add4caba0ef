// SPDX-License-Identifier: Apache-2.0
// Sockets for streams: Unix (either side) and TCP.
#pragma once

#include <string>

#include "hil/lib/file_descriptor.hpp"
#include "hil/lib/stream.hpp"

namespace hil {

/// Connects to the Unix socket at `path`.
Result<FileDescriptor> connect_unix(const std::string& path);

/// Connects to `host` (name or address) and `port` (number or service), waiting at most `limit` for each address.
Result<FileDescriptor> connect_tcp(const std::string& host, const std::string& port, std::chrono::milliseconds limit);

/// The server's side of a Unix socket, one connection at a time. The socket's file goes away with the object.
class UnixListener : public StreamSource {
  public:
    static Result<std::unique_ptr<StreamSource>> listen(const std::string& path);
    ~UnixListener() override;
    Result<std::unique_ptr<Stream>> open() override;

  private:
    UnixListener(std::string path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    FileDescriptor fd_;
};

} // namespace hil

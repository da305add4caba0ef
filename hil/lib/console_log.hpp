// SPDX-License-Identifier: Apache-2.0
// ConsoleLog: every raw byte of a console on disk, and when it came.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "hil/lib/file_descriptor.hpp"
#include "hil/lib/result.hpp"

namespace hil {

/// Two files: the bytes, and lines "<offset of a piece> <nanoseconds since start>". Each piece is written at once: a
/// killed controller leaves all that it had read.
class ConsoleLog {
  public:
    ConsoleLog() = default; ///< keeps nothing
    static Result<ConsoleLog> create(const std::string& raw, const std::string& times);
    /// A failure (disk full) is reported once, by the first piece that it hits; bytes then go missing from the files.
    Status append(std::span<const char> bytes, std::chrono::nanoseconds since_start);
    [[nodiscard]] std::uint64_t offset() const { return offset_; }

  private:
    Status write_all(int fd, std::span<const char> bytes);
    FileDescriptor raw_;
    FileDescriptor times_;
    std::uint64_t offset_ = 0;
    bool failed_ = false;
};

} // namespace hil

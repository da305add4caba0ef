// SPDX-License-Identifier: Apache-2.0
// ConsoleLog: every raw byte of a console on disk, and when it came.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "hil/lib/file_descriptor.hpp"
#include "hil/lib/result.hpp"

namespace hil {

/// Two files: the bytes, and where and when each piece of them began, in the form that hil/console_times.py tells and
/// reads. Each piece is written at once: a killed controller leaves all that it had read.
class ConsoleLog {
  public:
    ConsoleLog() = default; ///< keeps nothing
    static Result<ConsoleLog> create(const std::string& raw, const std::string& times);
    /// A failure (disk full) is reported once, by the first piece that it hits; bytes then go missing from the files.
    Status append(std::span<const char> bytes, std::chrono::nanoseconds since_start);
    [[nodiscard]] std::uint64_t offset() const { return offset_; }

  private:
    static Status write_all(int fd, std::span<const char> bytes);
    Status begin_times(const std::string& path);
    [[nodiscard]] std::string dated(std::uint64_t nanoseconds);
    FileDescriptor raw_;
    FileDescriptor times_;
    std::uint64_t offset_ = 0;
    std::optional<std::pair<std::uint64_t, std::uint64_t>> before_; ///< offset and nanoseconds of the piece before
    bool failed_ = false;
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/console_log.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace hil {

namespace {

constexpr std::string_view kHeader = "hil console.times 2\n"; // also in hil/console_times.py

void append_leb128(std::string& to, std::uint64_t value) {
    for (; value > 0x7f; value >>= 7) {
        to += static_cast<char>((value & 0x7f) | 0x80);
    }
    to += static_cast<char>(value);
}

} // namespace

Result<ConsoleLog> ConsoleLog::create(const std::string& raw, const std::string& times) {
    ConsoleLog log;
    for (const auto& [path, fd] : {std::pair{&raw, &log.raw_}, std::pair{&times, &log.times_}}) {
        *fd = FileDescriptor(::open(path->c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
        if (!fd->open()) {
            return Error{"cannot write the console's log " + *path + ": " + std::strerror(errno)};
        }
    }
    const off_t end = lseek(log.raw_.get(), 0, SEEK_END); // a log that goes on
    log.offset_ = end > 0 ? static_cast<std::uint64_t>(end) : 0;
    if (Status begun = log.begin_times(times); !begun) {
        return begun.error();
    }
    return log;
}

Status ConsoleLog::begin_times(const std::string& path) {
    std::array<char, kHeader.size()> found{};
    const ssize_t count = pread(times_.get(), found.data(), found.size(), 0);
    if (count == 0) {
        Status begun = write_all(times_.get(), kHeader);
        return begun ? begun : Status(Error{"cannot write the console's log " + path + ": " + begun.error().message});
    }
    if (count < 0 || std::string_view(found.data(), static_cast<std::size_t>(count)) != kHeader) {
        return Error{"cannot go on with the console's log " + path + ": it is of another form"};
    }
    return Nothing{};
}

Status ConsoleLog::append(std::span<const char> bytes, std::chrono::nanoseconds since_start) {
    if (bytes.empty()) {
        return Nothing{}; // no piece, and no date that the next one's could go by
    }
    const std::string date = dated(since_start.count() > 0 ? static_cast<std::uint64_t>(since_start.count()) : 0);
    offset_ += bytes.size();
    if (!raw_.open() || failed_) {
        return Nothing{};
    }
    Status written = write_all(raw_.get(), bytes);
    if (written) {
        written = write_all(times_.get(), date);
    }
    if (!written) {
        failed_ = true;
        return Error{"the console's log is incomplete from byte " + std::to_string(offset_ - bytes.size()) +
                     " on: " + written.error().message};
    }
    return Nothing{};
}

// The next piece's entry in console.times.
std::string ConsoleLog::dated(std::uint64_t nanoseconds) {
    std::string entry;
    if (!before_ || nanoseconds < before_->second) {
        append_leb128(entry, 0);
        append_leb128(entry, offset_);
        append_leb128(entry, nanoseconds);
    } else {
        append_leb128(entry, offset_ - before_->first);
        append_leb128(entry, nanoseconds - before_->second);
    }
    before_ = {offset_, nanoseconds};
    return entry;
}

Status ConsoleLog::write_all(int fd, std::span<const char> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return Error{std::strerror(errno)};
        }
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return Nothing{};
}

} // namespace hil

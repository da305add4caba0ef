// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/console_log.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace hil {

Result<ConsoleLog> ConsoleLog::create(const std::string& raw, const std::string& times) {
    ConsoleLog log;
    for (const auto& [path, fd] : {std::pair{&raw, &log.raw_}, std::pair{&times, &log.times_}}) {
        *fd = FileDescriptor(::open(path->c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
        if (!fd->open()) {
            return Error{"cannot write the console's log " + *path + ": " + std::strerror(errno)};
        }
    }
    const off_t end = lseek(log.raw_.get(), 0, SEEK_END); // a log that goes on
    log.offset_ = end > 0 ? static_cast<std::uint64_t>(end) : 0;
    return log;
}

Status ConsoleLog::append(std::span<const char> bytes, std::chrono::nanoseconds since_start) {
    const std::uint64_t at = offset_;
    offset_ += bytes.size();
    if (!raw_.open() || failed_) {
        return Nothing{};
    }
    if (Status status = write_all(raw_.get(), bytes); !status) {
        return status;
    }
    const std::string line = std::to_string(at) + ' ' + std::to_string(since_start.count()) + '\n';
    return write_all(times_.get(), line);
}

Status ConsoleLog::write_all(int fd, std::span<const char> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            failed_ = true;
            return Error{"the console's log is incomplete from byte " + std::to_string(offset_ - bytes.size()) +
                         " on: " + std::strerror(errno)};
        }
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return Nothing{};
}

} // namespace hil

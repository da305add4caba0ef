// SPDX-License-Identifier: Apache-2.0
#include "driver/agent/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "driver/agent/descriptor.hpp"

namespace hil::agent {

namespace {

int write_all(int fd, std::string_view content) {
    do { // once at least: an empty write means something to a sysfs file
        const ssize_t count = ::write(fd, content.data(), content.size());
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        content.remove_prefix(static_cast<std::size_t>(count));
    } while (!content.empty());
    return 0;
}

int write_in_place(const std::string& path, std::string_view content) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    return file.open() ? write_all(file.get(), content) : errno;
}

} // namespace

int read_file(const std::string& path, std::size_t limit, std::string& content, bool& truncated) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    struct stat about {};
    if (!file.open() || fstat(file.get(), &about) != 0) {
        return errno;
    }
    if (S_ISDIR(about.st_mode)) {
        return EISDIR;
    }
    if (!S_ISREG(about.st_mode)) {
        return EINVAL;
    }
    std::array<char, 65536> buffer;
    for (;;) {
        const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return errno;
        }
        if (count == 0) {
            return 0;
        }
        const std::size_t room = limit - content.size();
        const auto got = static_cast<std::size_t>(count);
        content.append(buffer.data(), got < room ? got : room);
        if (got > room) {
            truncated = true;
            return 0;
        }
    }
}

int write_file(const std::string& path, mode_t mode, std::string_view content) {
    struct stat about {};
    const bool exists = stat(path.c_str(), &about) == 0;
    if (exists && !S_ISREG(about.st_mode)) {
        return S_ISDIR(about.st_mode) ? EISDIR : write_in_place(path, content);
    }
    const std::string temporary = path + ".hil-part";
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!file.open()) {
        const int error = errno;
        return exists ? write_in_place(path, content) : error;
    }
    int error = write_all(file.get(), content);
    if (error == 0 && (fchmod(file.get(), mode) != 0 || rename(temporary.c_str(), path.c_str()) != 0)) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(temporary.c_str());
    }
    return error;
}

} // namespace hil::agent

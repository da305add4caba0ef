// SPDX-License-Identifier: Apache-2.0
#include "file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace {

// All bytes up to the end; false with errno set. Works for sysfs, whose sizes are not known beforehand.
bool read_all(int fd, std::vector<char>& bytes) {
    char chunk[65536];
    for (;;) {
        const ssize_t count = read(fd, chunk, sizeof(chunk));
        if (count == 0) {
            return true;
        }
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return false;
        }
        bytes.insert(bytes.end(), chunk, chunk + count);
    }
}

} // namespace

Descriptor::~Descriptor() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

std::optional<std::vector<char>> read_file(const char* path) {
    const Descriptor file(open(path, O_RDONLY | O_CLOEXEC));
    if (!file.valid()) {
        std::fprintf(stderr, "opening %s: %s\n", path, std::strerror(errno));
        return std::nullopt;
    }
    std::vector<char> bytes;
    if (!read_all(file.get(), bytes)) {
        std::fprintf(stderr, "reading %s: %s\n", path, std::strerror(errno));
        return std::nullopt;
    }
    return bytes;
}

std::optional<std::string> read_line(const std::string& path) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<char> bytes;
    if (!file.valid() || !read_all(file.get(), bytes)) {
        return std::nullopt;
    }
    std::string line(bytes.begin(), bytes.end());
    return line.substr(0, line.find('\n'));
}

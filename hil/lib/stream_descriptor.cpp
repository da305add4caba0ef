// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/stream_descriptor.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <termios.h>

#include <cerrno>
#include <cstring>

namespace hil {

namespace {

// What read() or write() returned, as an outcome. A pty whose other side closed says EIO.
Transfer outcome(ssize_t count, bool reading) {
    if (count > 0) {
        return {static_cast<std::size_t>(count), StreamState::open, {}};
    }
    if (count == 0) {
        return reading ? Transfer{0, StreamState::ended, "closed by the other side"} : Transfer{};
    }
    switch (errno) {
    case EAGAIN:
    case EINTR:
        return {};
    case EIO:
    case EPIPE:
    case ECONNRESET:
    case ENXIO:
    case ENODEV:
        return {0, StreamState::ended, std::strerror(errno)};
    default:
        return {0, StreamState::failed, std::strerror(errno)};
    }
}

} // namespace

DescriptorStream::DescriptorStream(FileDescriptor fd) : fd_(std::move(fd)) {
    const int flags = fcntl(fd_.get(), F_GETFL);
    if (flags >= 0) {
        (void)fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
    }
}

Transfer DescriptorStream::read(std::span<char> to) {
    return outcome(::read(fd_.get(), to.data(), to.size()), true);
}

Transfer DescriptorStream::write(std::span<const char> from) {
    ssize_t count = ::send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL); // no SIGPIPE for the process
    if (count < 0 && errno == ENOTSOCK) {
        count = ::write(fd_.get(), from.data(), from.size());
    }
    return outcome(count, false);
}

Result<FileDescriptor> open_raw_terminal(const std::string& path) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (!fd.open()) {
        return Error{"cannot open " + path + ": " + std::strerror(errno)};
    }
    termios settings{};
    if (tcgetattr(fd.get(), &settings) != 0) {
        return Error{path + " is no terminal: " + std::strerror(errno)};
    }
    cfmakeraw(&settings);
    if (tcsetattr(fd.get(), TCSANOW, &settings) != 0) {
        return Error{"cannot set " + path + " raw: " + std::strerror(errno)};
    }
    return fd;
}

} // namespace hil

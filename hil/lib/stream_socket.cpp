// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/stream_socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "hil/lib/stream_descriptor.hpp"

namespace hil {

namespace {

constexpr int kAttemptMilliseconds = 100;

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return Error{"the Unix socket path '" + path + "' has " + std::to_string(path.size()) + " bytes; 1 to " +
                     std::to_string(sizeof address.sun_path - 1) + " are possible: use a shorter directory"};
    }
    std::memcpy(address.sun_path, path.c_str(), path.size());
    return address;
}

// Whether a program listens there. A datagram socket is turned away by it (EPROTOTYPE), so that it sees no connection.
bool has_owner(const sockaddr_un& address) {
    const FileDescriptor probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
           errno == EPROTOTYPE;
}

// Finishes a connect() that goes on in the background. Returns 0 or an errno.
int wait_connected(int fd, std::chrono::milliseconds limit) {
    pollfd polled{fd, POLLOUT, 0};
    if (poll(&polled, 1, static_cast<int>(limit.count())) <= 0) {
        return ETIMEDOUT;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

} // namespace

Result<FileDescriptor> connect_unix(const std::string& path) {
    const auto address = unix_address(path);
    if (!address) {
        return address.error();
    }
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.open() || connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
        return Error{"cannot connect to the Unix socket " + path + ": " + std::strerror(errno)};
    }
    return fd;
}

Result<FileDescriptor> connect_tcp(const std::string& host, const std::string& port, std::chrono::milliseconds limit) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
        return Error{"cannot find " + host + ":" + port + ": " + gai_strerror(error)};
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
    int error = 0;
    for (const addrinfo* i = found; i != nullptr; i = i->ai_next) {
        FileDescriptor fd(socket(i->ai_family, i->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, i->ai_protocol));
        if (!fd.open()) {
            error = errno;
            continue;
        }
        error = connect(fd.get(), i->ai_addr, i->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS) {
            error = wait_connected(fd.get(), limit);
        }
        if (error == 0) {
            const int on = 1;
            (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            (void)setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            return fd;
        }
    }
    return Error{"cannot connect to " + host + ":" + port + ": " + std::strerror(error)};
}

Result<std::unique_ptr<StreamSource>> UnixListener::listen(const std::string& path) {
    const auto address = unix_address(path);
    if (!address) {
        return address.error();
    }
    struct stat about {};
    if (lstat(path.c_str(), &about) == 0 && !S_ISSOCK(about.st_mode)) {
        return Error{path + " exists and is no socket: not replaced"};
    }
    if (has_owner(*address)) {
        return Error{"another program listens on the Unix socket " + path};
    }
    (void)unlink(path.c_str());
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.open() || bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
        ::listen(fd.get(), 1) != 0) {
        return Error{"cannot listen on the Unix socket " + path + ": " + std::strerror(errno)};
    }
    return std::unique_ptr<StreamSource>(new UnixListener(path, std::move(fd)));
}

UnixListener::~UnixListener() {
    (void)unlink(path_.c_str());
}

Result<std::unique_ptr<Stream>> UnixListener::open() {
    pollfd polled{fd_.get(), POLLIN, 0};
    (void)poll(&polled, 1, kAttemptMilliseconds);
    FileDescriptor connection(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.open()) {
        return Error{"nobody connected to the Unix socket " + path_};
    }
    return std::unique_ptr<Stream>(new DescriptorStream(std::move(connection)));
}

} // namespace hil

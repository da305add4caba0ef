// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/stream_serial.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace hil {

namespace {

std::string last_error() {
    char* text = sp_last_error_message();
    std::string copy = text != nullptr && *text != '\0' ? text : std::strerror(errno);
    sp_free_error_message(text);
    return copy;
}

struct PortList {
    sp_port** ports = nullptr;
    ~PortList() {
        if (ports != nullptr) {
            sp_free_port_list(ports);
        }
    }
};

// Who may open a device that we may not.
std::string who_may(const std::string& device) {
    struct stat about {};
    if (stat(device.c_str(), &about) != 0) {
        return std::strerror(errno);
    }
    const group* owners = getgrgid(about.st_gid);
    const std::string name = owners != nullptr ? owners->gr_name : std::to_string(about.st_gid);
    if ((about.st_mode & (S_IRGRP | S_IWGRP)) != (S_IRGRP | S_IWGRP)) {
        return "its mode lets not even its group '" + name + "' read and write";
    }
    return "it belongs to the group '" + name + "'; join it (as root: usermod -aG " + name + " USER) and log in again";
}

std::string text_or(const char* text, const char* otherwise) {
    return text != nullptr ? text : otherwise;
}

} // namespace

Result<std::unique_ptr<Stream>> SerialStream::open_path(const std::string& path, int baud) {
    // libserialport knows devices by their kernel names only; what a by-id link points to may differ at each opening.
    std::error_code failed;
    const std::string device = std::filesystem::canonical(path, failed).string();
    if (failed) {
        return Error{"no serial port " + path + ": " + failed.message()};
    }
    if (faccessat(AT_FDCWD, device.c_str(), R_OK | W_OK, AT_EACCESS) != 0 && errno == EACCES) {
        return Error{"no permission to open the serial port " + path + ": " + who_may(device)};
    }
    sp_port* port = nullptr;
    if (sp_get_port_by_name(device.c_str(), &port) != SP_OK) {
        return Error{"no serial port " + path + " (" + device + "): " + last_error()};
    }
    if (sp_open(port, SP_MODE_READ_WRITE) != SP_OK) {
        const std::string why = last_error();
        sp_free_port(port);
        return Error{"cannot open the serial port " + path + ": " + why + " (busy: end the other program)"};
    }
    int fd = -1;
    (void)sp_get_port_handle(port, &fd);
    std::unique_ptr<Stream> stream(new SerialStream(port, fd));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return Error{"the serial port " + path + " is in use by another program"};
    }
    if (sp_set_baudrate(port, baud) != SP_OK || sp_set_bits(port, 8) != SP_OK ||
        sp_set_parity(port, SP_PARITY_NONE) != SP_OK || sp_set_stopbits(port, 1) != SP_OK ||
        sp_set_flowcontrol(port, SP_FLOWCONTROL_NONE) != SP_OK) {
        return Error{"cannot set " + path + " to " + std::to_string(baud) + " 8N1: " + last_error()};
    }
    return stream;
}

Result<std::unique_ptr<Stream>> SerialStream::open_usb(const std::string& serial, int baud) {
    PortList list;
    if (sp_list_ports(&list.ports) != SP_OK) {
        return Error{"cannot list the serial ports: " + last_error()};
    }
    std::string seen;
    for (sp_port** port = list.ports; *port != nullptr; ++port) {
        const char* number = sp_get_port_usb_serial(*port);
        if (number != nullptr && serial == number) {
            return open_path(sp_get_port_name(*port), baud);
        }
        seen += "\n  " + std::string(sp_get_port_name(*port)) + ": " + text_or(number, "no USB serial number") + ", " +
                text_or(sp_get_port_description(*port), "no description");
    }
    return Error{"no serial port has the USB serial number '" + serial + "'; there " +
                 (seen.empty() ? "is no serial port at all" : "are:" + seen)};
}

SerialStream::~SerialStream() {
    (void)sp_close(port_);
    sp_free_port(port_);
}

Transfer SerialStream::outcome(int count) const {
    if (count >= 0) {
        return {static_cast<std::size_t>(count), StreamState::open, {}};
    }
    const bool gone = errno == EIO || errno == ENXIO || errno == ENODEV;
    return {0, gone ? StreamState::ended : StreamState::failed, last_error()};
}

Transfer SerialStream::read(std::span<char> to) {
    Transfer transfer = outcome(sp_nonblocking_read(port_, to.data(), to.size()));
    if (transfer.count == 0 && transfer.state == StreamState::open) { // an unplugged adapter reads as nothing, for ever
        pollfd polled{fd_, POLLIN, 0};
        if (poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            return {0, StreamState::ended, "the serial port went away"};
        }
    }
    return transfer;
}

Transfer SerialStream::write(std::span<const char> from) {
    return outcome(sp_nonblocking_write(port_, from.data(), from.size()));
}

} // namespace hil

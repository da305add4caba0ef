// SPDX-License-Identifier: Apache-2.0
// From the name of a stream to its source.
#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>

#include "hil/lib/stream.hpp"
#include "hil/lib/stream_descriptor.hpp"
#include "hil/lib/stream_rfc2217.hpp"
#include "hil/lib/stream_serial.hpp"
#include "hil/lib/stream_socket.hpp"

namespace hil {

namespace {

using namespace std::chrono_literals;

constexpr int kDefaultBaud = 115200;
constexpr auto kConnectLimit = 2000ms;

class FunctionSource : public StreamSource {
  public:
    using Opener = std::function<Result<std::unique_ptr<Stream>>()>;
    explicit FunctionSource(Opener opener) : opener_(std::move(opener)) {}
    Result<std::unique_ptr<Stream>> open() override { return opener_(); }

  private:
    Opener opener_;
};

Result<std::unique_ptr<StreamSource>> source(FunctionSource::Opener opener) {
    return std::unique_ptr<StreamSource>(new FunctionSource(std::move(opener)));
}

Result<std::unique_ptr<Stream>> stream_of(Result<FileDescriptor> fd) {
    if (!fd) {
        return fd.error();
    }
    return std::unique_ptr<Stream>(new DescriptorStream(std::move(fd).value()));
}

Result<int> parse_number(std::string_view text, const char* what) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
        return Error{std::string(what) + " '" + std::string(text) + "' is no number"};
    }
    return value;
}

struct Rated {
    std::string name;
    int baud;
};

// "NAME@BAUD", or "NAME" for the default rate. A name may hold an '@' before it.
Result<Rated> parse_rated(std::string_view text) {
    const std::size_t at = text.rfind('@');
    if (at == std::string_view::npos) {
        return Rated{std::string(text), kDefaultBaud};
    }
    const auto baud = parse_number(text.substr(at + 1), "the baud rate");
    if (!baud) {
        return baud.error();
    }
    return Rated{std::string(text.substr(0, at)), *baud};
}

struct HostPort {
    std::string host;
    std::string port;
};

// "HOST:PORT"; an IPv6 address stands in brackets.
Result<HostPort> parse_host(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
        return Error{"'" + std::string(text) + "' is not of the form HOST:PORT"};
    }
    std::string_view host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    return HostPort{std::string(host), std::string(text.substr(colon + 1))};
}

Result<std::unique_ptr<StreamSource>> descriptor_source(std::string_view text) {
    const auto number = parse_number(text, "the descriptor");
    if (!number) {
        return number.error();
    }
    auto copy = std::make_shared<FileDescriptor>(fcntl(*number, F_DUPFD_CLOEXEC, 3));
    if (!copy->open()) {
        return Error{"descriptor " + std::string(text) + ": " + std::strerror(errno)};
    }
    return source([copy]() -> Result<std::unique_ptr<Stream>> {
        if (!copy->open()) {
            return Error{"the descriptor was used before and cannot be opened again"};
        }
        return stream_of(std::move(*copy));
    });
}

Result<std::unique_ptr<StreamSource>> tcp_source(std::string_view text, bool com_port) {
    const auto rated = com_port ? parse_rated(text) : Result<Rated>(Rated{std::string(text), 0});
    if (!rated) {
        return rated.error();
    }
    const auto target = parse_host(rated->name);
    if (!target) {
        return target.error();
    }
    return source([to = *target, baud = rated->baud, com_port]() -> Result<std::unique_ptr<Stream>> {
        auto stream = stream_of(connect_tcp(to.host, to.port, kConnectLimit));
        if (!stream || !com_port) {
            return stream;
        }
        return std::unique_ptr<Stream>(new Rfc2217Stream(std::move(stream).value(), baud));
    });
}

Result<std::unique_ptr<StreamSource>> serial_source(std::string_view text, bool usb) {
    const auto rated = parse_rated(text);
    if (!rated) {
        return rated.error();
    }
    return source([to = *rated, usb] {
        return usb ? SerialStream::open_usb(to.name, to.baud) : SerialStream::open_path(to.name, to.baud);
    });
}

} // namespace

Result<std::unique_ptr<StreamSource>> make_stream_source(std::string_view spec) {
    const std::size_t colon = spec.find(':');
    const std::string_view kind = spec.substr(0, colon);
    const std::string_view rest = colon == std::string_view::npos ? "" : spec.substr(colon + 1);
    const std::string name(rest);
    if (rest.empty()) {
        return Error{"'" + std::string(spec) + "' names no stream: KIND:WHERE is expected, for example tcp:board:2000"};
    }
    if (kind == "unix") {
        return source([name] { return stream_of(connect_unix(name)); });
    }
    if (kind == "unix-listen") {
        return UnixListener::listen(name);
    }
    if (kind == "pty") {
        return source([name] { return stream_of(open_raw_terminal(name)); });
    }
    if (kind == "fd") {
        return descriptor_source(rest);
    }
    if (kind == "tcp" || kind == "rfc2217") {
        return tcp_source(rest, kind == "rfc2217");
    }
    if (kind == "serial" || kind == "usb-serial") {
        return serial_source(rest, kind == "usb-serial");
    }
    return Error{"unknown kind of stream '" + std::string(kind) +
                 "': unix, unix-listen, tcp, rfc2217, pty, serial, usb-serial and fd are known"};
}

std::size_t stream_rate(std::string_view spec) {
    const std::size_t colon = spec.find(':');
    const std::string_view kind = spec.substr(0, colon);
    if (colon == std::string_view::npos || (kind != "rfc2217" && kind != "serial" && kind != "usb-serial")) {
        return 0;
    }
    const auto rated = parse_rated(spec.substr(colon + 1));
    return rated ? static_cast<std::size_t>(rated->baud) / 10 : 0;
}

} // namespace hil

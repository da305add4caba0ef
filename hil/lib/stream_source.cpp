// SPDX-License-Identifier: Apache-2.0
// From the name of a stream to its source.
#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "hil/lib/stream.hpp"
#include "hil/lib/stream_descriptor.hpp"
#include "hil/lib/stream_name.hpp"
#include "hil/lib/stream_rfc2217.hpp"
#include "hil/lib/stream_serial.hpp"
#include "hil/lib/stream_socket.hpp"

namespace hil {

namespace {

using namespace std::chrono_literals;

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

Result<std::unique_ptr<StreamSource>> descriptor_source(int number) {
    auto copy = std::make_shared<FileDescriptor>(fcntl(number, F_DUPFD_CLOEXEC, 3));
    if (!copy->open()) {
        return Error{"descriptor " + std::to_string(number) + ": " + std::strerror(errno)};
    }
    return source([copy]() -> Result<std::unique_ptr<Stream>> {
        if (!copy->open()) {
            return Error{"the descriptor was used before and cannot be opened again"};
        }
        return stream_of(std::move(*copy));
    });
}

Result<std::unique_ptr<Stream>> open_tcp(const StreamName& name) {
    auto stream = stream_of(connect_tcp(name.where, name.port, kConnectLimit));
    if (!stream || name.kind != StreamKind::rfc2217) {
        return stream;
    }
    return std::unique_ptr<Stream>(new Rfc2217Stream(std::move(stream).value(), name.baud));
}

} // namespace

Result<std::unique_ptr<StreamSource>> make_stream_source(std::string_view spec) {
    auto parsed = parse_stream_name(spec);
    if (!parsed) {
        return parsed.error();
    }
    const StreamName name = std::move(parsed).value();
    switch (name.kind) {
    case StreamKind::unix_client:
        return source([name] { return stream_of(connect_unix(name.where)); });
    case StreamKind::unix_listener:
        return UnixListener::listen(name.where);
    case StreamKind::tcp:
    case StreamKind::rfc2217:
        return source([name] { return open_tcp(name); });
    case StreamKind::pty:
        return source([name] { return stream_of(open_raw_terminal(name.where)); });
    case StreamKind::serial:
        return source([name] { return SerialStream::open_path(name.where, name.baud); });
    case StreamKind::usb_serial:
        return source([name] { return SerialStream::open_usb(name.where, name.baud); });
    case StreamKind::descriptor:
        break;
    }
    return descriptor_source(name.descriptor);
}

std::size_t stream_rate(std::string_view spec) {
    const auto name = parse_stream_name(spec);
    return name ? static_cast<std::size_t>(name->baud) / 10 : 0;
}

} // namespace hil

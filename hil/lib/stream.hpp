// SPDX-License-Identifier: Apache-2.0
// A stream: the two-way byte line to a machine's console, whatever carries it.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hil/lib/result.hpp"

namespace hil {

enum class StreamState {
    open,
    ended,  ///< the other side closed, hung up or was unplugged
    failed, ///< an error that is no end; see Transfer::why
};

/// Outcome of one read or write that did not block: `count` bytes moved (0: nothing possible now), and the line's
/// state.
struct Transfer {
    std::size_t count = 0;
    StreamState state = StreamState::open;
    std::string why; ///< when not open: errno's meaning
};

class Stream {
  public:
    virtual ~Stream() = default;
    /// For poll(): readable, writable.
    [[nodiscard]] virtual int descriptor() const = 0;
    virtual Transfer read(std::span<char> to) = 0;
    virtual Transfer write(std::span<const char> from) = 0;
    /// When read() may have bytes though the descriptor shows none (delayed bytes); nothing when never.
    [[nodiscard]] virtual std::optional<std::chrono::steady_clock::time_point> due() const { return std::nullopt; }
    /// Until then the line moves nothing, whatever its descriptor shows: polling it would only spin.
    [[nodiscard]] virtual std::chrono::steady_clock::time_point rests_until() const { return {}; }
};

/// Where a stream comes from; can open it again after the line was lost.
class StreamSource {
  public:
    virtual ~StreamSource() = default;
    /// One attempt, at most about 100 ms long; over TCP 2 s for each address of the host, and what the resolver
    /// of names takes. An error means: not now; its text is worth showing when time is up.
    virtual Result<std::unique_ptr<Stream>> open() = 0;
};

/// Kinds of stream, as a user names them:
///   unix:PATH                     connect to a Unix socket
///   unix-listen:PATH              be the Unix socket's server: no byte is lost before the connection
///   tcp:HOST:PORT                 raw TCP (ser2net "raw")
///   rfc2217:HOST:PORT[@BAUD]      TCP with telnet's COM port control (ser2net "telnet")
///   pty:PATH                      a terminal device as it is, set raw
///   serial:PATH[@BAUD]            a UART by device path, best /dev/serial/by-id/...; 115200 8N1 by default
///   usb-serial:NUMBER[@BAUD]      the UART whose USB adapter has this serial number, on whatever port it is
///   fd:NUMBER                     an open descriptor (it is duplicated); cannot be opened again
Result<std::unique_ptr<StreamSource>> make_stream_source(std::string_view spec);

/// Bytes a second that the line of such a stream carries each way, as far as its name tells (ten bits a byte: 8N1); 0
/// where it does not.
std::size_t stream_rate(std::string_view spec);

} // namespace hil

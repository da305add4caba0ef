// SPDX-License-Identifier: Apache-2.0
// StreamName: what a user calls a stream, taken apart. Nothing is opened here.
#pragma once

#include <string>
#include <string_view>

#include "hil/lib/result.hpp"

namespace hil {

enum class StreamKind {
    unix_client,
    unix_listener,
    tcp,
    rfc2217,
    pty,
    serial,
    usb_serial,
    descriptor,
};

struct StreamName {
    StreamKind kind{};
    std::string where; ///< path, host (without brackets), or the USB adapter's serial number; never empty but for `fd`
    std::string port;  ///< of tcp and rfc2217: 1 to 65535, or a service's name
    int baud = 0;      ///< of serial, usb_serial and rfc2217: kSlowestBaud and more
    int descriptor = -1;
};

inline constexpr int kDefaultBaud = 115200;
inline constexpr int kSlowestBaud = 50; ///< that termios has a name for; 0 hangs a modem up

/// The kinds and their forms are told at make_stream_source(). An error quotes what was typed.
Result<StreamName> parse_stream_name(std::string_view text);

} // namespace hil

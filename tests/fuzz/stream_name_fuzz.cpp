// SPDX-License-Identifier: Apache-2.0
// Names of streams: what is taken means what was typed, to the character; what is refused is quoted.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "hil/lib/stream_name.hpp"

namespace {

using namespace hil;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::string word_of(StreamKind kind) {
    switch (kind) {
    case StreamKind::unix_client:
        return "unix";
    case StreamKind::unix_listener:
        return "unix-listen";
    case StreamKind::tcp:
        return "tcp";
    case StreamKind::rfc2217:
        return "rfc2217";
    case StreamKind::pty:
        return "pty";
    case StreamKind::serial:
        return "serial";
    case StreamKind::usb_serial:
        return "usb-serial";
    case StreamKind::descriptor:
        break;
    }
    return "fd";
}

// Takes `part` off the end of `text`, where it has to be.
void take_off(std::string_view& text, std::string_view part) {
    require(text.ends_with(part));
    text.remove_suffix(part.size());
}

// Takes a number off the end of `text`: its digits there, zeros before them allowed.
void take_number(std::string_view& text, int value) {
    take_off(text, std::to_string(value));
    while (text.ends_with('0')) {
        text.remove_suffix(1);
    }
}

bool is_number(std::string_view text) {
    return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What was typed has to be nothing but the parts that were understood.
void check(const StreamName& name, std::string_view typed) {
    require(typed.find('\0') == std::string_view::npos);
    const bool on_net = name.kind == StreamKind::tcp || name.kind == StreamKind::rfc2217;
    const bool rated =
        name.kind == StreamKind::rfc2217 || name.kind == StreamKind::serial || name.kind == StreamKind::usb_serial;
    require(name.where.empty() == (name.kind == StreamKind::descriptor));
    require((name.descriptor >= 0) == (name.kind == StreamKind::descriptor));
    require(name.port.empty() != on_net && (name.baud >= kSlowestBaud) == rated && (rated || name.baud == 0));
    std::string_view left = typed;
    if (rated && typed.find('@') != std::string_view::npos) {
        take_number(left, name.baud);
        take_off(left, "@");
    } else {
        require(!rated || name.baud == kDefaultBaud);
    }
    if (name.kind == StreamKind::descriptor) {
        take_number(left, name.descriptor);
    }
    if (on_net) {
        require(name.port.find_first_of(":+- ") != 0 && (!is_number(name.port) || std::stoul(name.port) - 1 < 65535));
        take_off(left, name.port);
        take_off(left, ":");
        if (left.ends_with(']') && left.ends_with("[" + name.where + "]")) {
            left.remove_suffix(1);
            take_off(left, name.where);
            take_off(left, "[");
            require(left == word_of(name.kind) + ":");
            return;
        }
    }
    take_off(left, name.where);
    require(left == word_of(name.kind) + ":");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view typed(reinterpret_cast<const char*>(data), size);
    const auto name = parse_stream_name(typed);
    if (name) {
        check(*name, typed);
    } else {
        const std::string& said = name.error().message;
        require(said.find(typed.substr(0, typed.find(':'))) != std::string::npos && said.size() < 2 * size + 160);
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/stream_name.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace hil {

namespace {

constexpr std::array kKinds = {
    std::pair{"unix", StreamKind::unix_client},
    std::pair{"unix-listen", StreamKind::unix_listener},
    std::pair{"tcp", StreamKind::tcp},
    std::pair{"rfc2217", StreamKind::rfc2217},
    std::pair{"pty", StreamKind::pty},
    std::pair{"serial", StreamKind::serial},
    std::pair{"usb-serial", StreamKind::usb_serial},
    std::pair{"fd", StreamKind::descriptor},
};

bool has_baud(StreamKind kind) {
    return kind == StreamKind::rfc2217 || kind == StreamKind::serial || kind == StreamKind::usb_serial;
}

Result<int> parse_number(std::string_view text, const char* what) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.front() == '-') { // "-0" is one, too
        return Error{std::string(what) + " '" + std::string(text) + "' is no number"};
    }
    return value;
}

// Takes "@BAUD" from the end of `text`. What is before it may hold an '@' as well.
Result<int> take_baud(std::string_view& text) {
    const std::size_t at = text.rfind('@');
    if (at == std::string_view::npos) {
        return kDefaultBaud;
    }
    auto baud = parse_number(text.substr(at + 1), "the baud rate");
    if (baud && *baud < kSlowestBaud) {
        return Error{"the baud rate '" + std::string(text.substr(at + 1)) + "' is less than " +
                     std::to_string(kSlowestBaud)};
    }
    text = text.substr(0, at);
    return baud;
}

// The resolver cuts numbers to sixteen bits, those with a sign or a space before them too: another port would be
// opened.
Status check_port(std::string_view port) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const bool number_only = std::all_of(port.begin(), port.end(), is_digit);
    if (!number_only && (is_digit(port.front()) || is_letter(port.front()))) {
        return Nothing{}; // a service's name
    }
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0) {
        return Error{"the port '" + std::string(port) + "' is not from 1 to 65535"};
    }
    return Nothing{};
}

// "HOST:PORT"; an IPv6 address stands in brackets.
Status take_host(std::string_view text, StreamName& name) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
        return Error{"'" + std::string(text) + "' is not of the form HOST:PORT"};
    }
    std::string_view host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    name.where = host;
    name.port = text.substr(colon + 1);
    return check_port(name.port);
}

Status take_where(std::string_view rest, StreamName& name) {
    if (name.kind == StreamKind::descriptor) {
        const auto number = parse_number(rest, "the descriptor");
        if (!number) {
            return number.error();
        }
        name.descriptor = *number;
        return Nothing{};
    }
    if (has_baud(name.kind)) {
        const auto baud = take_baud(rest);
        if (!baud) {
            return baud.error();
        }
        name.baud = *baud;
    }
    if (name.kind == StreamKind::tcp || name.kind == StreamKind::rfc2217) {
        return take_host(rest, name);
    }
    name.where = rest;
    return name.where.empty() ? Status(Error{"no device is named before the baud rate"}) : Status(Nothing{});
}

} // namespace

Result<StreamName> parse_stream_name(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view word = text.substr(0, colon);
    const std::string_view rest = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    const std::string quoted = "'" + std::string(text) + "'";
    if (rest.empty()) {
        return Error{quoted + " names no stream: KIND:WHERE is expected, for example tcp:board:2000"};
    }
    if (text.find('\0') != std::string_view::npos) { // the system's calls would see a shorter name
        return Error{quoted + " names no stream: it holds a NUL character"};
    }
    for (const auto& [known, kind] : kKinds) {
        if (word == known) {
            StreamName name;
            name.kind = kind;
            const Status taken = take_where(rest, name);
            return taken ? Result<StreamName>(std::move(name))
                         : Error{quoted + " names no stream: " + taken.error().message};
        }
    }
    return Error{"unknown kind of stream '" + std::string(word) +
                 "': unix, unix-listen, tcp, rfc2217, pty, serial, usb-serial and fd are known"};
}

} // namespace hil

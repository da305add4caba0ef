// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/stream_rfc2217.hpp"

#include <algorithm>

namespace hil {

namespace {

// RFC 854
constexpr std::uint8_t kSe = 240;
constexpr std::uint8_t kSb = 250;
constexpr std::uint8_t kWill = 251;
constexpr std::uint8_t kWont = 252;
constexpr std::uint8_t kDo = 253;
constexpr std::uint8_t kDont = 254;
constexpr std::uint8_t kIac = 255;
// Options: RFC 856, 857, 858, 2217
constexpr std::uint8_t kBinary = 0;
constexpr std::uint8_t kEcho = 1;
constexpr std::uint8_t kSuppressGoAhead = 3;
constexpr std::uint8_t kComPort = 44;
// RFC 2217, client to server
constexpr std::uint8_t kSetBaud = 1;
constexpr std::uint8_t kSetDataSize = 2;
constexpr std::uint8_t kSetParity = 3;
constexpr std::uint8_t kSetStopSize = 4;
constexpr std::uint8_t kSetControl = 5;

constexpr std::size_t kMaxSub = 256;
constexpr std::size_t kMaxOut = 4096;

void append(std::vector<char>& to, std::initializer_list<std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) {
        to.push_back(static_cast<char>(byte));
    }
}

} // namespace

Rfc2217Stream::Rfc2217Stream(std::unique_ptr<Stream> inner, int baud)
    : inner_(std::move(inner)), baud_(static_cast<std::uint32_t>(baud)) {
    append(out_, {kIac, kWill, kBinary, kIac, kDo, kBinary, kIac, kDo, kSuppressGoAhead, kIac, kWill, kComPort});
    Transfer ignored;
    (void)flush(ignored);
}

Transfer Rfc2217Stream::read(std::span<char> to) {
    Transfer got = inner_->read(to);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < got.count; ++i) {
        if (scan(static_cast<std::uint8_t>(to[i]))) {
            to[kept++] = to[i];
        }
    }
    got.count = kept;
    if (got.state == StreamState::open) {
        (void)flush(got);
    }
    return got;
}

Transfer Rfc2217Stream::write(std::span<const char> from) {
    Transfer outcome;
    if (!flush(outcome)) {
        return outcome;
    }
    for (const char c : from) {
        if (out_.size() + 2 > kMaxOut) {
            break;
        }
        out_.push_back(c);
        if (static_cast<std::uint8_t>(c) == kIac) {
            out_.push_back(c);
        }
        ++outcome.count;
    }
    Transfer sent;
    (void)flush(sent);
    outcome.state = sent.state;
    outcome.why = sent.why;
    return outcome;
}

// Writes what is pending; true when nothing is left.
bool Rfc2217Stream::flush(Transfer& outcome) {
    if (!out_.empty()) {
        const Transfer sent = inner_->write(out_);
        outcome.state = sent.state;
        outcome.why = sent.why;
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent.count));
    }
    return out_.empty();
}

bool Rfc2217Stream::scan(std::uint8_t byte) {
    switch (scan_) {
    case Scan::data:
        if (byte == kIac) {
            scan_ = Scan::command;
            return false;
        }
        return true;
    case Scan::command:
        if (byte == kIac) { // a doubled 0xff is data
            scan_ = Scan::data;
            return true;
        }
        verb_ = byte;
        scan_ = byte == kSb ? Scan::sub : byte >= kWill ? Scan::option : Scan::data;
        sub_.clear();
        return false;
    case Scan::option:
        answer(verb_, byte);
        scan_ = Scan::data;
        return false;
    case Scan::sub:
        if (byte == kIac) {
            scan_ = Scan::sub_command;
        } else if (sub_.size() < kMaxSub) {
            sub_.push_back(byte);
        }
        return false;
    case Scan::sub_command:
        if (byte == kIac) {
            if (sub_.size() < kMaxSub) {
                sub_.push_back(byte);
            }
            scan_ = Scan::sub;
        } else {
            scan_ = Scan::data; // SE, or a broken server
        }
        return false;
    }
    return false;
}

void Rfc2217Stream::answer(std::uint8_t verb, std::uint8_t option) {
    if (out_.size() + 64 > kMaxOut) {
        return; // a server that only negotiates
    }
    if (verb == kDo && option == kComPort) {
        ask_settings();
    } else if (verb == kDo && option != kBinary) { // asked for at the start, hence no answer: RFC 854 forbids loops
        append(out_, {kIac, kWont, option});
    } else if (verb == kWill && option != kBinary && option != kSuppressGoAhead && option != kEcho &&
               option != kComPort) {
        append(out_, {kIac, kDont, option});
    }
}

void Rfc2217Stream::ask_settings() {
    if (asked_) {
        return;
    }
    asked_ = true;
    append(out_, {kIac, kSb, kComPort, kSetBaud});
    for (int shift = 24; shift >= 0; shift -= 8) { // network byte order
        const auto byte = static_cast<std::uint8_t>(baud_ >> shift);
        append(out_, {byte});
        if (byte == kIac) {
            append(out_, {byte});
        }
    }
    append(out_, {kIac, kSe});
    for (const auto& [command, value] :
         {std::pair{kSetDataSize, std::uint8_t{8}}, std::pair{kSetParity, std::uint8_t{1}},
          std::pair{kSetStopSize, std::uint8_t{1}}, std::pair{kSetControl, std::uint8_t{1}}}) {
        append(out_, {kIac, kSb, kComPort, command, value, kIac, kSe});
    }
}

} // namespace hil

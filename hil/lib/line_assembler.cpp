// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/line_assembler.hpp"

#include <algorithm>

namespace hil {

void LineAssembler::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::size_t room = kMaxLine - line_.size();
        const std::size_t count = std::min({end, room, bytes.size()});
        line_.append(bytes.substr(0, count));
        bytes.remove_prefix(count);
        if (!bytes.empty() && bytes.front() == '\n') {
            bytes.remove_prefix(1);
            emit(true);
        } else if (line_.size() == kMaxLine) {
            emit(false);
        }
    }
}

void LineAssembler::flush() {
    if (!line_.empty()) {
        emit(false);
    }
}

void LineAssembler::emit(bool whole) {
    while (whole && !line_.empty() && line_.back() == '\r') {
        line_.pop_back();
    }
    sink_(line_, whole);
    line_.clear();
}

namespace {

// Length of the escape sequence at the beginning of `text`, which starts with ESC; what is cut off counts to its end.
std::size_t escape_length(std::string_view text) {
    if (text.size() < 2) {
        return text.size();
    }
    if (text[1] == '[') { // CSI: parameters and intermediates 0x20..0x3f, one final byte 0x40..0x7e
        std::size_t i = 2;
        while (i < text.size() && text[i] >= 0x20 && text[i] <= 0x3f) {
            ++i;
        }
        return std::min(i + (i < text.size() && text[i] >= 0x40 && text[i] <= 0x7e ? 1 : 0), text.size());
    }
    if (text[1] == ']') { // OSC: to BEL or ESC \ .
        const std::size_t end = text.find_first_of("\a\x1b", 2);
        if (end == std::string_view::npos) {
            return text.size();
        }
        return end + (text[end] == '\a' || end + 1 == text.size() ? 1 : 2);
    }
    return 2;
}

} // namespace

std::string without_escapes(std::string_view text) {
    std::string plain;
    plain.reserve(text.size());
    while (!text.empty()) {
        if (text.front() == '\x1b') {
            text.remove_prefix(escape_length(text));
            continue;
        }
        const auto c = static_cast<unsigned char>(text.front());
        if (c == '\t' || (c >= 0x20 && c != 0x7f)) {
            plain.push_back(text.front());
        }
        text.remove_prefix(1);
    }
    return plain;
}

} // namespace hil

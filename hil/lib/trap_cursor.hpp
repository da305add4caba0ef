// SPDX-License-Identifier: Apache-2.0
// TrapCursor: reads the elements of a trap's lines where white space, line ends and quote marks may stand anywhere.
#pragma once

#include "hil/lib/trap_hex.hpp"
#include "hil/lib/trap_text.hpp"

#include <cstdint>
#include <cstring>
#include <string_view>

namespace hil {

struct TrapFact;

class TrapCursor {
  public:
    TrapCursor(const char* at, const char* end) : at_(at), end_(end) {}

    [[nodiscard]] const char* at() const { return at_; }
    [[nodiscard]] bool done() const { return at_ >= end_; }
    [[nodiscard]] char peek() const { return *at_; }

    /// White space; after a line end also the marks of a quotation ("> > ", "| ").
    void skip_space() {
        bool fresh = false;
        while (at_ < end_ && (is_space(*at_) || (fresh && (*at_ == '>' || *at_ == '|')))) {
            fresh = fresh || *at_ == '\n';
            ++at_;
        }
    }

    /// The letters of `text`; a space in it, and any place between its letters, may be any white space in the input
    /// (what wrapping and text taken from a PDF do). On failure the cursor stays.
    bool literal(std::string_view text) { return verbatim(text.data(), text.size()) || spaced(text); }

    /// The same for a constant, whose length the compiler then knows.
    template <std::size_t size> bool literal(const char (&text)[size]) {
        return verbatim(text, size - 1) || spaced({text, size - 1});
    }

    /// Adjacent decimal digits.
    bool digits(std::uint64_t& value) {
        value = 0;
        const char* const start = at_;
        while (at_ < end_ && is_digit(*at_) && at_ - start < 10) {
            value = value * 10 + static_cast<std::uint64_t>(*at_ - '0');
            ++at_;
        }
        return at_ > start;
    }

    bool decimal(std::uint64_t& value) {
        skip_space();
        return digits(value);
    }

    /// One to `most` adjacent hexadecimal digits, and no further one.
    bool hex_digits(std::uint64_t& value, unsigned most) {
        skip_space();
        value = 0;
        unsigned count = 0;
        while (at_ < end_ && is_hex(*at_)) {
            if (++count > most) {
                return false;
            }
            value = value << 4 | hex_digit(*at_++);
        }
        return count > 0;
    }

    /// Exactly `count` hexadecimal digits and no further one. Spaces, a line end or quote marks may stand between them:
    /// the fixed width tells whether all are there.
    bool hex_fixed(unsigned count, std::uint64_t& value) {
        const char* const start = at_;
        skip_space();
        if (static_cast<std::size_t>(end_ - at_) > count) { // the usual case: all adjacent
            std::uint64_t adjacent = 0;
            const bool all = count == 16 ? read_hex_16(at_, adjacent) : read_hex(at_, count, adjacent);
            if (all && hex_values[static_cast<unsigned char>(at_[count])] > 15) {
                value = adjacent;
                at_ += count;
                return true;
            }
        }
        value = 0;
        unsigned blanks = 0;
        for (unsigned read = 0; read < count;) {
            if (at_ < end_ && is_hex(*at_)) {
                value = value << 4 | hex_digit(*at_++);
                ++read;
                continue;
            }
            const char* const before = at_;
            skip_space();
            // More than one blank in the middle of a number: it lost digits, and the next word begins.
            const bool line_end =
                std::string_view(before, static_cast<std::size_t>(at_ - before)).find('\n') != std::string_view::npos;
            if (at_ == before || read == 0 || ++blanks > count || (at_ - before > 1 && !line_end) || at_ >= end_ ||
                !is_hex(*at_)) {
                at_ = start;
                return false;
            }
        }
        if (at_ < end_ && is_hex(*at_)) {
            at_ = start;
            return false;
        }
        return true;
    }

    /// Hexadecimal digits, blanks between them, up to an opening parenthesis (which stays).
    bool hex_until_parenthesis(std::uint64_t& value) {
        value = 0;
        unsigned count = 0;
        while (at_ < end_) {
            if (is_hex(*at_)) {
                if (++count > 16) {
                    return false;
                }
                value = value << 4 | hex_digit(*at_++);
                continue;
            }
            const char* const before = at_;
            skip_space();
            if (at_ < end_ && *at_ == '(') {
                return count > 0;
            }
            if (at_ == before) {
                return false;
            }
        }
        return false;
    }

    /// The text up to the closing quote: one to 31 printable characters, one line end allowed. Empty otherwise.
    std::string_view quoted() const {
        std::size_t line_ends = 0;
        for (const char* p = at_; p < end_ && p - at_ <= 80; ++p) {
            if (*p == '"') {
                return {at_, static_cast<std::size_t>(p - at_)};
            }
            line_ends += *p == '\n' ? 1 : 0;
            if (line_ends > 1) {
                break;
            }
        }
        return {};
    }

    /// Nothing but blanks before the line's end.
    [[nodiscard]] bool at_line_end() const {
        for (const char* p = at_; p < end_ && *p != '\n'; ++p) {
            if (!is_space(*p)) {
                return false;
            }
        }
        return true;
    }

  private:
    /// The usual case of literal().
    bool verbatim(const char* text, std::size_t size) {
        if (static_cast<std::size_t>(end_ - at_) < size || std::memcmp(at_, text, size) != 0) {
            return false;
        }
        at_ += size;
        if (size > 0 && text[size - 1] == ' ') {
            skip_space();
        }
        return true;
    }

    bool spaced(std::string_view text) {
        const char* const start = at_;
        for (char c : text) {
            if (c == ' ') {
                skip_space();
                continue;
            }
            if (at_ < end_ && *at_ == c) {
                ++at_;
                continue;
            }
            skip_space();
            if (at_ >= end_ || *at_ != c) {
                at_ = start;
                return false;
            }
            ++at_;
        }
        return true;
    }

    const char* at_;
    const char* end_;
};

/// Reads what one hole of a form (TrapForm) stands for into `fact`.
bool match_trap_hole(TrapCursor& cursor, char type, bool before_parenthesis, TrapFact& fact);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_text.hpp"

#include "hil/lib/trap_prefilter.hpp"
#include "hil/lib/trap_vector.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace hil {
namespace {

constexpr char escape = '\x1b';

using Vector = TrapVector;
using SignedVector = signed char __attribute__((vector_size(16)));

/// Cheap and too eager: where it finds nothing, suspicious() finds nothing either.
Vector perhaps_suspicious(Vector a, Vector b) {
    const auto control = reinterpret_cast<SignedVector>(a) < 0x20; // beyond ASCII, too
    return reinterpret_cast<Vector>((control & (a != '\n') & (a != '\r')) | (a == 0x7f) | (a == '&') |
                                    ((a == '=') & (b != '0')) | ((a == b) & (a > 'B')));
}

/// Places in `a` (whose next bytes are `b`) that a clean log does not have: controls, bytes beyond ASCII, entities,
/// codes of quoted-printable, a doubled first letter of FATAL, Parking, Cell or Unhandled.
Vector suspicious(Vector a, Vector b) {
    const auto control = (a < 0x20) & (a != '\n') & (a != '\r') & (a != '\t');
    const auto code = (a == '=') & ((b == '\n') | (b == '\r') | (b == '3') | (b == '2') | (b == 'C') | (b == 'E'));
    const auto doubled = (a == b) & ((a == 'F') | (a == 'P') | (a == 'C') | (a == 'U'));
    return reinterpret_cast<Vector>(control | (a >= 0x7f) | (a == '&') | code | doubled);
}

bool is_suspicious(const char* p) {
    const Vector a = load_vector(p);
    const Vector b = load_vector(p + 1);
    return any_of(perhaps_suspicious(a, b)) && any_of(suspicious(a, b));
}

bool needs_cleaning(std::string_view raw) {
    std::size_t i = 0;
    for (; i + 17 <= raw.size(); i += 16) {
        if (is_suspicious(raw.data() + i)) {
            return true;
        }
    }
    std::array<char, 17> tail{};
    tail.fill(' ');
    std::copy(raw.begin() + static_cast<std::ptrdiff_t>(i), raw.end(), tail.begin());
    return is_suspicious(tail.data());
}

/// The length of the terminal's escape sequence at the start of `text` (ECMA-48: CSI, OSC, two-character).
std::size_t escape_length(std::string_view text) {
    if (text.size() < 2) {
        return text.size();
    }
    if (text[1] == '[') {
        std::size_t i = 2;
        while (i < text.size() && text[i] >= 0x20 && text[i] <= 0x3f) {
            ++i;
        }
        return i < text.size() && text[i] >= 0x40 && text[i] <= 0x7e ? i + 1 : i;
    }
    if (text[1] == ']') {
        const std::size_t stop = text.substr(0, 256).find_first_of("\a\n");
        return stop == std::string_view::npos ? 2 : stop + (text[stop] == '\a' ? 1 : 0);
    }
    return text[1] == '(' || text[1] == ')' ? std::min<std::size_t>(3, text.size()) : 2;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 18> replacements{{
    {"&quot;", "\""},
    {"&ldquo;", "\""},
    {"&rdquo;", "\""},
    {"&gt;", ">"},
    {"&lt;", "<"},
    {"&amp;", "&"},
    {"&nbsp;", " "},
    {"&#160;", " "},
    {"\xe2\x80\x9c", "\""},
    {"\xe2\x80\x9d", "\""},
    {"\xe2\x80\x9e", "\""},
    {"\xc2\xa0", " "},
    {"\xe2\x88\x92", "-"},
    {"\xe2\x80\x90", "-"},
    {"\xe2\x80\x91", "-"},
    {"\xe2\x80\x93", "-"},
    {"\xe2\x80\x8b", ""},
    {"\xef\xbb\xbf", ""},
}};

/// "&#40;" and "&#x28;" of a printable character. Returns the length of the entity or 0.
std::size_t numeric_entity(std::string_view text, std::string& out) {
    const bool hexadecimal = text.starts_with("&#x");
    const std::size_t begin = hexadecimal ? 3 : 2;
    const std::size_t stop = text.substr(0, 8).find(';');
    if (!text.starts_with("&#") || stop == std::string_view::npos) {
        return 0;
    }
    unsigned code = 0;
    const auto [end, error] = std::from_chars(text.data() + begin, text.data() + stop, code, hexadecimal ? 16 : 10);
    if (error != std::errc{} || end != text.data() + stop || code < 0x20 || code > 0x7e) {
        return 0;
    }
    out.push_back(static_cast<char>(code));
    return stop + 1;
}

/// Quoted-printable as mail archives leave it: "=3D", "=20", "=E2=80=9C". Returns the length of the code or 0.
std::size_t quoted_printable(std::string_view text, std::string& out) {
    if (text.starts_with("=3D")) {
        out.push_back('=');
        return 3;
    }
    if (text.starts_with("=20")) {
        out.push_back(' ');
        return 3;
    }
    if (text.starts_with("=22")) {
        out.push_back('"');
        return 3;
    }
    if (text.starts_with("=C2=A0")) {
        out.push_back(' ');
        return 6;
    }
    return 0;
}

/// Lines that end in "=": nothing of a console does, a wrapped mail does.
std::size_t soft_breaks(std::string_view raw) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = raw.find('=', at)) != std::string_view::npos; ++at) {
        count += raw.substr(at + 1).starts_with('\n') || raw.substr(at + 1).starts_with("\r\n") ? 1 : 0;
    }
    return count;
}

bool uses_quoted_printable(std::string_view raw) {
    // "=3D" alone may be a register row of a lost "0x"; the pair "=3D0x" cannot.
    return raw.find("=3D0x") != std::string_view::npos || raw.find("=3D\"") != std::string_view::npos ||
           raw.find("=20\n") != std::string_view::npos || raw.find("=20\r\n") != std::string_view::npos ||
           soft_breaks(raw) >= 2;
}

/// A line in which every character stands twice becomes one in which it stands once; others stay.
void undouble(std::string& line) {
    std::size_t bad = 0;
    std::string half;
    for (std::size_t i = 0; i < line.size();) {
        std::size_t run = i;
        while (run < line.size() && line[run] == line[i]) {
            ++run;
        }
        const std::size_t length = run - i;
        bad += length % 2;
        half.append((length + 1) / 2, line[i]);
        i = run;
    }
    const bool letters = std::any_of(line.begin(), line.end(), [](char c) { return is_alpha(c); });
    if (line.size() >= 8 && letters && bad <= line.size() / 20) {
        line = half;
    }
}

void clean_line(std::string_view raw, bool printable, std::string& out) {
    for (std::size_t i = 0; i < raw.size();) {
        const char c = raw[i];
        const auto rest = raw.substr(i);
        if (c == escape) {
            i += escape_length(rest);
        } else if (c == '\b') {
            if (!out.empty()) {
                out.pop_back();
            }
            ++i;
        } else if (const std::size_t entity = c == '&' ? numeric_entity(rest, out) : 0; entity > 0) {
            i += entity;
        } else if (c == '&' || static_cast<unsigned char>(c) >= 0x80) {
            const auto found = std::find_if(replacements.begin(), replacements.end(),
                                            [rest](auto& r) { return rest.starts_with(r.first); });
            out.append(found == replacements.end() ? rest.substr(0, 1) : found->second);
            i += found == replacements.end() ? 1 : found->first.size();
        } else if (const std::size_t code = printable && c == '=' ? quoted_printable(rest, out) : 0; code > 0) {
            i += code;
        } else {
            if (c == '\t' || (c >= 0x20 && c != 0x7f)) {
                out.push_back(c);
            }
            ++i;
        }
    }
}

} // namespace

TrapText::TrapText(std::string_view raw, std::uint64_t first_line) : view_(raw), first_line_(first_line) {
    if (!needs_cleaning(raw)) {
        return;
    }
    const bool printable = uses_quoted_printable(raw);
    std::string line;
    for (std::size_t start = 0; start < raw.size();) {
        const std::size_t stop = std::min(raw.find('\n', start), raw.size());
        line.clear();
        clean_line(raw.substr(start, stop - start), printable, line);
        undouble(line);
        line_starts_.push_back(cleaned_.size());
        if (printable && line.ends_with('=')) {
            line.pop_back(); // soft line break
        } else {
            line.push_back('\n');
        }
        cleaned_ += line;
        start = stop + 1;
    }
    view_ = cleaned_;
}

std::uint64_t TrapText::line_at(std::size_t offset) const {
    if (line_starts_.empty()) {
        const std::size_t stop = std::min(offset, view_.size());
        return first_line_ + count_newlines(view_.data(), view_.data() + stop);
    }
    const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
    return first_line_ + static_cast<std::uint64_t>(after - line_starts_.begin()) - 1;
}

} // namespace hil

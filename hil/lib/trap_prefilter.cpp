// SPDX-License-Identifier: Apache-2.0
// Is there one of a few rare pairs of letters? Only there the anchors themselves are compared.
#include "hil/lib/trap_prefilter.hpp"

#include "hil/lib/trap_text.hpp"
#include "hil/lib/trap_vector.hpp"

#include <array>
#include <cstring>

namespace hil {
namespace {

using Vector = TrapVector;

struct Anchor {
    std::string_view text;
    std::size_t pair; // where its rare pair of letters stands
};

// FFAATT and the like: a virtual console beside a UART doubles every character; "Ce" and "FA" stand there too.
constexpr std::array<Anchor, 19> anchors{{
    {"FATAL", 0},          {"FFAATT", 1},   {"F A T A L", 0}, {"nhandled ", 0},    {"Cell: ", 0},
    {"Cell:", 0},          {"CCeellll", 1}, {"Ce l l", 0},    {"Cell state b", 0}, {"exception class", 1},
    {"triggered exc", 11}, {"cpsr=", 2},    {"hsr=", 1},      {"spsr:", 2},        {"esr:", 1},
    {"elr:", 1},           {"RIP: ", 0},    {"EFER: 0x", 0},  {"HYP exc", 0},
}};

Vector pair(Vector a, Vector b, unsigned char first, unsigned char second) {
    return reinterpret_cast<Vector>((a == first) & (b == second));
}

Vector candidates(const char* p) {
    const Vector a = load_vector(p);
    const Vector b = load_vector(p + 1);
    return pair(a, b, 'F', 'A') | pair(a, b, 'n', 'h') | pair(a, b, 'C', 'e') | pair(a, b, 'x', 'c') |
           pair(a, b, 's', 'r') | pair(a, b, 'l', 'r') | pair(a, b, 'R', 'I') | pair(a, b, 'E', 'F') |
           pair(a, b, 'H', 'Y');
}

/// `at` is the first letter of a pair: does an anchor stand around it?
bool anchor_around(const char* begin, const char* end, const char* at) {
    for (const Anchor& anchor : anchors) {
        if (anchor.text[anchor.pair] != *at || static_cast<std::size_t>(at - begin) < anchor.pair) {
            continue;
        }
        const char* start = at - anchor.pair;
        if (static_cast<std::size_t>(end - start) >= anchor.text.size() &&
            std::memcmp(start, anchor.text.data(), anchor.text.size()) == 0) {
            return true;
        }
    }
    return false;
}

bool starts_pair(char c) {
    return c == 'F' || c == 'n' || c == 'C' || c == 'x' || c == 's' || c == 'l' || c == 'R' || c == 'E' || c == 'H';
}

} // namespace

const char* find_trap_anchor(const char* begin, const char* end) {
    const char* p = begin;
    for (; end - p > 16; p += 16) {
        const Vector hit = candidates(p);
        if (!any_of(hit)) {
            continue;
        }
        for (std::size_t i = 0; i < 16; ++i) {
            if (hit[i] != 0 && anchor_around(begin, end, p + i)) {
                return p + i;
            }
        }
    }
    for (; p < end; ++p) {
        if (starts_pair(*p) && anchor_around(begin, end, p)) {
            return p;
        }
    }
    return end;
}

std::uint64_t count_newlines(const char* begin, const char* end) {
    std::uint64_t total = 0;
    const char* p = begin;
    while (end - p >= 16) {
        Vector sum{};
        for (int round = 0; round < 255 && end - p >= 16; ++round, p += 16) {
            sum -= reinterpret_cast<Vector>(load_vector(p) == static_cast<unsigned char>('\n'));
        }
        for (std::size_t i = 0; i < 16; ++i) {
            total += sum[i];
        }
    }
    for (; p < end; ++p) {
        total += *p == '\n' ? 1 : 0;
    }
    return total;
}

bool looks_like_trap(std::string_view line) {
    // A run of eight has a member at every eighth place: look there, and only then around.
    for (std::size_t at = 7; at < line.size(); at += 8) {
        if (hex_values[static_cast<unsigned char>(line[at])] > 15) {
            continue;
        }
        std::size_t first = at;
        while (first > 0 && hex_values[static_cast<unsigned char>(line[first - 1])] < 16) {
            --first;
        }
        std::size_t last = at;
        while (last + 1 < line.size() && last - first < 8 &&
               hex_values[static_cast<unsigned char>(line[last + 1])] < 16) {
            ++last;
        }
        if (last - first + 1 >= 8) {
            return true;
        }
    }
    return find_trap_anchor(line.data(), line.data() + line.size()) != line.data() + line.size();
}

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// Generated reports go through noise, and the decoder is asked for them back. Two numbers for each kind of noise:
// recall (of the members of an event, how many came back) and the members that came back wrong. HIL_TRAP_RECALL=FILE
// writes the table.
#include "hil/lib/trap_decoder.hpp"
#include "tests/unit/trap_generator.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>

namespace hil {
namespace {

using generator::Random;
using generator::Report;

struct Noise {
    const char* name;
    std::function<std::string(const Report&, Random&)> apply;
    double recall; // of the members, at least
    double wrong;  // of the members, at most
};

using Lines = std::vector<std::string>;

std::string join(const Lines& lines) {
    std::string out;
    for (const std::string& line : lines) {
        out += line;
    }
    return out;
}

std::string each_line(const Report& report, const std::function<std::string(const std::string&)>& change) {
    Lines lines = generator::lines_of(report.text);
    for (std::string& line : lines) {
        line = change(line);
    }
    return join(lines);
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
    return text;
}

Report with_text(Report report, std::string text) {
    report.text = std::move(text);
    return report;
}

std::string wrap(const Report& report, std::size_t width) {
    std::string out;
    for (std::string line : generator::lines_of(report.text)) {
        while (line.size() > width + 1) {
            const std::size_t space = line.rfind(' ', width);
            const std::size_t cut = space == std::string::npos || space < 20 ? width : space;
            out += line.substr(0, cut) + "\n";
            line.erase(0, cut + (line[cut] == ' ' ? 1 : 0));
        }
        out += line;
    }
    return out;
}

std::string insert_pieces(const Report& report, Random& random, unsigned count) {
    std::string text = report.text;
    for (unsigned i = 0; i < count; ++i) {
        text.insert(generator::pick(random, text.size()), generator::piece(random));
    }
    return text;
}

/// Two writers take turns, a few characters each, for the length of a kernel line.
std::string alternate(const Report& report, Random& random, unsigned most) {
    std::string text = report.text;
    const std::string other = generator::kernel_line(random);
    std::size_t at = generator::pick(random, text.size());
    for (std::size_t i = 0; i < other.size() && at < text.size();) {
        const std::size_t take = 1 + generator::pick(random, most);
        const std::string part = other.substr(i, take);
        text.insert(at, part);
        i += part.size();
        at += part.size() + 1 + generator::pick(random, most);
    }
    return text;
}

std::string lose_bytes(const Report& report, Random& random, unsigned count) {
    std::string text = report.text;
    for (unsigned i = 0; i < count; ++i) {
        text.erase(generator::pick(random, text.size()), 1 + generator::pick(random, 3));
    }
    return text;
}

std::string with_first_lines(const Report& report, bool keep) {
    Lines lines = generator::lines_of(report.text);
    const auto cut = lines.begin() + static_cast<std::ptrdiff_t>(report.first_lines);
    return keep ? join({lines.begin(), cut}) : join({cut, lines.end()});
}

const std::vector<Noise>& noises() {
    using generator::format;
    static const std::vector<Noise> list{
        {"none", [](auto& r, auto&) { return r.text; }, 1.0, 0},
        {"CR LF", [](auto& r, auto&) { return replace_all(r.text, "\n", "\r\n"); }, 1.0, 0},
        {"CR CR LF", [](auto& r, auto&) { return replace_all(r.text, "\n", "\r\r\n"); }, 1.0, 0},
        {"kernel timestamps",
         [](auto& r, auto& g) {
             return each_line(r, [&](auto& l) {
                 return format("[%5llu.%06llu] ", generator::pick(g, 4000) + 0ULL, generator::pick(g, 1000000) + 0ULL) +
                        l;
             });
         },
         1.0, 0},
        {"ts and minicom timestamps",
         [](auto& r, auto& g) {
             return each_line(
                 r, [&](auto& l) { return format("[2031-02-03 04:05:%02llu] ", generator::pick(g, 60) + 0ULL) + l; });
         },
         1.0, 0},
        {"screen colours (ANSI)",
         [](auto& r, auto&) {
             return each_line(r, [](auto& l) {
                 return "\x1b[31m" + l.substr(0, l.size() / 2) + "\x1b[0;1m" + l.substr(l.size() / 2);
             });
         },
         1.0, 0},
        {"indentation", [](auto& r, auto&) { return each_line(r, [](auto& l) { return "      " + l; }); }, 1.0, 0},
        {"quotes", [](auto& r, auto&) { return each_line(r, [](auto& l) { return "> > " + l; }); }, 1.0, 0},
        {"quotes, wrapped at 60",
         [](auto& r, auto&) {
             Report w = r;
             w.text = wrap(r, 60);
             return each_line(w, [](auto& l) { return "> " + l; });
         },
         0.97, 0},
        {"wrapped at 72", [](auto& r, auto&) { return wrap(r, 72); }, 0.98, 0},
        {"wrapped at 40", [](auto& r, auto&) { return wrap(r, 40); }, 0.97, 0},
        {"blank lines between", [](auto& r, auto&) { return replace_all(r.text, "\n", "\n\n"); }, 1.0, 0},
        {"HTML entities",
         [](auto& r, auto&) { return replace_all(replace_all(r.text, "\"", "&quot;"), " ", "&nbsp;"); }, 1.0, 0},
        {"typographic quotes", [](auto& r, auto&) { return replace_all(r.text, "\"", "\xe2\x80\x9c"); }, 1.0, 0},
        {"quoted-printable",
         [](auto& r, auto&) {
             return each_line(with_text(r, replace_all(r.text, "=", "=3D")),
                              [](auto& l) { return l.size() < 40 ? l : l.substr(0, 37) + "=\n" + l.substr(37); });
         },
         0.98, 0},
        {"doubled characters",
         [](auto& r, auto&) {
             std::string o;
             for (char c : r.text) {
                 o.append(2, c);
             }
             return o;
         },
         1.0, 0},
        {"doubled lines", [](auto& r, auto&) { return each_line(r, [](auto& l) { return l + l; }); }, 1.0, 0},
        {"letters spaced (PDF)",
         [](auto& r, auto& g) {
             std::string o;
             bool name = false;
             for (char c : r.text) {
                 o += c;
                 name = name != (c == '"');
                 if (!name && c >= 'g' && c <= 'z' && generator::pick(g, 3) == 0) {
                     o += ' ';
                 }
             }
             return o;
         },
         0.98, 0},
        {"prose inside the dump",
         [](auto& r, auto& g) {
             Lines l = generator::lines_of(r.text);
             l.insert(l.begin() +
                          static_cast<std::ptrdiff_t>(r.first_lines + generator::pick(g, l.size() - r.first_lines)),
                      "here the board hangs, any idea what to do about it?\n");
             return join(l);
         },
         1.0, 0},
        {"registers elided",
         [](auto& r, auto&) {
             Lines l = generator::lines_of(r.text);
             const auto from = l.begin() + static_cast<std::ptrdiff_t>(r.first_lines + 2);
             l.erase(from, l.end() - 2);
             l.insert(l.end() - 2, "[...]\n");
             return join(l);
         },
         1.0, 0},
        {"first lines missing", [](auto& r, auto&) { return with_first_lines(r, false); }, 0.7, 0.012},
        {"dump and end missing", [](auto& r, auto&) { return with_first_lines(r, true); }, 0.42, 0},
        {"Parking line missing",
         [](auto& r, auto&) {
             Lines l = generator::lines_of(r.text);
             l.pop_back();
             return join(l);
         },
         0.69, 0},
        {"Parking line before the dump",
         [](auto& r, auto&) {
             Lines l = generator::lines_of(r.text);
             std::string e = l.back();
             l.pop_back();
             const std::size_t p = e.find("topping") != std::string::npos ? e.find("Stop") : 0;
             l.insert(l.begin() + static_cast<std::ptrdiff_t>(r.first_lines), e.substr(p));
             return join(l);
         },
         0.97, 0},
        {"a kernel line between",
         [](auto& r, auto& g) {
             Lines l = generator::lines_of(r.text);
             for (int i = 0; i < 4; ++i) {
                 l.insert(l.begin() + static_cast<std::ptrdiff_t>(generator::pick(g, l.size())),
                          generator::kernel_line(g));
             }
             return join(l);
         },
         1.0, 0},
        {"one piece spliced in", [](auto& r, auto& g) { return insert_pieces(r, g, 1); }, 0.985, 0.002},
        {"three pieces spliced in", [](auto& r, auto& g) { return insert_pieces(r, g, 3); }, 0.96, 0.006},
        {"two writers, runs of letters", [](auto& r, auto& g) { return alternate(r, g, 6); }, 0.93, 0.008},
        {"two writers, letter by letter", [](auto& r, auto& g) { return alternate(r, g, 2); }, 0.93, 0.008},
        {"three writers",
         [](auto& r, auto& g) {
             Report s = r;
             s.text = alternate(r, g, 3);
             return alternate(s, g, 3);
         },
         0.86, 0.012},
        {"bytes lost", [](auto& r, auto& g) { return lose_bytes(r, g, 3); }, 0.92, 0.012},
    };
    return list;
}

struct Score {
    double members = 0;
    double right = 0;
    double wrong = 0;
    double extra = 0;
};

const char* member_name = ""; // of the member that came back wrong last

template <typename T, typename U>
void count(Score& score, const char* name, const T& want, const U& got, bool got_any) {
    score.members += 1;
    member_name = got_any && !(got == want) ? name : member_name;
    score.right += got == want ? 1 : 0;
    score.wrong += got_any && !(got == want) ? 1 : 0;
}

void compare(Score& score, const Report& want, const TrapEvent& got, std::string* why) {
    member_name = "";
    const double before = score.wrong;
    count(score, "arch", want.arch, got.arch, got.arch != TrapArch::unknown);
    count(score, "kind", want.kind, got.kind, got.kind != TrapKind::unknown);
    count(score, "access", want.access, got.access, got.access != TrapAccess::unknown);
    count(score, "address", want.address, got.address, got.address.has_value());
    count(score, "size", want.size, got.size, got.size.has_value());
    count(score, "exception_class", want.exception_class, got.exception_class, got.exception_class.has_value());
    count(score, "cpu", std::optional(want.cpu), got.cpu, got.cpu.has_value());
    count(score, "cell", std::optional(want.cell), got.cell, got.cell.has_value());
    count(score, "outcome", want.outcome, got.outcome, got.outcome != TrapOutcome::unknown);
    count(score, "pc", std::optional(want.pc), got.pc, got.pc.has_value());
    if (why != nullptr && score.wrong > before) {
        *why += std::string("wrong ") + member_name + ":\n" + got.text + "\n----\n";
    }
}

/// The event that agrees best is the report's; further events count as extra.
void score_events(Score& score, const Report& want, const std::vector<TrapEvent>& events, std::string* why) {
    Score best;
    best.members = 10;
    best.right = -1;
    std::string best_why;
    for (const TrapEvent& event : events) {
        Score one;
        std::string reason;
        compare(one, want, event, &reason);
        if (one.right > best.right) {
            best = one;
            best_why = reason;
        }
    }
    score.members += best.members;
    score.right += std::max(0.0, best.right);
    score.wrong += best.wrong;
    score.extra += events.empty() ? 0 : static_cast<double>(events.size() - 1);
    if (why != nullptr) {
        *why += best_why;
    }
}

TEST(TrapProperty, ReportsComeBackThroughNoise) {
    const char* const table_path = std::getenv("HIL_TRAP_RECALL");
    const char* const rounds_text = std::getenv("HIL_TRAP_ROUNDS");
    const int rounds = rounds_text == nullptr ? 60 : std::atoi(rounds_text);
    std::ofstream table;
    if (table_path != nullptr) {
        table.open(table_path);
        table << "| noise | recall | wrong | extra events |\n|---|---|---|---|\n";
    }
    for (const Noise& noise : noises()) {
        Random random(20240229);
        Score score;
        std::string why;
        for (int i = 0; i < rounds; ++i) {
            const Report report = generator::any_report(random);
            std::string text =
                generator::kernel_line(random) + noise.apply(report, random) + generator::kernel_line(random);
            score_events(score, report, decode_traps(text), &why);
        }
        const double recall = score.right / score.members;
        const double wrong = score.wrong / score.members;
        if (table_path != nullptr) {
            table << "| " << noise.name << " | " << generator::format("%.1f", 100 * recall) << " % | "
                  << generator::format("%.2f", 100 * wrong) << " % | " << score.extra << " of " << rounds << " |\n";
        }
        EXPECT_GE(recall, noise.recall) << noise.name;
        EXPECT_LE(wrong, noise.wrong) << noise.name << "\n" << why.substr(0, 4000);
    }
}

TEST(TrapProperty, AnyChunksGiveTheSameEvents) {
    Random random(7);
    std::string text;
    for (int i = 0; i < 40; ++i) {
        text +=
            generator::kernel_line(random) + insert_pieces(generator::any_report(random), random, i % 3 == 0 ? 1 : 0);
    }
    const auto whole = decode_traps(text);
    for (const std::size_t chunk :
         {std::size_t{1}, std::size_t{3}, std::size_t{17}, std::size_t{1000}, std::size_t{65536}}) {
        TrapDecoder decoder;
        for (std::size_t at = 0; at < text.size(); at += chunk) {
            decoder.feed(std::string_view(text).substr(at, chunk));
        }
        decoder.finish();
        const auto events = decoder.take();
        ASSERT_EQ(events.size(), whole.size()) << "chunks of " << chunk;
        for (std::size_t i = 0; i < events.size(); ++i) {
            EXPECT_EQ(events[i].first_line, whole[i].first_line);
            EXPECT_EQ(events[i].last_line, whole[i].last_line);
            EXPECT_EQ(events[i].address, whole[i].address);
            EXPECT_EQ(events[i].cell, whole[i].cell);
            EXPECT_EQ(events[i].text, whole[i].text);
        }
    }
}

TEST(TrapProperty, KernelLogsHoldNoTrap) {
    Random random(3);
    std::string text;
    for (int i = 0; i < 20000; ++i) {
        text += generator::kernel_line(random);
    }
    EXPECT_TRUE(decode_traps(text).empty());
}

} // namespace
} // namespace hil

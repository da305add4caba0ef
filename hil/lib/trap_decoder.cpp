// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_decoder.hpp"

#include "hil/lib/trap_prefilter.hpp"
#include "hil/lib/trap_region.hpp"
#include "hil/lib/trap_text.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace hil {
namespace {

constexpr std::size_t line_limit = 4096;        // a longer line counts as several
constexpr std::size_t look_back = 1024;         // bytes before the first anchor that may hold a damaged first line
constexpr std::size_t region_limit = 64 * 1024; // of one region
constexpr std::size_t quiet_limit = 24;         // lines without anything of a trap that end a region
constexpr std::size_t attempt_limit = 6;        // early decodings of one region
constexpr std::size_t event_limit = 65536;      // events not yet taken

const char* find_newline(const char* begin, const char* end) {
    const void* found = std::memchr(begin, '\n', static_cast<std::size_t>(end - begin));
    return found == nullptr ? end : static_cast<const char*>(found);
}

bool is_blank(std::string_view line) {
    return std::all_of(line.begin(), line.end(), [](char c) { return is_space(c) || c == '>' || c == '|'; });
}

bool ends_report(std::string_view line) {
    return line.find("ing CPU") != std::string_view::npos;
}

} // namespace

void TrapDecoder::feed(std::string_view bytes) {
    const char* cursor = bytes.data();
    const char* const end = bytes.data() + bytes.size();
    while (cursor < end) {
        if (!partial_.empty()) {
            const std::size_t room = line_limit - partial_.size();
            const char* const stop = find_newline(
                cursor, std::min(end, cursor + std::min<std::size_t>(room, static_cast<std::size_t>(end - cursor))));
            const bool newline = stop < end && *stop == '\n';
            const char* const next = newline ? stop + 1 : stop;
            partial_.append(cursor, next);
            cursor = next;
            if (!newline && partial_.size() < line_limit) {
                return;
            }
            const std::string line = std::exchange(partial_, {});
            if (collecting_) {
                collect(line);
            } else {
                const char* rest = idle(line.data(), line.data() + line.size());
                if (rest < line.data() + line.size()) {
                    collect({rest, static_cast<std::size_t>(line.data() + line.size() - rest)});
                }
            }
            continue;
        }
        if (!collecting_) {
            const void* last = memrchr(cursor, '\n', static_cast<std::size_t>(end - cursor));
            if (last != nullptr) {
                cursor = idle(cursor, static_cast<const char*>(last) + 1);
                if (!collecting_) {
                    continue;
                }
            }
        }
        const char* const stop = find_newline(
            cursor, std::min(end, cursor + std::min<std::size_t>(line_limit, static_cast<std::size_t>(end - cursor))));
        const bool newline = stop < end && *stop == '\n';
        if (newline || static_cast<std::size_t>(stop - cursor) >= line_limit) {
            const char* const next = newline ? stop + 1 : stop;
            const std::string_view line(cursor, static_cast<std::size_t>(next - cursor));
            if (collecting_) {
                collect(line);
            } else {
                idle(cursor, next);
                if (collecting_) {
                    collect(line);
                }
            }
            cursor = next;
        } else {
            partial_.assign(cursor, end);
            return;
        }
    }
}

/// Passes over whole lines without an anchor. Returns the start of the line with one (and starts a region), or `end`.
const char* TrapDecoder::idle(const char* cursor, const char* end) {
    const char* const anchor = find_trap_anchor(cursor, end);
    const char* line_start = anchor;
    if (anchor < end) {
        const void* newline =
            anchor == cursor ? nullptr : memrchr(cursor, '\n', static_cast<std::size_t>(anchor - cursor));
        line_start = newline == nullptr ? cursor : static_cast<const char*>(newline) + 1;
    }
    line_ += count_newlines(cursor, line_start);
    remember({cursor, static_cast<std::size_t>(line_start - cursor)});
    if (anchor < end) {
        collecting_ = true;
        region_.swap(history_); // empty then, and both keep what memory they have
        region_line_ = line_ - count_newlines(region_.data(), region_.data() + region_.size());
        quiet_lines_ = 0;
        attempts_ = 0;
    }
    return line_start;
}

/// Keeps the last whole lines, at most look_back bytes of them.
void TrapDecoder::remember(std::string_view bytes) {
    if (bytes.size() >= look_back) {
        history_.assign(bytes.substr(bytes.size() - look_back));
    } else {
        history_.append(bytes);
        if (history_.size() <= look_back) {
            return;
        }
        history_.erase(0, history_.size() - look_back);
    }
    history_.erase(0, std::min(history_.find('\n'), history_.size() - 1) + 1);
}

void TrapDecoder::collect(std::string_view line) {
    region_.append(line);
    line_ += line.ends_with('\n') ? 1 : 0;
    quiet_lines_ += is_blank(line) ? 0 : 1;
    if (ends_report(line) && attempts_ < attempt_limit) {
        ++attempts_;
        decode(true);
        return;
    }
    if (quiet_lines_ >= quiet_limit) { // only now it is worth while to look at them
        quiet_lines_ = quiet_at_end();
    }
    if (quiet_lines_ >= quiet_limit || region_.size() >= region_limit) {
        decode(false);
    }
}

/// The number of lines (blank ones apart) after the last one that looks like a trap.
std::size_t TrapDecoder::quiet_at_end() const {
    std::size_t quiet = 0;
    std::string_view rest = region_;
    while (!rest.empty() && quiet < quiet_limit) {
        const std::size_t before = rest.find_last_of('\n', rest.size() - 2);
        const std::size_t start = before == std::string_view::npos || rest.size() == 1 ? 0 : before + 1;
        const std::string_view line = rest.substr(start);
        if (!is_blank(line)) {
            if (looks_like_trap(line)) {
                break;
            }
            ++quiet;
        }
        rest.remove_suffix(line.size());
    }
    return quiet;
}

void TrapDecoder::decode(bool cut_early) {
    found_.clear();
    const bool whole = decode_trap_region(region_, region_line_, !cut_early, found_);
    if (cut_early && !whole) {
        return;
    }
    collecting_ = false;
    region_.clear();
    history_.clear();
    for (TrapEvent& event : found_) {
        emit(std::move(event));
    }
}

void TrapDecoder::emit(TrapEvent&& event) {
    if (repeats_last_end(event)) {
        return;
    }
    if (event.outcome != TrapOutcome::unknown) {
        last_end_ = {event.cpu, event.cell, event.last_line};
    }
    if (event.arch != TrapArch::unknown) {
        last_arch_ = event.arch;
    } else if (event.kind == TrapKind::unknown && last_arch_ != TrapArch::unknown) {
        event.arch = last_arch_;
        event.infer(TrapField::arch);
    }
    if (events_.size() >= event_limit) {
        events_.erase(events_.begin(), events_.begin() + event_limit / 2);
        dropped_ += event_limit / 2;
    }
    events_.push_back(std::move(event));
}

/// The Parking line of the event before, a second time: two terminals wrote the same log, or lines are doubled.
bool TrapDecoder::repeats_last_end(const TrapEvent& event) const {
    return event.kind == TrapKind::unknown && event.registers.empty() && event.outcome != TrapOutcome::unknown &&
           last_end_.line != 0 && event.first_line <= last_end_.line + 2 && event.cpu == last_end_.cpu &&
           event.cell == last_end_.cell;
}

void TrapDecoder::flush() {
    if (!partial_.empty() && (collecting_ || looks_like_trap(partial_))) {
        const std::string line = std::exchange(partial_, {});
        if (!collecting_) {
            idle(line.data(), line.data() + line.size());
        }
        if (collecting_) {
            collect(line);
        } else {
            partial_ = line;
        }
    }
    if (collecting_) {
        decode(false);
    }
}

void TrapDecoder::finish() {
    if (!partial_.empty()) {
        feed("\n");
    }
    flush();
}

std::vector<TrapEvent> TrapDecoder::take() {
    return std::exchange(events_, {});
}

void TrapDecoder::take(std::vector<TrapEvent>& into) {
    into.clear();
    into.swap(events_);
}

std::vector<TrapEvent> decode_traps(std::string_view text) {
    TrapDecoder decoder;
    decoder.feed(text);
    decoder.finish();
    std::vector<TrapEvent> events = decoder.take();
    TrapArch shared = TrapArch::unknown;
    for (const TrapEvent& event : events) {
        if (event.arch == TrapArch::unknown || event.arch == shared) {
            continue;
        }
        if (shared != TrapArch::unknown) {
            return events; // two architectures: none can be concluded
        }
        shared = event.arch;
    }
    for (TrapEvent& event : events) {
        if (event.arch == TrapArch::unknown && shared != TrapArch::unknown) {
            event.arch = shared;
            event.infer(TrapField::arch);
        }
    }
    return events;
}

} // namespace hil

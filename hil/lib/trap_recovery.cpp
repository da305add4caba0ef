// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_recovery.hpp"

#include "hil/lib/trap_align.hpp"
#include "hil/lib/trap_cursor.hpp"
#include "hil/lib/trap_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace hil {
namespace {

using K = TrapKind;
using R = TrapRegister;

constexpr std::size_t head_zone = 512; // bytes before a dump in which its first line may stand
constexpr std::size_t park_zone = 700; // bytes after a dump in which its Parking line may stand

struct Zone {
    std::size_t begin;
    std::size_t end;
};

std::string_view in(std::string_view text, Zone zone) {
    return zone.end > zone.begin ? text.substr(zone.begin, zone.end - zone.begin) : std::string_view{};
}

bool is_empty(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return is_space(c) || c == '>' || c == '|'; });
}

std::uint64_t number(const std::string& digits, unsigned base) {
    std::uint64_t value = 0;
    for (char c : digits) {
        value = value * base + hex_digit(c);
    }
    return value;
}

/// The forms that can stand before a dump with this class on this architecture.
bool fits(const TrapForm& form, const TrapEvent& event) {
    if (form.detail || form.pattern.size() < 20) {
        return false;
    }
    const bool x86 = event.arch == TrapArch::x86;
    if (form.arch != TrapArch::unknown && event.arch != TrapArch::unknown && form.arch != event.arch) {
        return false;
    }
    const bool arm_form = form.kind == K::data || form.kind == K::instruction || form.kind == K::smc;
    if (x86) {
        return !arm_form;
    }
    const std::uint32_t ec = event.exception_class.value_or(0xff);
    switch (form.kind) {
    case K::data:
    case K::mmio:
    case K::pci_config:
        return (ec == 0x24 || ec == 0xff) && form.arch != TrapArch::x86;
    case K::instruction:
        return ec == 0x20 || ec == 0xff;
    case K::smc:
        return ec == 0x17 || ec == 0x13;
    case K::hyp:
        return !event.has_class_line && form.arch != TrapArch::x86;
    default:
        return event.arch == TrapArch::unknown && ec == 0xff;
    }
}

/// A form in the aligner's notation: %a written out, every hole either %x or %d.
std::string notation(std::string_view pattern, bool write) {
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%') {
            out.push_back(pattern[i]);
            continue;
        }
        switch (pattern[++i]) {
        case 'a':
            out += write ? "write" : "read";
            break;
        case 'b':
            out += "%2:%2.%1";
            break;
        case 'd':
        case 'o':
        case 'w':
        case 'c':
            out += "%d";
            break;
        default:
            out += "%x";
        }
    }
    return out;
}

struct HeadMatch {
    const TrapForm* form = nullptr;
    bool write = false;
    Alignment alignment;
    [[nodiscard]] double ratio() const { return alignment.cost / alignment.letters; }
};

void take_head(TrapEvent& event, const HeadMatch& best, bool sure_access) {
    event.kind = best.form->kind;
    event.has_first_line = true;
    event.recovered = true;
    if (event.arch == TrapArch::unknown) {
        event.arch = best.form->arch;
    }
    std::size_t hole = 0;
    for (std::size_t i = 0; i + 1 < best.form->pattern.size(); ++i) {
        if (best.form->pattern[i] != '%') {
            continue;
        }
        const char type = best.form->pattern[++i];
        if (type == 'a') {
            if (sure_access) {
                event.access = best.write ? TrapAccess::write : TrapAccess::read;
                event.infer(TrapField::access);
            } else {
                event.notes.emplace_back("whether it was a read or a write cannot be read from the damaged first line");
            }
            continue;
        }
        if (type == 'b') {
            hole += 3;
            continue;
        }
        const AlignedHole& found = best.alignment.holes[hole++];
        if (found.doubtful) {
            event.notes.emplace_back("the damaged first line has foreign digits in or beside a number: it is left out");
            continue;
        }
        switch (type) {
        case 'x':
            event.address = event.address ? event.address : number(found.value, 16);
            event.infer(TrapField::address);
            break;
        case 'o':
            event.address = number(found.value, 10);
            event.infer(TrapField::address);
            break;
        case 'd':
            if (const std::uint64_t size = number(found.value, 10); size <= 4096) {
                event.size = static_cast<std::uint32_t>(size);
                event.infer(TrapField::size);
            }
            break;
        case 'w':
            event.access = number(found.value, 10) == 1 ? TrapAccess::write : TrapAccess::read;
            break;
        case 'c':
            event.code = static_cast<std::uint32_t>(number(found.value, 10));
            break;
        case 'X':
            event.code = static_cast<std::uint32_t>(number(found.value, 16));
            break;
        default:
            break;
        }
    }
    event.infer(TrapField::kind);
}

void recover_head(std::string_view text, TrapDraft& draft, Zone zone) {
    const std::string_view part = in(text, zone);
    if (is_empty(part) || part.size() < 12) {
        return;
    }
    HeadMatch best;
    HeadMatch other_access; // the same form with the other of read and write
    HeadMatch second;
    for (const TrapForm& form : trap_forms()) {
        if (!fits(form, draft.event)) {
            continue;
        }
        const bool has_access = form.pattern.find("%a") != std::string_view::npos;
        for (const bool write : {false, true}) {
            if (write && !has_access) {
                continue;
            }
            auto alignment = align_form(notation(form.pattern, write), part, 0.75);
            if (!alignment) {
                continue;
            }
            HeadMatch match{&form, write, std::move(*alignment)};
            HeadMatch* slot = &second;
            if (best.form == nullptr || match.ratio() < best.ratio()) {
                (best.form == &form ? other_access : second) = best;
                slot = &best;
            } else if (best.form == &form) {
                slot = &other_access;
            }
            if (slot->form == nullptr || slot == &best || match.ratio() < slot->ratio()) {
                *slot = std::move(match);
            }
        }
    }
    if (best.form == nullptr ||
        (second.form != nullptr && second.form->kind != best.form->kind && second.ratio() < best.ratio() + 0.05)) {
        return;
    }
    const bool sure = other_access.form != best.form || other_access.alignment.cost - best.alignment.cost >= 1.0;
    const std::string unread = draft.head_unknown && !draft.event.messages.empty() ? draft.event.messages.front() : "";
    take_head(draft.event, best, sure);
    draft.head_unknown = false;
    draft.begin = std::min<std::uint32_t>(draft.begin, static_cast<std::uint32_t>(zone.begin + best.alignment.begin));
    draft.head_end = static_cast<std::uint32_t>(zone.begin + best.alignment.end);
    std::string line = "(recovered) " + notation(best.form->pattern, best.write);
    for (const AlignedHole& hole : best.alignment.holes) {
        const std::size_t at = line.find('%');
        line.replace(at, 2, hole.doubtful ? "?" : hole.value);
    }
    auto& messages = draft.event.messages;
    std::erase(messages, unread);
    messages.insert(messages.begin(), line);
}

void recover_class(std::string_view text, TrapDraft& draft, Zone zone) {
    const std::string_view part = in(text, zone);
    if (is_empty(part)) {
        return;
    }
    const auto unhandled = align_form("FATAL: unhandled trap (exception class 0x%2)", part, 0.6);
    const auto forbidden = align_form("FATAL: forbidden access (exception class 0x%2)", part, 0.6);
    const bool first = unhandled && (!forbidden || unhandled->cost < forbidden->cost);
    const auto& best = first ? unhandled : forbidden;
    if (!best || best->holes[0].doubtful) {
        return;
    }
    draft.event.has_class_line = true;
    draft.event.forbidden = !first;
    draft.event.recovered = true;
    draft.event.exception_class = static_cast<std::uint32_t>(number(best->holes[0].value, 16));
    draft.event.infer(TrapField::exception_class);
    draft.end = std::max(draft.end, static_cast<std::uint32_t>(zone.begin + best->end));
}

/// Labels of the rows, as the aligner wants them.
std::string row_form(R reg) {
    switch (reg) {
    case R::a64_pc:
    case R::a64_lr:
    case R::a64_sp:
    case R::a64_elr:
        return name_of(reg) + ": %F";
    case R::a64_spsr:
        return "spsr: %8";
    case R::a64_esr:
        return "esr: %2 %1 %7";
    case R::arm_pc:
    case R::arm_cpsr:
    case R::arm_hsr:
        return name_of(reg) + "=0x%8";
    case R::rip:
        return "RIP: 0x%F";
    case R::rsp:
        return "RSP: 0x%F";
    default:
        break;
    }
    if (arch_of(reg) == TrapArch::arm64) {
        return name_of(reg) + ": %F";
    }
    return arch_of(reg) == TrapArch::arm ? name_of(reg) + "=0x%8" : "";
}

std::optional<std::uint64_t> row_value(R reg, const Alignment& found) {
    for (const AlignedHole& hole : found.holes) {
        if (hole.doubtful) {
            return std::nullopt;
        }
    }
    if (reg != R::a64_esr) {
        return number(found.holes[0].value, 16);
    }
    const std::uint64_t il = number(found.holes[1].value, 16);
    const std::uint64_t ec = number(found.holes[0].value, 16);
    const std::uint64_t iss = number(found.holes[2].value, 16);
    if (il > 1 || ec > 0x3f || iss > 0x1ffffff) {
        return std::nullopt;
    }
    return compose_esr(ec, il, iss);
}

void recover_rows(std::string_view text, TrapDraft& draft, std::size_t begin, std::size_t end) {
    static constexpr std::array<std::array<R, 2>, 3> spans{
        {{R::a64_pc, static_cast<R>(static_cast<int>(R::x0) + 29)}, {R::arm_pc, R::r14}, {R::rip, R::rsp}}};
    TrapEvent& event = draft.event;
    if (event.arch == TrapArch::unknown) {
        return;
    }
    const auto& span = spans[event.arch == TrapArch::arm64 ? 0 : event.arch == TrapArch::arm ? 1 : 2];
    const auto last = static_cast<unsigned>(span[1]);
    std::size_t from = begin;
    for (auto i = static_cast<unsigned>(span[0]); i <= last; ++i) {
        const R reg = static_cast<R>(i);
        if (event.registers.has(reg)) {
            from = std::max<std::size_t>(from, draft.place[i].end);
            continue;
        }
        std::size_t to = end;
        for (unsigned k = i + 1; k <= last; ++k) {
            if (event.registers.has(static_cast<R>(k)) && draft.place[k].begin >= from) {
                to = draft.place[k].begin;
                break;
            }
        }
        if (to <= from || to - from > 600 || is_empty(in(text, {from, to}))) {
            continue;
        }
        const auto found = align_form(row_form(reg), in(text, {from, to}), 0.35, true);
        const auto value = found ? row_value(reg, *found) : std::nullopt;
        if (!value) {
            continue;
        }
        event.registers.set(reg, *value);
        event.recovered = true;
        draft.place[i] = {static_cast<std::uint32_t>(from + found->begin),
                          static_cast<std::uint32_t>(from + found->end)};
        draft.end = std::max(draft.end, draft.place[i].end);
        if (reg == R::a64_pc || reg == R::arm_pc || reg == R::rip) {
            event.infer(TrapField::pc);
        }
        from = draft.place[i].end;
    }
}

/// Cells that the text names elsewhere: `Created cell "x"`, `Cell "x" can be loaded`, other Parking lines.
std::vector<std::string> cells_in(std::string_view text) {
    std::vector<std::string> names;
    for (std::size_t at = 0; (at = text.find("ell", at)) != std::string_view::npos; at += 3) {
        std::size_t open = at + 3;
        while (open < text.size() && (text[open] == ':' || text[open] == ' ')) {
            ++open;
        }
        if (open >= text.size() || text[open] != '"') {
            continue;
        }
        const std::size_t close = text.find_first_of("\"\n", open + 1);
        if (close == std::string_view::npos || text[close] == '\n' || close - open - 1 > 31 || close == open + 1 ||
            (close + 1 < text.size() && is_alpha(text[close + 1]))) { // a quote within the name
            continue;
        }
        std::string name(text.substr(open + 1, close - open - 1));
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            names.push_back(std::move(name));
        }
    }
    return names;
}

bool is_subsequence(std::string_view name, std::string_view text) {
    std::size_t i = 0;
    for (char c : text) {
        i += i < name.size() && name[i] == c ? 1 : 0;
    }
    return i == name.size();
}

void recover_cell(std::string_view text, TrapDraft& draft) {
    const std::size_t quote = text.find('"', draft.park_begin);
    if (quote == std::string_view::npos || quote > draft.park_begin + 60) {
        return;
    }
    const std::string_view part = text.substr(quote + 1, 120);
    std::string only;
    for (const std::string& name : cells_in(text)) {
        if (part.size() > name.size() && is_subsequence(name + "\")", part)) {
            if (!only.empty()) {
                return;
            }
            only = name;
        }
    }
    if (!only.empty()) {
        draft.event.cell = only;
        draft.event.infer(TrapField::cell);
        draft.event.recovered = true;
    }
}

/// The end without a name that could be read: its quotes are lost, or became others.
void take_nameless_end(std::string_view part, std::size_t begin, TrapDraft& draft) {
    for (const bool park : {true, false}) {
        const auto found = align_form(park ? "Parking CPU %d (Cell:" : "Stopping CPU %d (Cell:", part, 0.0);
        const std::uint64_t cpu = found ? number(found->holes[0].value, 10) : 0;
        if (!found || found->holes[0].doubtful || cpu > 4095) {
            continue;
        }
        TrapEvent& event = draft.event;
        event.outcome = park ? TrapOutcome::parked : TrapOutcome::stopped;
        event.cpu = static_cast<std::uint32_t>(cpu);
        event.recovered = true;
        draft.park_begin = static_cast<std::uint32_t>(begin + found->begin);
        draft.end = std::max(draft.end, static_cast<std::uint32_t>(begin + found->end));
        return;
    }
}

void recover_park(std::string_view text, TrapDraft& draft, Zone zone) {
    const std::string_view part = in(text, zone);
    if (is_empty(part) || part.size() < 12) {
        return;
    }
    const auto parked = align_form("Parking CPU %d (Cell: \"%q\")", part, 0.6);
    const auto stopped = align_form("Stopping CPU %d (Cell: \"%q\")", part, 0.6);
    const bool park = parked && (!stopped || parked->cost < stopped->cost);
    const auto& best = park ? parked : stopped;
    if (!best) {
        take_nameless_end(part, zone.begin, draft);
        return;
    }
    if (parked && stopped && std::abs(parked->cost - stopped->cost) < 2.0) {
        return;
    }
    TrapEvent& event = draft.event;
    event.outcome = park ? TrapOutcome::parked : TrapOutcome::stopped;
    event.recovered = true;
    draft.park_begin = static_cast<std::uint32_t>(zone.begin + best->begin);
    draft.end = std::max(draft.end, static_cast<std::uint32_t>(zone.begin + best->end));
    if (const std::uint64_t cpu = number(best->holes[0].value, 10); !best->holes[0].doubtful && cpu < 4096) {
        event.cpu = static_cast<std::uint32_t>(cpu);
        event.infer(TrapField::cpu);
    }
    if (!best->holes[1].doubtful && best->holes[1].value.size() <= 31) {
        event.cell = best->holes[1].value;
        event.infer(TrapField::cell);
    }
}

/// Where the first line must have ended.
std::size_t head_stop(const TrapDraft& draft, std::size_t after) {
    if (!draft.head_unknown) {
        return draft.begin;
    }
    if (draft.event.has_class_line && draft.class_begin > draft.head_begin) {
        return draft.class_begin;
    }
    if (draft.rows_begin > draft.head_begin) {
        return draft.rows_begin;
    }
    return std::min<std::size_t>(after, draft.head_end + 200);
}

} // namespace

void recover_traps(std::string_view text, std::vector<TrapDraft>& drafts) {
    for (std::size_t i = 0; i < drafts.size(); ++i) {
        TrapDraft& draft = drafts[i];
        TrapEvent& event = draft.event;
        if (is_whole(draft)) {
            continue;
        }
        const std::size_t before = i == 0 ? 0 : drafts[i - 1].end;
        const std::size_t after = i + 1 < drafts.size() ? drafts[i + 1].begin : text.size();
        if (draft.head_damaged) {
            event.recovered = true;
        }
        const bool report = draft.fatal_seen || !event.registers.empty() || event.outcome != TrapOutcome::unknown ||
                            (event.has_first_line && !draft.head_unknown);
        if (!report) {
            continue; // a person's own words
        }
        const bool bare_end = event.registers.empty() && !event.has_class_line && !event.has_first_line;
        if (!bare_end && !event.has_class_line && event.has_first_line && event.arch != TrapArch::x86 &&
            event.kind != K::hyp) {
            const std::size_t stop =
                draft.rows_begin != 0 ? draft.rows_begin : std::min<std::size_t>(after, draft.head_end + 300);
            recover_class(text, draft, {draft.head_end, stop});
        }
        if (!bare_end) {
            const std::size_t stop = event.outcome != TrapOutcome::unknown && draft.park_begin != 0
                                         ? std::max<std::size_t>(draft.park_begin, draft.begin)
                                         : std::min<std::size_t>(after, draft.end + 200);
            recover_rows(text, draft, std::max({draft.class_end, draft.head_end, draft.begin}), stop);
        }
        const bool by_class = event.exception_class == 0x16u;
        if ((!event.has_first_line || draft.head_unknown) && !bare_end && !by_class) {
            const std::size_t stop = head_stop(draft, after);
            const std::size_t begin = std::max(before, stop > head_zone ? stop - head_zone : 0);
            recover_head(text, draft, {begin, stop});
        }
        if (event.outcome == TrapOutcome::unknown && !draft.closed) {
            recover_park(text, draft, {draft.end, std::min<std::size_t>(after, draft.end + park_zone)});
        }
        if (event.outcome != TrapOutcome::unknown && !event.cell) {
            recover_cell(text, draft);
        }
    }
}

} // namespace hil

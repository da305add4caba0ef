// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_region.hpp"

#include "hil/lib/trap_assembly.hpp"
#include "hil/lib/trap_recovery.hpp"
#include "hil/lib/trap_syndrome.hpp"
#include "hil/lib/trap_text.hpp"

#include <algorithm>
#include <utility>

namespace hil {
namespace {

constexpr std::size_t kept_text = 8192;

/// A first line quoted in the middle of a sentence, while the report itself stands elsewhere in the same text.
bool is_mention(const TrapDraft& draft, const std::vector<TrapDraft>& all) {
    const TrapEvent& event = draft.event;
    if (!draft.mid_sentence || !event.registers.empty() || event.outcome != TrapOutcome::unknown) {
        return false;
    }
    return !event.address || std::any_of(all.begin(), all.end(), [&](const TrapDraft& other) {
        return &other != &draft && other.event.address == event.address && !other.event.registers.empty();
    });
}

/// Both first lines stand ahead of both dumps.
bool overlap(const TrapDraft& a, const TrapDraft& b) {
    return a.event.has_first_line && b.event.has_first_line && a.event.arch == b.event.arch && a.rows_begin != 0 &&
           b.rows_begin != 0 && std::max(a.head_begin, b.head_begin) < std::min(a.rows_begin, b.rows_begin);
}

std::size_t contradictions(TrapEvent event) {
    event.notes.clear();
    note_contradictions(event);
    return event.notes.size();
}

void swap_dumps(TrapEvent& a, TrapEvent& b) {
    std::swap(a.registers, b.registers);
    std::swap(a.pc, b.pc);
    std::swap(a.syndrome, b.syndrome);
    std::swap(a.el, b.el);
    std::swap(a.outcome, b.outcome);
    std::swap(a.cpu, b.cpu);
    std::swap(a.cell, b.cell);
}

/// Of two reports that overlap the syndromes tell whose dump is whose; where they cannot, the events say so.
void settle_overlap(TrapEvent& a, TrapEvent& b, bool alternating) {
    const std::size_t doubts = contradictions(a) + contradictions(b);
    swap_dumps(a, b);
    const std::size_t swapped = contradictions(a) + contradictions(b);
    if (swapped < doubts) {
        return;
    }
    swap_dumps(a, b);
    if (swapped > doubts || alternating) {
        return;
    }
    for (TrapEvent* event : {&a, &b}) {
        event->notes.emplace_back("another report overlaps: which dump belongs to which first line cannot be told");
        event->infer(TrapField::pc);
        event->infer(TrapField::cpu);
        event->infer(TrapField::cell);
    }
}

void settle_overlaps(std::vector<TrapDraft>& drafts) {
    for (std::size_t i = 0; i + 1 < drafts.size(); ++i) {
        TrapDraft& a = drafts[i];
        TrapDraft& b = drafts[i + 1];
        if (a.keep && b.keep && overlap(a, b)) {
            settle_overlap(a.event, b.event, b.alternating);
        }
    }
}

TrapEvent publish(TrapDraft& draft, const TrapText& text) {
    TrapEvent& event = draft.event;
    const std::size_t end = std::max<std::size_t>(draft.end, draft.begin + 1);
    event.first_line = text.line_at(draft.begin);
    event.last_line = text.line_at(end - 1);
    std::size_t begin = draft.begin;
    while (begin > 0 && text.view()[begin - 1] != '\n') {
        --begin;
    }
    const std::size_t line_end = std::min(text.view().find('\n', end - 1), text.view().size());
    event.text = text.view().substr(begin, std::min({line_end - begin, end - begin + 200, kept_text}));
    note_contradictions(event);
    return std::move(event);
}

} // namespace

bool decode_trap_region(std::string_view raw, std::uint64_t first_line, bool recover, std::vector<TrapEvent>& events) {
    const TrapText text(raw, first_line);
    thread_local std::vector<TrapFact> facts; // their capacity is kept from region to region
    thread_local std::vector<TrapDraft> drafts;
    scan_traps(text.view(), facts);
    assemble_traps(text.view(), facts, drafts);
    const bool whole = !drafts.empty() && std::all_of(drafts.begin(), drafts.end(), is_whole);
    if (!recover && !whole) {
        return false;
    }
    if (!whole) {
        recover_traps(text.view(), drafts);
    }
    const TrapArch console = whole ? TrapArch::unknown : arch_of_console(text.view());
    for (TrapDraft& draft : drafts) {
        draft.keep = conclude_trap(draft);
    }
    settle_overlaps(drafts);
    for (TrapDraft& draft : drafts) {
        if (!draft.keep || is_mention(draft, drafts)) {
            continue;
        }
        if (draft.event.arch == TrapArch::unknown && console != TrapArch::unknown) {
            draft.event.arch = console;
            draft.event.infer(TrapField::arch);
        }
        events.push_back(publish(draft, text));
    }
    return whole;
}

} // namespace hil

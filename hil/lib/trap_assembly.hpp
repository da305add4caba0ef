// SPDX-License-Identifier: Apache-2.0
// Assembly: which elements of a text belong to one report, with several CPUs at once and lines out of order.
#pragma once

#include "hil/lib/trap_grammar.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hil {

/// An event in the making: what it is, and where its elements stand in the text.
struct TrapDraft {
    TrapEvent event;
    bool head_unknown = false; // its first line says FATAL, and nothing that is in the grammar
    bool head_damaged = false;
    bool mid_sentence = false;
    bool fatal_seen = false;
    bool cell_state = false;
    bool bare = false;
    bool alternating = false; // two CPUs reported at once, line by line
    bool keep = false;        // enough is there for an event
    bool closed = false;      // parked, stopped, or cut off by a gap
    TrapRegister last = TrapRegister::count;
    std::uint32_t head_begin = 0; // of the first line
    std::uint32_t begin = 0;      // of the first element
    std::uint32_t end = 0;        // after the last
    std::uint32_t head_end = 0;
    std::uint32_t rows_begin = 0; // first register; 0 when there is none
    std::uint32_t class_begin = 0;
    std::uint32_t class_end = 0;
    std::uint32_t park_begin = 0;
    struct Place {
        std::uint32_t begin;
        std::uint32_t end;
    };
    std::array<Place, trap_register_count> place; // of each register that is present
};

/// Puts `facts` of `text` together: `drafts` in the order of their first elements.
void assemble_traps(std::string_view text, const std::vector<TrapFact>& facts, std::vector<TrapDraft>& drafts);

/// Kind, class, pc and syndrome as they follow from what was assembled; says whether enough is there for an event.
bool conclude_trap(TrapDraft& draft);

/// All of first line, dump and end are there, each verbatim.
bool is_whole(const TrapDraft& draft);

} // namespace hil

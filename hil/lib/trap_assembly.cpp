// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_assembly.hpp"

#include "hil/lib/trap_text.hpp"

#include <algorithm>

namespace hil {
namespace {

using R = TrapRegister;
using T = TrapFactType;

/// One line of at most 160 bytes, without runs of white space.
std::string cleaned(std::string_view text) {
    text = text.substr(0, 400);
    std::string out(text.size(), '\0');
    std::size_t length = 0;
    char before = ' ';
    for (char c : text) {
        const char plain = is_space(c) ? ' ' : c;
        if (plain != ' ' || before != ' ') {
            out[length++] = plain;
        }
        before = plain;
    }
    length -= length > 0 && out[length - 1] == ' ' ? 1 : 0;
    out.resize(std::min<std::size_t>(length, 160));
    return out;
}

/// A cell's name from between its quotes; nothing where a line end or a prompt tells of another writer in it.
std::optional<std::string> cell_name(std::string_view raw) {
    const auto foreign = [](char c) { return c == '\n' || c == '#' || c == '$' || c == '[' || c == ']'; };
    if (std::any_of(raw.begin(), raw.end(), foreign)) {
        return std::nullopt;
    }
    std::string name = cleaned(raw);
    std::erase_if(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (name.empty() || name.size() > 31) {
        return std::nullopt;
    }
    if (name.front() == ' ') {
        name.erase(0, 1);
    }
    return name;
}

class Assembler {
  public:
    Assembler(std::string_view text, const std::vector<TrapFact>& facts, std::vector<TrapDraft>& drafts)
        : text_(text), facts_(facts), drafts_(drafts) {}

    void run() {
        for (std::size_t i = 0; i < facts_.size(); ++i) {
            const TrapFact& fact = facts_[i];
            switch (fact.type) {
            case T::head:
                head(fact, i);
                break;
            case T::exception_class:
                exception_class(fact);
                break;
            case T::cell_state:
                cell_state(fact);
                break;
            case T::reg:
                reg(fact);
                break;
            case T::level:
                if (rows_ != none) {
                    drafts_[rows_].event.el = static_cast<std::uint32_t>(fact.value);
                }
                break;
            case T::park:
            case T::stop:
                park(fact);
                break;
            case T::gap:
                for (TrapDraft& draft : drafts_) {
                    draft.closed = true;
                }
                break;
            }
        }
    }

  private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    TrapDraft& open(const TrapFact& fact) {
        TrapDraft& draft = drafts_.emplace_back();
        draft.event.messages.reserve(2);
        draft.begin = fact.begin;
        draft.end = fact.end;
        return draft;
    }

    void touch(TrapDraft& draft, const TrapFact& fact) {
        draft.begin = std::min(draft.begin, fact.begin);
        draft.end = std::max(draft.end, fact.end);
    }

    TrapDraft* newest() { return drafts_.empty() || drafts_.back().closed ? nullptr : &drafts_.back(); }

    static bool no_rows(const TrapDraft& draft) { return draft.event.registers.empty() && !draft.cell_state; }

    static void read_head(TrapDraft& draft, const TrapFact& fact) {
        TrapEvent& event = draft.event;
        event.has_first_line = !fact.unknown_form;
        event.kind = fact.kind;
        event.access = fact.access;
        event.address = fact.address;
        event.size = fact.size;
        event.code = fact.code;
        event.pci_bdf = fact.bdf;
        if (fact.arch != TrapArch::unknown) {
            event.arch = fact.arch;
        }
        if (fact.info1) {
            event.registers.set(R::exitinfo1, *fact.info1);
        }
        if (fact.info2) {
            event.registers.set(R::exitinfo2, *fact.info2);
        }
        draft.head_unknown = fact.unknown_form;
        draft.head_damaged = fact.damaged;
        draft.mid_sentence = fact.mid_sentence;
        draft.head_begin = fact.begin;
        draft.head_end = fact.end;
    }

    static bool same_head(const TrapEvent& event, const TrapFact& fact) {
        return event.kind == fact.kind && event.access == fact.access && event.address == fact.address &&
               event.size == fact.size && event.code == fact.code;
    }

    void head(const TrapFact& fact, std::size_t index) {
        TrapDraft* current = newest();
        if (current != nullptr && no_rows(*current)) {
            const bool had_detail = detail_ || !current->event.has_first_line;
            if (had_detail || (same_head(current->event, fact) && !current->event.has_class_line)) {
                const TrapEvent before = current->event;
                const std::uint32_t begin = current->head_begin;
                const bool keep = fact.unknown_form && before.has_first_line;
                if (!keep) {
                    read_head(*current, fact);
                    current->head_begin = before.messages.empty() ? fact.begin : begin;
                    detail_ = fact.detail;
                    if (current->event.arch == TrapArch::unknown) {
                        current->event.arch = before.arch;
                    }
                }
                touch(*current, fact);
                message(*current, fact);
                return;
            }
            if (fact.unknown_form && !current->event.has_class_line) {
                touch(*current, fact); // its FATAL line, damaged
                message(*current, fact);
                return;
            }
            interleaved_ = !current->event.has_class_line && two_classes_follow(index);
        }
        TrapDraft& draft = open(fact);
        read_head(draft, fact);
        draft.fatal_seen = text_.substr(fact.begin).starts_with('F');
        draft.alternating = interleaved_;
        detail_ = fact.detail;
        message(draft, fact);
    }

    void message(TrapDraft& draft, const TrapFact& fact) {
        const std::size_t line_end = std::min(text_.find('\n', fact.begin), text_.size());
        const std::size_t end = fact.unknown_form || fact.detail || fact.kind == TrapKind::hyp
                                    ? line_end
                                    : std::max<std::size_t>(fact.end, fact.begin);
        std::string line = cleaned(text_.substr(fact.begin, end - fact.begin));
        if (draft.event.messages.size() < 8 && (draft.event.messages.empty() || draft.event.messages.back() != line)) {
            draft.event.messages.push_back(std::move(line));
        }
    }

    bool two_classes_follow(std::size_t index) const {
        std::size_t classes = 0;
        for (std::size_t i = index + 1; i < facts_.size() && facts_[i].type != T::reg && facts_[i].type != T::park;
             ++i) {
            classes += facts_[i].type == T::exception_class ? 1 : 0;
        }
        return classes >= 2;
    }

    void exception_class(const TrapFact& fact) {
        TrapDraft* target = nullptr;
        const auto lacks = [](const TrapDraft& d) { return !d.closed && !d.event.has_class_line && no_rows(d); };
        if (interleaved_) {
            const auto found = std::find_if(drafts_.begin(), drafts_.end(), lacks);
            target = found == drafts_.end() ? nullptr : &*found;
        } else if (newest() != nullptr) {
            const TrapEvent& event = newest()->event;
            if (lacks(*newest())) {
                target = newest();
            } else if (no_rows(*newest()) && event.exception_class == fact.value) {
                touch(*newest(), fact); // the same line twice
                return;
            }
        }
        TrapDraft& draft = target == nullptr ? open(fact) : *target;
        draft.event.has_class_line = true;
        draft.event.forbidden = fact.forbidden;
        draft.event.exception_class = static_cast<std::uint32_t>(fact.value);
        draft.fatal_seen = draft.fatal_seen || !fact.damaged;
        draft.class_begin = fact.begin;
        draft.class_end = fact.end;
        if (target == nullptr) {
            draft.mid_sentence = fact.mid_sentence;
        }
        touch(draft, fact);
        message(draft, fact);
    }

    void cell_state(const TrapFact& fact) {
        for (TrapDraft& draft : drafts_) {
            if (!draft.closed && no_rows(draft) && draft.event.arch != TrapArch::x86) {
                draft.cell_state = true;
                touch(draft, fact);
                return;
            }
        }
    }

    static bool takes(const TrapDraft& draft, const TrapFact& fact) {
        return !draft.event.registers.has(fact.reg) &&
               (draft.event.arch == fact.arch || draft.event.arch == TrapArch::unknown);
    }

    /// A dump that follows its own Parking line: the report ended without one.
    static bool awaits_late_rows(const TrapDraft& draft) {
        return draft.closed && draft.event.outcome != TrapOutcome::unknown && draft.event.registers.empty() &&
               (draft.event.has_class_line || draft.event.has_first_line);
    }

    /// A Parking line in the middle of its own dump, which goes on where it was.
    static bool goes_on(const TrapDraft& draft, const TrapFact& fact) {
        return draft.closed && draft.event.outcome != TrapOutcome::unknown && draft.last != R::count &&
               static_cast<unsigned>(draft.last) + 1 == static_cast<unsigned>(fact.reg);
    }

    std::size_t draft_for(const TrapFact& fact) {
        std::size_t best = none;
        for (std::size_t i = 0; i < drafts_.size(); ++i) {
            const TrapDraft& draft = drafts_[i];
            if (draft.closed || !takes(draft, fact)) {
                continue;
            }
            const bool next =
                draft.last != R::count && static_cast<unsigned>(draft.last) + 1 == static_cast<unsigned>(fact.reg);
            const bool best_next = best != none && drafts_[best].last != R::count &&
                                   static_cast<unsigned>(drafts_[best].last) + 1 == static_cast<unsigned>(fact.reg);
            if (best == none || (next && !best_next) || (!interleaved_ && next == best_next)) {
                best = i;
            }
        }
        if (best == none && !drafts_.empty() && takes(drafts_.back(), fact) &&
            (awaits_late_rows(drafts_.back()) || goes_on(drafts_.back(), fact) || late_ == drafts_.size())) {
            late_ = drafts_.size();
            best = drafts_.size() - 1;
        }
        return best;
    }

    void reg(const TrapFact& fact) {
        if (rows_ != none && drafts_[rows_].last == fact.reg &&
            drafts_[rows_].event.registers.get(fact.reg) == fact.value) {
            touch(drafts_[rows_], fact); // the same row twice
            return;
        }
        std::size_t index = draft_for(fact);
        if (index == none) {
            if (repeats_row(fact)) {
                return;
            }
            open(fact);
            index = drafts_.size() - 1;
        }
        TrapDraft& draft = drafts_[index];
        if (fact.bare && fact.reg == R::rip) {
            draft.bare = true;
        }
        if (fact.bare && !draft.bare) {
            return;
        }
        rows_ = index;
        draft.event.arch = fact.arch;
        draft.event.registers.set(fact.reg, fact.value);
        draft.place[static_cast<std::size_t>(fact.reg)] = {fact.begin, fact.end};
        draft.last = fact.reg;
        draft.rows_begin = draft.rows_begin == 0 ? fact.begin : draft.rows_begin;
        touch(draft, fact);
        detail_ = false;
    }

    /// A whole row of the dump that is being read stands twice: its first register comes again with the same value.
    bool repeats_row(const TrapFact& fact) const {
        if (rows_ == none || drafts_[rows_].closed) {
            return false;
        }
        const TrapDraft& draft = drafts_[rows_];
        const unsigned last = static_cast<unsigned>(draft.last);
        const unsigned now = static_cast<unsigned>(fact.reg);
        if (fact.reg == R::arm_hsr && draft.last == R::arm_cpsr) {
            return draft.event.registers.get(fact.reg) == fact.value; // "HSR: …" ahead of the dump named it
        }
        return draft.event.registers.get(fact.reg) == fact.value && now < last && last - now <= 4 &&
               fact.begin - draft.end < 200;
    }

    void park(const TrapFact& fact) {
        if (last_park_ != none) {
            const TrapEvent& event = drafts_[last_park_].event;
            if (drafts_[last_park_].end + 200 > fact.begin && event.cpu == fact.value &&
                last_park_ + 1 == drafts_.size() && parked_at_ == drafts_[last_park_].end &&
                event.cell == cell_name(fact.name)) {
                touch(drafts_[last_park_], fact); // the same line twice
                parked_at_ = drafts_[last_park_].end;
                return;
            }
        }
        std::size_t target = none;
        for (std::size_t i = 0; i < drafts_.size(); ++i) {
            if (drafts_[i].closed) {
                continue;
            }
            const bool better = target == none || (interleaved_ ? !complete(drafts_[target]) && complete(drafts_[i])
                                                                : complete(drafts_[i]) || !complete(drafts_[target]));
            target = better ? i : target;
        }
        if (target == none) {
            open(fact);
            target = drafts_.size() - 1;
        }
        TrapDraft& draft = drafts_[target];
        draft.event.outcome = fact.type == T::stop ? TrapOutcome::stopped : TrapOutcome::parked;
        draft.event.cpu = static_cast<std::uint32_t>(fact.value);
        draft.event.cell = cell_name(fact.name);
        draft.closed = true;
        draft.park_begin = fact.begin;
        touch(draft, fact);
        last_park_ = target;
        parked_at_ = draft.end;
        detail_ = false;
    }

    static bool complete(const TrapDraft& draft) {
        return draft.last == R::x29 || draft.last == R::r14 || draft.last == R::efer;
    }

    std::string_view text_;
    const std::vector<TrapFact>& facts_;
    std::vector<TrapDraft>& drafts_;
    std::size_t rows_ = none;      // the draft that took the last register
    std::size_t last_park_ = none; // the draft that took the last Parking line
    std::size_t late_ = none;      // a closed draft (its number plus one) whose dump follows it
    std::uint32_t parked_at_ = 0;
    bool detail_ = false;      // the newest draft's first line is only an explanation so far
    bool interleaved_ = false; // two CPUs report at once, line by line
};

TrapKind kind_of_class(std::uint32_t exception_class) {
    switch (exception_class) {
    case 0x20:
        return TrapKind::instruction;
    case 0x24:
        return TrapKind::data;
    case 0x12:
    case 0x16:
        return TrapKind::hvc;
    case 0x13:
    case 0x17:
        return TrapKind::smc;
    case 0x21:
    case 0x25:
        return TrapKind::hyp;
    default:
        return TrapKind::other;
    }
}

} // namespace

void assemble_traps(std::string_view text, const std::vector<TrapFact>& facts, std::vector<TrapDraft>& drafts) {
    drafts.clear();
    Assembler(text, facts, drafts).run();
}

bool is_whole(const TrapDraft& draft) {
    const TrapEvent& event = draft.event;
    if (event.outcome == TrapOutcome::unknown || !event.cell || draft.head_damaged || event.recovered) {
        return false;
    }
    const auto exception_class = event.exception_class.value_or(0);
    const bool by_class = exception_class == 0x16 || exception_class == 0x17;
    const bool first_line = (event.has_first_line && !draft.head_unknown) || by_class;
    switch (event.arch) {
    case TrapArch::arm64:
        return first_line && (event.has_class_line || event.kind == TrapKind::hyp) && event.registers.size() >= 34;
    case TrapArch::arm:
        return first_line && (event.has_class_line || event.kind == TrapKind::hyp) && event.registers.size() >= 18;
    case TrapArch::x86:
        return first_line && event.registers.has(R::rip) &&
               (event.registers.has(R::efer) || event.kind == TrapKind::hyp);
    default:
        return false;
    }
}

bool conclude_trap(TrapDraft& draft) {
    TrapEvent& event = draft.event;
    const TrapRegisters& regs = event.registers;
    event.pc = event.arch == TrapArch::arm64 ? regs.get(R::a64_pc)
               : event.arch == TrapArch::arm ? regs.get(R::arm_pc)
                                             : regs.get(R::rip);
    const auto syndrome = event.arch == TrapArch::arm64 ? regs.get(R::a64_esr)
                          : event.arch == TrapArch::arm ? regs.get(R::arm_hsr)
                                                        : std::nullopt;
    if (syndrome) {
        event.syndrome = static_cast<std::uint32_t>(*syndrome);
    }
    if (event.arch == TrapArch::x86) {
        event.exception_class.reset();
    } else if (!event.exception_class && event.syndrome) {
        event.exception_class = *event.syndrome >> 26;
        if (event.kind != TrapKind::hyp) {
            event.infer(TrapField::exception_class);
        }
    }
    if ((!event.has_first_line || draft.head_unknown) && event.exception_class && event.arch != TrapArch::x86) {
        event.kind = kind_of_class(*event.exception_class);
        if (event.kind != TrapKind::hvc && event.kind != TrapKind::smc) {
            event.infer(TrapField::kind);
        }
    } else if (!event.has_first_line && !draft.head_unknown) {
        event.kind = TrapKind::unknown;
    }
    if (event.kind == TrapKind::hyp && event.arch == TrapArch::x86 && !event.address) {
        event.address = regs.get(R::cr2);
    }
    const bool dump = regs.size() > 0;
    const bool ended = event.outcome != TrapOutcome::unknown;
    if (event.has_first_line && !draft.head_unknown) {
        return dump || ended || event.has_class_line || event.address.has_value() || draft.cell_state;
    }
    if (event.has_class_line) {
        return dump || ended || draft.fatal_seen;
    }
    if (draft.head_unknown) {
        return (dump && event.pc) || ended;
    }
    return ended || (event.pc && (event.syndrome || (regs.has(R::efer) && regs.has(R::cr3))));
}

} // namespace hil

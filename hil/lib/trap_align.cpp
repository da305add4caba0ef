// SPDX-License-Identifier: Apache-2.0
// Dynamic programming over (elements of the form read, foreign run open or not) × (bytes of the text read).
#include "hil/lib/trap_align.hpp"

#include "hil/lib/trap_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

namespace hil {
namespace {

constexpr std::size_t text_limit = 1024;
constexpr std::size_t edge = 8;        // foreign bytes this near to a hole may belong into it
constexpr float open_cost = 1.0F;      // a short run of foreign bytes begins: a few letters of another writer
constexpr float foreign_cost = 0.1F;   // per byte of it
constexpr float long_open_cost = 3.0F; // a long one begins: whole lines of another writer
constexpr float long_foreign_cost = 0.01F;
constexpr float blank_open_cost = 0.2F; // a run that begins with a blank or a line end
constexpr float blank_cost = 0.02F;     // per foreign blank or line end
constexpr float lost_cost = 2.5F;       // a letter of the form is not in the text
constexpr std::size_t states = 3;       // no foreign run, a short one, a long one

/// Letters that hold a number or a name in place: without them it could be any.
constexpr bool may_be_lost(char c) {
    return c != '(' && c != ')' && c != '"' && c != 'x';
}

struct Element {
    char letter = 0; // a literal, or ' ' for any white space
    char hole = 0;   // type of the hole it belongs to, or 0
    std::size_t number = 0;
    bool repeats = false;
};

std::vector<Element> parse_form(std::string_view form, std::size_t& holes) {
    std::vector<Element> elements;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (form[i] != '%' || i + 1 == form.size()) {
            elements.push_back({form[i], 0, 0, false});
            continue;
        }
        const char type = form[++i];
        const std::size_t digits = type == '8'   ? 8
                                   : type == 'F' ? 16
                                   : type == '7' ? 7
                                   : type == '2' ? 2
                                   : type == '1' ? 1
                                                 : 0;
        if (digits == 0) {
            elements.push_back({0, type, holes, true});
        }
        for (std::size_t d = 0; d < digits; ++d) {
            elements.push_back({0, type, holes, false});
        }
        ++holes;
    }
    return elements;
}

bool belongs(char hole, char c) {
    switch (hole) {
    case 'd':
        return is_digit(c);
    case 'q':
        return c != '"' && c != '\n' && c != '\r';
    default:
        return is_hex(c);
    }
}

enum Step : std::uint8_t {
    none,
    start,
    match,   // element read from the text
    again,   // a further byte of a repeating hole
    blank,   // white space where the form has some
    pass,    // the form's white space, nothing in the text
    lost,    // a letter of the form that the text lacks
    foreign, // a byte of the text that is not the form's
};

class Aligner {
  public:
    Aligner(std::vector<Element> elements, std::string_view text, bool lossless)
        : lossless_(lossless), elements_(std::move(elements)), text_(text), width_((elements_.size() + 1) * states),
          cost_((text.size() + 1) * width_, std::numeric_limits<float>::infinity()), step_(cost_.size(), none) {}

    void run() {
        for (std::size_t j = 0; j <= text_.size(); ++j) {
            relax(j, 0, 0, 0.0F, start);
            for (std::size_t i = 0; i <= elements_.size(); ++i) {
                for (std::size_t gap = 0; gap < states; ++gap) {
                    advance(i, gap, j);
                }
            }
        }
    }

    [[nodiscard]] float best(std::size_t& end) const {
        float least = std::numeric_limits<float>::infinity();
        for (std::size_t j = 0; j <= text_.size(); ++j) {
            const float c = cost_[at(j, elements_.size(), 0)];
            // Later ends win at equal cost: a repeating hole takes all of its digits.
            if (c <= least) {
                least = c;
                end = j;
            }
        }
        return least;
    }

    /// Calls visit(element, text offset, step) backwards from the end; returns the text offset of the beginning.
    template <typename Visit> std::size_t trace(std::size_t end, Visit visit) const {
        std::size_t i = elements_.size();
        std::size_t j = end;
        std::size_t gap = 0;
        while (true) {
            const Step step = step_[at(j, i, gap)];
            switch (step) {
            case match:
                visit(--i, --j, step);
                gap = from_gap_[at(j + 1, i + 1, 0)];
                break;
            case again:
                --j;
                visit(i - 1, j, step);
                gap = from_gap_[at(j + 1, i, 0)];
                break;
            case blank:
                --j;
                gap = from_gap_[at(j + 1, i, 0)];
                break;
            case pass:
            case lost:
                --i;
                break;
            case foreign:
                --j;
                visit(i, j, step);
                gap = from_gap_[at(j + 1, i, gap)];
                break;
            default:
                return j;
            }
        }
    }

    void prepare() { from_gap_.assign(cost_.size(), 0); }

  private:
    [[nodiscard]] std::size_t at(std::size_t j, std::size_t i, std::size_t gap) const {
        return j * width_ + i * states + gap;
    }

    void relax(std::size_t j, std::size_t i, std::size_t gap, float cost, Step step, std::size_t from_gap = 0) {
        const std::size_t cell = at(j, i, gap);
        if (cost < cost_[cell]) {
            cost_[cell] = cost;
            step_[cell] = step;
            from_gap_[cell] = static_cast<std::uint8_t>(from_gap);
        }
    }

    void advance(std::size_t i, std::size_t gap, std::size_t j) {
        const float cost = cost_[at(j, i, gap)];
        if (cost == std::numeric_limits<float>::infinity()) {
            return;
        }
        const bool more = j < text_.size();
        const char c = more ? text_[j] : '\0';
        if (i < elements_.size()) {
            const Element& element = elements_[i];
            if (element.letter == ' ') {
                relax(j, i + 1, gap, cost, pass, gap);
                if (more && is_space(c)) {
                    relax(j + 1, i, 0, cost, blank, gap);
                }
            } else if (element.hole == 0) {
                if (!lossless_ && may_be_lost(element.letter)) {
                    relax(j, i + 1, gap, cost + lost_cost, lost, gap);
                }
                if (more && c == element.letter) {
                    relax(j + 1, i + 1, 0, cost, match, gap);
                }
            } else if (more && belongs(element.hole, c)) {
                relax(j + 1, i + 1, 0, cost, match, gap);
            }
        }
        if (more && i > 0) {
            const Element& before = elements_[i - 1];
            if (before.repeats && belongs(before.hole, c)) {
                relax(j + 1, i, 0, cost, again, gap);
            }
            if (gap != 2) {
                const float open = gap == 1 ? 0.0F : is_space(c) ? blank_open_cost : open_cost;
                relax(j + 1, i, 1, cost + open + (is_space(c) ? blank_cost : foreign_cost), foreign, gap);
            }
            if (gap != 1) {
                relax(j + 1, i, 2, cost + (gap == 2 ? 0.0F : long_open_cost) + long_foreign_cost, foreign, gap);
            }
        }
    }

    bool lossless_;
    std::vector<Element> elements_;
    std::string_view text_;
    std::size_t width_;
    std::vector<float> cost_;
    std::vector<Step> step_;
    std::vector<std::uint8_t> from_gap_;
};

/// A lower bound: letters of the form of which the text has not enough.
double certain_loss(const std::vector<Element>& elements, std::string_view text) {
    std::array<int, 256> stock{};
    for (char c : text) {
        ++stock[static_cast<unsigned char>(c)];
    }
    double loss = 0;
    for (const Element& element : elements) {
        if (element.letter != 0 && element.letter != ' ' && --stock[static_cast<unsigned char>(element.letter)] < 0) {
            loss += static_cast<double>(lost_cost);
        }
    }
    return loss;
}

/// Foreign bytes on the same line, as near as the letters of two writers who take turns.
bool near_foreign(const std::vector<bool>& foreign_at, std::string_view text, std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j > 0 && begin - j < edge && text[j - 1] != '\n'; --j) {
        if (foreign_at[j - 1] && !is_space(text[j - 1])) {
            return true;
        }
    }
    for (std::size_t j = end; j < text.size() && j - end < edge && text[j] != '\n'; ++j) {
        if (foreign_at[j] && !is_space(text[j])) {
            return true;
        }
    }
    return false;
}

bool touches_its_like(char hole, std::string_view text, std::size_t begin, std::size_t end) {
    if (hole == 'q') {
        return false;
    }
    return (begin > 0 && belongs(hole, text[begin - 1]) && text[begin - 1] != 'x') ||
           (end < text.size() && belongs(hole, text[end]));
}

} // namespace

std::optional<Alignment> align_form(std::string_view form, std::string_view text, double limit, bool lossless) {
    text = text.substr(0, text_limit);
    std::size_t holes = 0;
    const std::vector<Element> elements = parse_form(form, holes);
    Alignment result;
    for (const Element& element : elements) {
        result.letters += element.letter == ' ' ? 0 : 1;
    }
    const double budget = limit * result.letters;
    if (text.empty() || certain_loss(elements, text) > budget) {
        return std::nullopt;
    }
    Aligner aligner(elements, text, lossless);
    aligner.prepare();
    aligner.run();
    result.cost = static_cast<double>(aligner.best(result.end));
    if (result.cost > budget) {
        return std::nullopt;
    }
    result.holes.resize(holes);
    std::vector<bool> foreign_at(text.size(), false);
    result.begin = aligner.trace(result.end, [&](std::size_t element, std::size_t offset, Step step) {
        if (step == foreign) {
            foreign_at[offset] = true;
            return;
        }
        const Element& e = elements[element];
        if (e.hole == 0) {
            return;
        }
        AlignedHole& hole = result.holes[e.number];
        hole.type = e.hole;
        hole.end = hole.value.empty() ? offset + 1 : hole.end;
        hole.begin = offset;
        hole.value.insert(hole.value.begin(), text[offset]);
    });
    for (AlignedHole& hole : result.holes) {
        if (hole.value.empty()) {
            return std::nullopt;
        }
        // Every byte of the hole's sort between its ends must be its own, and none may touch it from outside.
        std::size_t like = 0;
        for (std::size_t j = hole.begin; j < hole.end; ++j) {
            like += belongs(hole.type, text[j]) ? 1 : 0;
        }
        hole.doubtful = like != hole.value.size() || (hole.type != 'q' && hole.value.size() > 16) ||
                        near_foreign(foreign_at, text, hole.begin, hole.end) ||
                        touches_its_like(hole.type, text, hole.begin, hole.end) ||
                        (hole.type == 'q' && hole.end - hole.begin != hole.value.size());
    }
    return result;
}

} // namespace hil

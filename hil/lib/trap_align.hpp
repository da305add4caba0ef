// SPDX-License-Identifier: Apache-2.0
// Alignment of a line's form with a text into which other writers' bytes are spliced, and from which some may be lost.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

/// What a hole of the form was aligned with.
struct AlignedHole {
    char type = 0;
    std::string value;
    bool doubtful = false; // foreign bytes of the same sort stand in it or at its edge
    std::size_t begin = 0;
    std::size_t end = 0;
};

struct Alignment {
    double cost = 0;    // foreign runs, foreign bytes, lost bytes
    double letters = 0; // of the form: the measure for the cost
    std::size_t begin = 0;
    std::size_t end = 0;
    std::vector<AlignedHole> holes;
};

/// The cheapest alignment of `form` with any part of `text` (at most 1 KiB of it is looked at). In the form a space
/// stands for any white space; holes are %x (hexadecimal), %d (decimal), %q (up to a quote) and %8, %F (exactly 8, 16
/// hexadecimal digits). Nothing when no alignment costs less than `limit` times the form's letters. lossless: every
/// letter must be in the text.
std::optional<Alignment> align_form(std::string_view form, std::string_view text, double limit, bool lossless = false);

} // namespace hil

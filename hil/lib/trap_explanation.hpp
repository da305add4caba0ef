// SPDX-License-Identifier: Apache-2.0
// What is concluded about one trap, and the paragraph that says it.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <string>

namespace hil {

/// What is concluded about one trap. Empty strings: nothing can be said.
struct TrapExplanation {
    std::string device;   // "ccu (CCU (clock controller)) + 0x6c: the APB1 gate …"
    std::string cause;    // why it trapped, as far as the text and the configs tell
    std::string fix;      // what to do, one or two sentences
    std::string fix_yaml; // lines for a cell's YAML
    std::string fix_c;    // the same as a C initialiser
    std::string pattern;  // the cause in one word, for programs: see docs/explain.md
    std::string place;    // function and line of the pc
    std::string summary;  // one paragraph that says all of it
};

/// One paragraph: who trapped on what, then device, place, cause, fix and the decoder's notes, as far as they are
/// there.
std::string trap_summary(const TrapEvent& event, const TrapExplanation& told);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hil::bench {

/// Why a root-cell program ends early. Codes as those of the hil command.
struct Failure {
    enum Code : int {
        failed = 1,         ///< measured, and the result is not good
        wrong_use = 2,      ///< bad arguments
        infrastructure = 4, ///< nothing could be measured
    };
    Code code;
    std::string text; ///< what was tried, what was found, what to do
};

} // namespace hil::bench

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/agent_remains.hpp"

#include <algorithm>

#include "bench/core/frame.hpp"

namespace hil {

void AgentRemains::frame() {
    credit_ = std::min(credit_ + kPerFrame, kAtMost);
}

std::string AgentRemains::strip(std::string_view line) {
    std::string others;
    others.reserve(line.size());
    for (const char character : line) {
        if (credit_ > 0 && frame::is_high(static_cast<unsigned char>(character))) {
            --credit_;
        } else {
            others.push_back(character);
        }
    }
    return others;
}

void AgentRemains::given_back(std::size_t characters) {
    const std::size_t paid = std::min(characters, credit_);
    credit_ -= paid;
    given_ += paid;
}

std::size_t AgentRemains::claim(std::size_t most) {
    const std::size_t claimed = std::min(given_, most);
    given_ -= claimed;
    return claimed;
}

} // namespace hil

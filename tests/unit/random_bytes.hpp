// SPDX-License-Identifier: Apache-2.0
// Bytes that nothing packs, the same for the same seed.
#pragma once

#include <cstddef>
#include <random>
#include <string>

namespace hil::test {

inline std::string random_bytes(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::string bytes(count, '\0');
    for (char& c : bytes) {
        c = static_cast<char>(random());
    }
    return bytes;
}

} // namespace hil::test

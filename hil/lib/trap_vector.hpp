// SPDX-License-Identifier: Apache-2.0
// Sixteen bytes at a time, with the compiler's vectors (SSE2, NEON).
#pragma once

#include <cstdint>
#include <cstring>

namespace hil {

using TrapVector = unsigned char __attribute__((vector_size(16)));
using TrapVectorHalves = std::uint64_t __attribute__((vector_size(16)));

inline TrapVector load_vector(const char* p) {
    TrapVector v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

inline bool any_of(TrapVector v) {
    const auto halves = reinterpret_cast<TrapVectorHalves>(v);
    return (halves[0] | halves[1]) != 0;
}

inline bool all_of(TrapVector v) {
    const auto halves = reinterpret_cast<TrapVectorHalves>(v);
    return (halves[0] & halves[1]) == ~std::uint64_t{0};
}

} // namespace hil

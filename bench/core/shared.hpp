// SPDX-License-Identifier: Apache-2.0
// A word that two cells share: one writes, one reads. Freestanding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace hil::bench {

/// Accesses are single, naturally aligned loads and stores without read-modify-write, so that they also work where a
/// cell maps the memory as device memory (Linux does for UIO's physical maps). What a peer wrote may be anything: read
/// it once, check the copy, use the copy.
template <class Word> class Shared {
    static_assert(std::is_unsigned_v<Word> && sizeof(Word) <= 8);

  public:
    /// What the peer wrote before this word is visible after it.
    Word load() const { return __atomic_load_n(&word_, __ATOMIC_ACQUIRE); }
    Word load_relaxed() const { return __atomic_load_n(&word_, __ATOMIC_RELAXED); }

    /// Everything written before is visible to whoever sees this.
    void store(Word value) { __atomic_store_n(&word_, value, __ATOMIC_RELEASE); }
    void store_relaxed(Word value) { __atomic_store_n(&word_, value, __ATOMIC_RELAXED); }

  private:
    alignas(sizeof(Word)) Word word_;
};

/// Words of different writers never share one: a line of every CPU this project knows.
inline constexpr std::size_t cache_line = 64;

} // namespace hil::bench

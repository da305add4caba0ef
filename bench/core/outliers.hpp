// SPDX-License-Identifier: Apache-2.0
// The largest samples of a series and when they happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hil::bench {

struct Outlier {
    std::uint64_t time;
    std::uint64_t value;
};

template <std::size_t most = 100> class Outliers {
  public:
    /// Keeps the largest `most`, the largest first; of equal ones the earlier.
    constexpr void add(std::uint64_t time, std::uint64_t value) {
        if (used_ == most && value <= kept_[most - 1].value) {
            return;
        }
        std::size_t at = used_ < most ? used_++ : most - 1;
        for (; at > 0 && kept_[at - 1].value < value; --at) {
            kept_[at] = kept_[at - 1];
        }
        kept_[at] = {time, value};
    }

    /// Those above `limit`, the largest first.
    constexpr std::span<const Outlier> above(std::uint64_t limit) const {
        std::size_t count = 0;
        while (count < used_ && kept_[count].value > limit) {
            ++count;
        }
        return {kept_, count};
    }

  private:
    Outlier kept_[most] = {};
    std::size_t used_ = 0;
};

} // namespace hil::bench

// SPDX-License-Identifier: Apache-2.0
// How a series went on over time: equal runs of consecutive samples, each as its smallest, median and largest.
#pragma once

#include "bench/core/sort.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace hil::bench {

struct TimelinePoint {
    std::uint64_t time; ///< of the run's first sample
    std::uint64_t min, p50, max;
};

template <std::size_t most_points = 200> class Timeline {
  public:
    /// `values` are in the order of `times`; afterwards each run of them is sorted.
    constexpr void build(std::span<const std::uint64_t> times, std::span<std::uint64_t> values) {
        const std::size_t run = (values.size() + most_points - 1) / most_points;
        used_ = 0;
        for (std::size_t start = 0; start < values.size(); start += run) {
            const std::size_t size = start + run < values.size() ? run : values.size() - start;
            const std::span<std::uint64_t> samples(values.data() + start, size);
            sort(samples);
            points_[used_++] = {times[start], samples.front(), samples[(size - 1) / 2], samples.back()};
        }
    }

    constexpr std::span<const TimelinePoint> points() const { return {points_, used_}; }

  private:
    TimelinePoint points_[most_points] = {};
    std::size_t used_ = 0;
};

} // namespace hil::bench

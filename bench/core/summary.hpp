// SPDX-License-Identifier: Apache-2.0
// Exact statistics of all samples. Integers only: the same samples give the same figures in every environment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hil::bench {

/// A number in thousandths.
struct Milli {
    std::uint64_t value = 0;
    friend bool operator==(Milli, Milli) = default;
};

/// All in the samples' unit.
struct Summary {
    std::uint64_t count = 0;
    std::uint64_t min = 0, p50 = 0, p90 = 0, p99 = 0, p99_9 = 0, max = 0;
    Milli mean;
    Milli stddev; ///< of the population: divided by count
};

/// Nearest rank: the smallest sample that at least `per_10000` of 10000 samples do not exceed. `sorted` is not empty.
constexpr std::uint64_t percentile(std::span<const std::uint64_t> sorted, std::uint64_t per_10000) {
    const std::uint64_t rank = (sorted.size() * per_10000 + 9999) / 10000;
    return sorted[rank == 0 ? 0 : rank - 1];
}

__extension__ using Wide = unsigned __int128;

/// The largest integer whose square is not above `value`.
constexpr std::uint64_t square_root(Wide value) {
    std::uint64_t root = 0;
    for (std::uint64_t bit = 1ull << 63; bit != 0; bit >>= 1) {
        const std::uint64_t candidate = root | bit;
        if (Wide{candidate} * candidate <= value) {
            root = candidate;
        }
    }
    return root;
}

/// Statistics of ascending samples below 2^52, of which there are fewer than 2^20.
constexpr Summary summarise(std::span<const std::uint64_t> sorted) {
    Summary summary;
    summary.count = sorted.size();
    if (sorted.empty()) {
        return summary;
    }
    Wide sum = 0;
    for (const std::uint64_t value : sorted) {
        sum += value;
    }
    summary.mean.value = static_cast<std::uint64_t>((sum * 1000 + sorted.size() / 2) / sorted.size());
    Wide squares = 0; // of the distances to the mean, in thousandths
    for (const std::uint64_t value : sorted) {
        const std::uint64_t scaled = value * 1000;
        const Wide distance = scaled > summary.mean.value ? scaled - summary.mean.value : summary.mean.value - scaled;
        squares += distance * distance;
    }
    summary.stddev.value = square_root(squares / sorted.size());
    summary.min = sorted.front();
    summary.p50 = percentile(sorted, 5000);
    summary.p90 = percentile(sorted, 9000);
    summary.p99 = percentile(sorted, 9900);
    summary.p99_9 = percentile(sorted, 9990);
    summary.max = sorted.back();
    return summary;
}

} // namespace hil::bench

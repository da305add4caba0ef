// SPDX-License-Identifier: Apache-2.0
// Log-linear histogram: every power of two is cut into equal buckets, so that the relative width of a bucket is
// bounded.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace hil::bench {

/// 2^sub_bits buckets a power of two: width at most value / 2^sub_bits; below 2^sub_bits every value has its own.
/// Values of 2^value_bits and more count in the last bucket.
template <unsigned sub_bits = 4, unsigned value_bits = 40> class Histogram {
  public:
    static constexpr std::size_t buckets = (value_bits - sub_bits + 1) << sub_bits;

    static constexpr std::size_t index(std::uint64_t value) {
        if (value >= 1ull << value_bits) {
            return buckets - 1;
        }
        if (value < 1ull << sub_bits) {
            return value;
        }
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - sub_bits;
        return (static_cast<std::size_t>(shift) << sub_bits) + (value >> shift);
    }

    /// Lowest value of a bucket; the bucket ends where the next one starts.
    static constexpr std::uint64_t low(std::size_t bucket) {
        if (bucket < 2u << sub_bits) {
            return bucket;
        }
        const std::size_t shift = (bucket >> sub_bits) - 1;
        return static_cast<std::uint64_t>((bucket & ((1u << sub_bits) - 1)) + (1u << sub_bits)) << shift;
    }

    constexpr void add(std::uint64_t value) { ++counts_[index(value)]; }
    constexpr std::uint32_t count(std::size_t bucket) const { return counts_[bucket]; }

    /// visit(low, high, count) of every bucket that is not empty, ascending, half-open.
    template <class Visitor> constexpr void for_each(Visitor&& visit) const {
        for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
            if (counts_[bucket] != 0) {
                visit(low(bucket), bucket + 1 == buckets ? UINT64_MAX : low(bucket + 1), counts_[bucket]);
            }
        }
    }

  private:
    std::uint32_t counts_[buckets] = {};
};

} // namespace hil::bench

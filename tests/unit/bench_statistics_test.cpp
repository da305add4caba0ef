// SPDX-License-Identifier: Apache-2.0
#include "bench/core/histogram.hpp"
#include "bench/core/outliers.hpp"
#include "bench/core/sort.hpp"
#include "bench/core/summary.hpp"
#include "bench/core/timeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

using namespace hil::bench;

namespace {

std::vector<std::uint64_t> random_values(std::mt19937_64& random, std::size_t size, std::uint64_t largest) {
    std::vector<std::uint64_t> values(size);
    std::uniform_int_distribution<std::uint64_t> pick(0, largest);
    std::generate(values.begin(), values.end(), [&] { return pick(random); });
    return values;
}

TEST(Sort, AgreesWithStdSortForEverySmallSizeAndManyEqualValues) {
    std::mt19937_64 random(1);
    for (std::size_t size = 0; size < 200; ++size) {
        std::vector<std::uint64_t> values = random_values(random, size, size % 3 == 0 ? 3 : 1'000'000);
        std::vector<std::uint64_t> expected = values;
        std::sort(expected.begin(), expected.end());
        sort(std::span(values));
        EXPECT_EQ(values, expected) << "size " << size;
    }
}

TEST(Percentile, IsTheNearestRank) {
    std::vector<std::uint64_t> values(1000);
    std::iota(values.begin(), values.end(), 1);
    EXPECT_EQ(percentile(values, 5000), 500u);
    EXPECT_EQ(percentile(values, 9000), 900u);
    EXPECT_EQ(percentile(values, 9990), 999u);
    EXPECT_EQ(percentile(values, 10000), 1000u);
    EXPECT_EQ(percentile(values, 0), 1u);
    const std::vector<std::uint64_t> one{7};
    EXPECT_EQ(percentile(one, 9990), 7u);
}

TEST(Summary, MatchesFloatingPointToTheLastDigit) {
    std::mt19937_64 random(2);
    for (const std::size_t size : {1u, 2u, 3u, 10u, 9999u}) {
        std::vector<std::uint64_t> values = random_values(random, size, 5'000'000);
        sort(std::span(values));
        const Summary summary = summarise(values);
        long double sum = 0;
        long double squares = 0;
        for (const std::uint64_t value : values) {
            sum += static_cast<long double>(value);
        }
        const long double mean = sum / static_cast<long double>(size);
        for (const std::uint64_t value : values) {
            squares += (static_cast<long double>(value) - mean) * (static_cast<long double>(value) - mean);
        }
        const long double stddev = std::sqrt(squares / static_cast<long double>(size));
        EXPECT_NEAR(static_cast<double>(summary.mean.value) / 1000, static_cast<double>(mean), 0.0011);
        EXPECT_NEAR(static_cast<double>(summary.stddev.value) / 1000, static_cast<double>(stddev), 0.0011);
        EXPECT_EQ(summary.count, size);
        EXPECT_EQ(summary.min, values.front());
        EXPECT_EQ(summary.max, values.back());
    }
}

TEST(Summary, LargestValuesDoNotOverflow) {
    const std::vector<std::uint64_t> values{0, (1ull << 52) - 1};
    const Summary summary = summarise(values);
    EXPECT_EQ(summary.mean.value, ((1ull << 52) - 1) * 500);
    EXPECT_EQ(summary.stddev.value, ((1ull << 52) - 1) * 500);
}

TEST(Summary, OfNothingIsZero) {
    EXPECT_EQ(summarise({}).count, 0u);
}

TEST(SquareRoot, IsTheFloor) {
    for (const std::uint64_t value : {0ull, 1ull, 2ull, 3ull, 4ull, 8ull, 9ull, 99ull, 100ull, ~0ull}) {
        const Wide root = square_root(value);
        EXPECT_LE(root * root, Wide{value});
        EXPECT_GT((root + 1) * (root + 1), Wide{value});
    }
}

TEST(Histogram, BucketsTileTheRangeWithBoundedWidth) {
    using Table = Histogram<4, 40>;
    EXPECT_EQ(Table::low(0), 0u);
    for (std::size_t bucket = 0; bucket + 1 < Table::buckets; ++bucket) {
        const std::uint64_t low = Table::low(bucket);
        const std::uint64_t high = Table::low(bucket + 1);
        ASSERT_LT(low, high);
        ASSERT_EQ(Table::index(low), bucket);
        ASSERT_EQ(Table::index(high - 1), bucket);
        ASSERT_LE((high - low) * 16, low < 16 ? 16 : low);
    }
    EXPECT_EQ(Table::index((1ull << 40) - 1), Table::buckets - 1);
    EXPECT_EQ(Table::index(~0ull), Table::buckets - 1);
}

TEST(Histogram, CountsSumToTheSamples) {
    std::mt19937_64 random(3);
    Histogram<> histogram;
    for (const std::uint64_t value : random_values(random, 5000, 1ull << 45)) {
        histogram.add(value);
    }
    std::uint64_t sum = 0;
    std::uint64_t end = 0;
    histogram.for_each([&](std::uint64_t low, std::uint64_t high, std::uint32_t count) {
        EXPECT_GE(low, end);
        EXPECT_GT(high, low);
        end = high;
        sum += count;
    });
    EXPECT_EQ(sum, 5000u);
}

TEST(Timeline, CutsIntoAtMostTheGivenPointsAndKeepsExtremes) {
    for (const std::size_t size : {1u, 7u, 200u, 201u, 10'000u, 12'345u}) {
        std::mt19937_64 random(size);
        std::vector<std::uint64_t> times(size);
        std::iota(times.begin(), times.end(), 0);
        std::vector<std::uint64_t> values = random_values(random, size, 1000);
        const std::vector<std::uint64_t> original = values;
        Timeline<200> timeline;
        timeline.build(times, values);
        ASSERT_LE(timeline.points().size(), 200u);
        ASSERT_EQ(timeline.points().front().time, 0u);
        const std::size_t run = (size + 199) / 200;
        ASSERT_EQ(timeline.points().size(), (size + run - 1) / run);
        for (std::size_t point = 0; point < timeline.points().size(); ++point) {
            const auto first = original.begin() + static_cast<std::ptrdiff_t>(point * run);
            const auto last = original.begin() + static_cast<std::ptrdiff_t>(std::min(size, (point + 1) * run));
            ASSERT_EQ(timeline.points()[point].min, *std::min_element(first, last));
            ASSERT_EQ(timeline.points()[point].max, *std::max_element(first, last));
            ASSERT_EQ(timeline.points()[point].time, point * run);
        }
    }
}

TEST(Outliers, KeepTheLargestOnes) {
    std::mt19937_64 random(4);
    const std::vector<std::uint64_t> values = random_values(random, 3000, 1'000'000);
    Outliers<100> outliers;
    for (std::size_t index = 0; index < values.size(); ++index) {
        outliers.add(index, values[index]);
    }
    std::vector<std::uint64_t> sorted = values;
    std::sort(sorted.rbegin(), sorted.rend());
    const auto kept = outliers.above(0);
    ASSERT_EQ(kept.size(), 100u);
    for (std::size_t index = 0; index < kept.size(); ++index) {
        EXPECT_EQ(kept[index].value, sorted[index]);
        EXPECT_EQ(values[kept[index].time], kept[index].value);
    }
    EXPECT_EQ(outliers.above(sorted[10]).size(), 10u);
}

} // namespace

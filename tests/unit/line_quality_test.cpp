// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/line_quality.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "bench/core/frame.hpp"

namespace {

using namespace hil;

constexpr double kLargest = 1024;

// Bytes that a character brings, on average, in pieces of `piece` bytes.
double gain(double piece, double harmed) {
    const double characters = static_cast<double>(frame::text_size(static_cast<std::size_t>(piece), frame::Lane::high));
    return piece * std::pow(1 - harmed, characters) / characters;
}

// A line that harms each character with the chance `harmed`, for so many frames; the quality learned from it.
LineQuality learned(double harmed, int frames, unsigned seed, LineQuality quality = LineQuality(kLargest)) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> chance(0, 1);
    for (int i = 0; i < frames; ++i) {
        const std::size_t characters = frame::text_size(quality.piece(), frame::Lane::high);
        if (chance(random) < std::pow(1 - harmed, static_cast<double>(characters))) {
            quality.good(characters);
        } else {
            quality.bad();
        }
    }
    return quality;
}

TEST(LineQuality, BeginsInTheMiddleAndGrowsOnACleanLine) {
    EXPECT_NEAR(static_cast<double>(LineQuality(kLargest).piece()), LineQuality::kFirstPiece, 4);
    EXPECT_EQ(learned(0, 20, 1).piece(), 1024u);
    EXPECT_EQ(learned(0, 20, 1, LineQuality(100)).piece(), 100u) << "never more than the line takes";
}

TEST(LineQuality, FindsPiecesThatBringAlmostTheMostThereIs) {
    for (const double harmed : {0.02, 0.01, 0.003, 0.001}) {
        double best = 0;
        for (double piece = LineQuality::kSmallestPiece; piece <= kLargest; ++piece) {
            best = std::max(best, gain(piece, harmed));
        }
        for (unsigned seed = 1; seed <= 5; ++seed) {
            double sum = 0;
            LineQuality quality = learned(harmed, 200, seed);
            for (unsigned i = 0; i < 50; ++i) {
                quality = learned(harmed, 5, 100 * seed + i, quality);
                sum += gain(static_cast<double>(quality.piece()), harmed);
            }
            EXPECT_GT(sum / 50, 0.85 * best) << harmed;
        }
    }
}

TEST(LineQuality, ForgetsABadTime) {
    LineQuality quality = learned(0.02, 200, 3);
    EXPECT_LT(quality.piece(), 60u);
    quality = learned(0, 400, 3, quality);
    EXPECT_EQ(quality.piece(), 1024u);
}

TEST(LineQuality, OneBadFrameOnAGoodLineIsNoBadLine) {
    LineQuality quality = learned(0, 100, 4);
    quality.bad();
    EXPECT_GT(quality.piece(), 200u);
}

TEST(LineQuality, WhatArrivedAfterAllIsForgiven) {
    LineQuality quality = learned(0, 100, 5);
    const std::size_t before = quality.piece();
    quality.bad();
    quality.bad();
    EXPECT_LT(quality.piece(), before / 2);
    quality.forgive(2);
    EXPECT_GT(quality.piece(), before * 9 / 10);
    quality.forgive(1000);
    EXPECT_EQ(quality.piece(), 1024u);
    EXPECT_GT(quality.harmed(), 0.0) << "no line is taken for perfect";
}

TEST(LineQuality, NothingIsTooBadForTheSmallestPiece) {
    LineQuality quality(kLargest);
    for (int i = 0; i < 1000; ++i) {
        quality.bad();
    }
    EXPECT_EQ(quality.piece(), static_cast<std::size_t>(LineQuality::kSmallestPiece));
    EXPECT_EQ(LineQuality(3).piece(), static_cast<std::size_t>(LineQuality::kSmallestPiece));
}

} // namespace

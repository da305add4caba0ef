// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/answer_stream.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace {

using namespace hil;

std::string text_of(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += static_cast<char>('a' + i * 7 % 26);
    }
    return text;
}

TEST(AnswerStream, AsksForWhatLacks) {
    const std::string text = text_of(100);
    AnswerStream stream;
    const Wanted all = stream.wanted(100, 10, 64);
    EXPECT_EQ(std::tuple(all.from, all.until, all.skip, all.last, all.pieces), std::tuple(0u, 100u, 0u, 90u, 10u));
    stream.put(0, text.substr(0, 10));
    stream.put(30, text.substr(30, 10));
    stream.put(90, text.substr(90, 10));
    const Wanted rest = stream.wanted(100, 10, 64); // pieces 10, 20, (30), 40 … 80, (90)
    EXPECT_EQ(std::tuple(rest.from, rest.until, rest.skip), std::tuple(10u, 100u, (1u << 2) | (1u << 8)));
    EXPECT_EQ(std::tuple(rest.last, rest.pieces), std::tuple(80u, 7u));
    const Wanted some = stream.wanted(100, 10, 2);
    EXPECT_EQ(std::tuple(some.from, some.until, some.pieces), std::tuple(10u, 30u, 2u));
    const Wanted larger = stream.wanted(100, 45, 64); // no piece of 45 bytes is there as a whole
    EXPECT_EQ(std::tuple(larger.skip, larger.last, larger.pieces), std::tuple(0u, 55u, 2u));
}

TEST(AnswerStream, NothingLacksOfWhatIsThere) {
    AnswerStream stream;
    EXPECT_EQ(stream.wanted(0, 16, 64).pieces, 0u);
    stream.put(0, "whole");
    EXPECT_EQ(stream.wanted(5, 16, 64).pieces, 0u);
}

// Pieces of any size, in any order, doubled and overlapping: what is there is right, and what is asked for lacks.
TEST(AnswerStream, PutsAnythingTogether) {
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        const std::string text = text_of(1 + random() % 700);
        const auto size = static_cast<std::uint32_t>(text.size());
        std::vector<bool> known(text.size(), false);
        AnswerStream stream;
        for (int i = 0; i < 60 && stream.size() < size; ++i) {
            const std::size_t at = random() % text.size();
            const std::string piece = text.substr(at, 1 + random() % 60);
            stream.put(static_cast<std::uint32_t>(at), piece);
            std::fill_n(known.begin() + static_cast<std::ptrdiff_t>(at), piece.size(), true);
            const auto gap = static_cast<std::size_t>(std::find(known.begin(), known.end(), false) - known.begin());
            ASSERT_EQ(stream.bytes(), text.substr(0, gap));
            ASSERT_EQ(stream.received(), static_cast<std::size_t>(std::count(known.begin(), known.end(), true)));
        }
        for (int asking = 0; stream.size() < size; ++asking) { // half of what is asked for comes
            ASSERT_LT(asking, 100);
            const auto piece = static_cast<std::uint32_t>(1 + random() % 50);
            const Wanted wanted = stream.wanted(size, piece, 1 + random() % 64);
            ASSERT_GT(wanted.pieces, 0u);
            unsigned pieces = 0;
            std::uint32_t last = 0;
            for (std::uint32_t k = 0, at = wanted.from; at < wanted.until; ++k, at += piece) {
                if ((wanted.skip >> k & 1) == 0) {
                    ++pieces;
                    last = at;
                    if (asking > 40 || random() % 2 == 0) {
                        stream.put(at, text.substr(at, std::min(piece, wanted.until - at)));
                    }
                }
            }
            ASSERT_EQ(std::pair(pieces, last), std::pair(wanted.pieces, wanted.last));
        }
        ASSERT_EQ(stream.bytes(), text);
        ASSERT_EQ(stream.received(), text.size());
    }
}

// Beyond the last offset that a frame can name there is nothing; the piece did lie at its beginning, cut to 32 bits.
TEST(AnswerStream, APieceThatReachesBeyondTheLastOffsetIsCutThere) {
    AnswerStream stream;
    stream.put(0xfffffffcu, "abcdefgh");
    EXPECT_EQ(stream.received(), 4u);
    stream.put(0xfffffffeu, "0123456789");
    EXPECT_EQ(stream.received(), 4u);
    stream.put(0, "xy");
    EXPECT_EQ(stream.bytes(), "xy");
    EXPECT_EQ(stream.received(), 6u);
}

// Whoever speaks for the agent cannot fill our memory with pieces behind gaps.
TEST(AnswerStream, KeepsOnlySoManyPiecesBehindGaps) {
    AnswerStream stream;
    for (std::uint32_t i = 1; i < 100'000; ++i) {
        stream.put(2 * i, "x");
    }
    EXPECT_EQ(stream.received(), AnswerStream::kMaxAhead);
    stream.put(0, "ab");
    EXPECT_EQ(stream.bytes(), "abx");
}

} // namespace

// SPDX-License-Identifier: Apache-2.0
// What is packed comes out again, in whatever pieces it went in and travelled; what is damaged is told.
#include "driver/agent/packing.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/random_bytes.hpp"

namespace hil::agent {
namespace {

constexpr std::size_t kLimit = 1 << 20;

std::string text(std::size_t size) {
    std::string result;
    for (int line = 0; result.size() < size; ++line) {
        result += "line " + std::to_string(line) + " of some output\n";
    }
    return result.substr(0, size);
}

TEST(Packing, GivesBackWhatItWasGivenInAnyPieces) {
    std::mt19937 random(1);
    for (unsigned round = 0; round < 200; ++round) {
        const std::size_t size = random() % 20'000;
        const std::string whole = round % 2 == 0 ? text(size) : test::random_bytes(size, round);
        std::string travels;
        Packer packer(1 + static_cast<int>(round % 9));
        for (std::size_t at = 0; at < size;) {
            const std::size_t count = 1 + random() % 5000;
            packer.add(std::string_view(whole).substr(at, count), travels);
            at += count;
        }
        packer.finish(travels);
        Unpacker unpacker(kLimit);
        for (std::size_t at = 0; at < travels.size();) {
            EXPECT_FALSE(unpacker.ended());
            const std::size_t count = 1 + random() % 3000;
            ASSERT_TRUE(unpacker.add(std::string_view(travels).substr(at, count)));
            at += count;
        }
        EXPECT_TRUE(unpacker.ended());
        EXPECT_EQ(unpacker.bytes(), whole);
    }
}

TEST(Packing, TellsAllThatWasAddedBeforeAFlush) {
    const std::string whole = text(3000);
    Packer packer(1);
    Unpacker unpacker(kLimit);
    std::string travels;
    for (std::size_t at = 0; at < whole.size(); at += 100) {
        const std::size_t before = travels.size();
        packer.add(std::string_view(whole).substr(at, 100), travels);
        packer.flush(travels);
        ASSERT_TRUE(unpacker.add(std::string_view(travels).substr(before)));
        EXPECT_EQ(unpacker.bytes(), whole.substr(0, at + 100));
        const std::size_t flushed = travels.size();
        packer.flush(travels); // with nothing new it says nothing
        EXPECT_EQ(travels.size(), flushed);
    }
    EXPECT_FALSE(unpacker.ended());
}

TEST(Packing, MakesTextAndSmallThingsShortAndNoiseHardlyLonger) {
    EXPECT_LT(packed(text(50'000), 1).size(), 12'500u);
    EXPECT_LE(packed("ok\n", 1).size(), 5u);
    EXPECT_LE(packed(test::random_bytes(50'000, 1), 1).size(), 50'050u);
    EXPECT_LE(packed("", 1).size(), 2u);
}

TEST(Packing, RefusesWhatIsNotPacked) {
    EXPECT_FALSE(Unpacker(kLimit).add("\xff\xff\xff\xff"));
    Unpacker trailing(kLimit);
    ASSERT_TRUE(trailing.add(packed("all", 6)));
    EXPECT_FALSE(trailing.add("more"));
    Unpacker together(kLimit);
    EXPECT_FALSE(together.add(packed("all", 6) + "more"));
    Unpacker after(kLimit);
    EXPECT_FALSE(after.add("\xff"));
    EXPECT_FALSE(after.add(packed("all", 6))); // once wrong, nothing more is taken
}

TEST(Packing, UnpacksNoMoreThanTheLimit) {
    const std::string travels = packed(std::string(kLimit, 'x'), 6);
    EXPECT_LT(travels.size(), 2000u);
    EXPECT_TRUE(Unpacker(kLimit).add(travels));
    Unpacker less(kLimit - 1);
    EXPECT_FALSE(less.add(travels));
    Unpacker far_less(1000);
    EXPECT_FALSE(far_less.add(travels));
    EXPECT_LE(far_less.bytes().size(), 1000u + 4096u);
}

} // namespace
} // namespace hil::agent

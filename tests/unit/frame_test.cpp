// SPDX-License-Identifier: Apache-2.0
// The frame codec: what goes in comes out, beside any text, and never anything else.
#include "bench/core/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace hil::frame;

struct Taken {
    Type type;
    std::uint8_t flags;
    std::uint32_t id;
    std::uint32_t offset;
    std::vector<std::uint8_t> payload;
    Lane lane;
    bool operator==(const Taken&) const = default;
};

struct Sink {
    std::string others;
    std::vector<Taken> frames;
    int damage = 0;
    std::size_t given_back = 0;
    void text(std::span<const char> bytes) { others.append(bytes.data(), bytes.size()); }
    void frame(const Frame& f, Lane lane) {
        frames.push_back({f.type, f.flags, f.id, f.offset, {f.payload.begin(), f.payload.end()}, lane});
    }
    void damaged(Lane, std::size_t characters) {
        ++damage;
        given_back += characters;
    }
};

std::string encoded(const Taken& taken) {
    std::array<char, kMaxText> text{};
    const Frame frame{taken.type, taken.flags, taken.id, taken.offset, taken.payload};
    return {text.data(), encode(frame, taken.lane, text)};
}

Taken random_frame(std::mt19937& random, Lane lane, std::size_t length) {
    Taken taken{Type::data,
                static_cast<std::uint8_t>(random()),
                static_cast<std::uint32_t>(random()),
                static_cast<std::uint32_t>(random()),
                std::vector<std::uint8_t>(length),
                lane};
    for (auto& byte : taken.payload) {
        byte = static_cast<std::uint8_t>(random());
    }
    return taken;
}

Sink decoded(std::string_view bytes) {
    Sink sink;
    Decoder decoder;
    decoder.feed(bytes, sink);
    decoder.release(sink);
    return sink;
}

class FrameLane : public testing::TestWithParam<Lane> {};
INSTANTIATE_TEST_SUITE_P(Lanes, FrameLane, testing::Values(Lane::plain, Lane::high));

TEST_P(FrameLane, EveryLengthComesBackWhole) {
    std::mt19937 random(1);
    for (std::size_t length = 0; length <= kMaxPayload; ++length) {
        const Taken taken = random_frame(random, GetParam(), length);
        const std::string text = encoded(taken);
        ASSERT_EQ(text.size(), text_size(length, GetParam()));
        const Sink sink = decoded("before" + text + "after");
        ASSERT_EQ(sink.frames, std::vector{taken});
        ASSERT_EQ(sink.others, "beforeafter");
        ASSERT_EQ(sink.damage, 0);
    }
}

// All characters of many frames, without the lane's bit.
std::string characters(Lane lane, Type type) {
    std::mt19937 random(2);
    std::string all;
    for (int i = 0; i < 300; ++i) {
        Taken taken = random_frame(random, lane, random() % 300);
        taken.type = type;
        for (const char c : encoded(taken)) {
            const auto raw = static_cast<unsigned char>(c);
            EXPECT_EQ(raw & 0x80u, static_cast<unsigned>(lane));
            all.push_back(static_cast<char>(raw & 0x7fu));
        }
    }
    return all;
}

TEST(Frame, InThePlainLaneUsesNoControlCharacterAndNothingThatAShellActsOn) {
    const std::string all = characters(Lane::plain, Type::data);
    EXPECT_EQ(all.find_first_of("`$;&|> \x7f"), std::string::npos);
    EXPECT_TRUE(std::ranges::all_of(all, [](char c) { return c > 0x20; }));
}

TEST(Frame, InTheHighLaneUsesNothingThatATerminalOrALineEditorReadsOnFromAndNoEscapeOfTelnets) {
    const std::string all = characters(Lane::high, Type::data);
    EXPECT_EQ(all.find_first_of("\r\n\x10\x18\x1a\x1b\x1d\x1e\x1f\x7f"), std::string::npos);
    EXPECT_NE(all.find('\x01'), std::string::npos) << "other control codes are digits";
}

TEST(Frame, HelloAndWelcomeAreTheSameInBothLanes) {
    for (const Type type : {Type::hello, Type::welcome}) {
        EXPECT_EQ(characters(Lane::plain, type), characters(Lane::high, type));
    }
    std::mt19937 random(10);
    for (const Lane lane : {Lane::plain, Lane::high}) {
        Taken taken = random_frame(random, lane, 33);
        taken.type = Type::welcome;
        EXPECT_EQ(decoded(encoded(taken)).frames, std::vector{taken});
    }
}

// How a program of another age finds out that it is one: this is what it says and hears.
TEST(Frame, TheFormOfHelloStays) {
    const Taken hello{Type::hello, 0, 0x12300000, 0, {1, 2, 3}, Lane::plain};
    EXPECT_EQ(encoded(hello), R"(~{!@@5'!!"ah!!!!!!@RCv#w0Z})");
    EXPECT_EQ(decoded(encoded(hello)).frames, std::vector{hello});
}

TEST(Frame, InTheHighLaneTakesSevenCharactersForSixBytes) {
    EXPECT_EQ(text_size(1024, Lane::high), 3u + 173 * 7 + 3);
    EXPECT_EQ(text_size(1024, Lane::plain), 3u + 260 * 5);
    EXPECT_EQ(text_size(0, Lane::high), 3u + 2 * 7 + 5);
}

TEST(Frame, InTheOtherCodeIsDamage) {
    std::mt19937 random(11);
    std::string wide = encoded(random_frame(random, Lane::high, 30));
    std::ranges::transform(wide, wide.begin(), [](char c) { return static_cast<char>(c & 0x7f); });
    EXPECT_TRUE(decoded(wide).frames.empty()) << "a line that clears bit 7";
    std::string narrow = encoded(random_frame(random, Lane::plain, 30));
    std::ranges::transform(narrow, narrow.begin(), [](char c) { return static_cast<char>(c | 0x80); });
    const Sink sink = decoded(narrow);
    EXPECT_TRUE(sink.frames.empty()) << "only hello and welcome are narrow there";
    EXPECT_EQ(sink.damage, 1);
}

// The text ends with digits that stand for no byte.
TEST_P(FrameLane, ADigitTooManyIsDamage) {
    std::mt19937 random(12);
    for (std::size_t length = 0; length < 12; ++length) {
        const std::string text = encoded(random_frame(random, GetParam(), length));
        for (int value = 0; value < 128; ++value) {
            std::string longer = text;
            longer.insert(text.size() - 1, 1, static_cast<char>(value | static_cast<int>(GetParam())));
            if (value != '\r' && value != '\n' && value != '}' && value != '~') {
                ASSERT_TRUE(decoded(longer).frames.empty()) << length << " " << value;
            }
        }
    }
}

TEST_P(FrameLane, AnyCutOfTheInputGivesTheSame) {
    std::mt19937 random(3);
    const Taken first = random_frame(random, GetParam(), 40);
    const Taken second = random_frame(random, GetParam(), 3);
    const std::string bytes = "x~y\n" + encoded(first) + "~{" + encoded(second) + "\r\n";
    const Sink whole = decoded(bytes);
    ASSERT_EQ(whole.frames, (std::vector{first, second}));
    for (std::size_t step = 1; step < 9; ++step) {
        Sink sink;
        Decoder decoder;
        for (std::size_t i = 0; i < bytes.size(); i += step) {
            decoder.feed(std::string_view(bytes).substr(i, step), sink);
        }
        decoder.release(sink);
        ASSERT_EQ(sink.frames, whole.frames);
        ASSERT_EQ(sink.others, whole.others);
    }
}

TEST_P(FrameLane, EveryDamagedByteIsNoticedAndTheNextFrameIsRead) {
    std::mt19937 random(4);
    const Taken first = random_frame(random, GetParam(), 33);
    const Taken second = random_frame(random, GetParam(), 17);
    const std::string text = encoded(first);
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (int value = 0; value < 256; ++value) {
            std::string damaged = text;
            damaged[i] = static_cast<char>(value);
            if (damaged == text) {
                continue;
            }
            const Sink sink = decoded(damaged + encoded(second));
            ASSERT_FALSE(sink.frames.empty()) << i << " " << value;
            ASSERT_EQ(sink.frames.back(), second);
            // A line end in place of a character is skipped, hence damage as well.
            ASSERT_EQ(sink.frames.size(), 1u) << i << " " << value;
        }
    }
}

TEST_P(FrameLane, LostAndDoubledBytesAreNoticed) {
    std::mt19937 random(5);
    const Taken first = random_frame(random, GetParam(), 33);
    const Taken second = random_frame(random, GetParam(), 17);
    const std::string text = encoded(first);
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string lost = text;
        lost.erase(i, 1);
        ASSERT_EQ(decoded(lost + encoded(second)).frames, std::vector{second}) << i;
        std::string doubled = text;
        doubled.insert(i, 1, text[i]);
        const auto frames = decoded(doubled + encoded(second)).frames;
        ASSERT_EQ(frames.back(), second) << i;
        for (const Taken& taken :
             frames) { // a doubled start begins anew, a doubled end is text: both leave the frame whole
            ASSERT_TRUE(taken == first || taken == second);
        }
    }
}

TEST_P(FrameLane, WrappingDoesNoHarm) {
    std::mt19937 random(6);
    const Taken taken = random_frame(random, GetParam(), kMaxPayload);
    std::string wrapped;
    for (const char c : encoded(taken)) {
        wrapped += c;
        if (wrapped.size() % 82 == 80) {
            wrapped += "\r\n";
        }
    }
    EXPECT_EQ(decoded(wrapped).frames, std::vector{taken});
}

TEST(Frame, AsciiSplicedIntoTheHighLaneHarmsNeither) {
    std::mt19937 random(7);
    const std::string line = "[   12.345678] Parking CPU 1 (Cell: \"inmate\") ~{x}\r\n";
    for (int round = 0; round < 300; ++round) {
        const Taken taken = random_frame(random, Lane::high, random() % 200);
        const std::string text = encoded(taken);
        std::string mixed;
        std::size_t a = 0;
        std::size_t b = 0;
        while (a < text.size() || b < line.size()) { // character by character, at random
            const bool ours = b == line.size() || (a < text.size() && random() % 3 != 0);
            mixed += ours ? text[a++] : line[b++];
        }
        const Sink sink = decoded(mixed);
        ASSERT_EQ(sink.frames, std::vector{taken});
        ASSERT_EQ(sink.others, line);
    }
}

TEST(Frame, OneDamagedFrameOfTheHighLaneIsToldOnceWhereverItBrokeOff) {
    std::mt19937 random(9);
    const std::string text = encoded(random_frame(random, Lane::high, 30));
    const std::string next = encoded(random_frame(random, Lane::high, 5));
    const auto damage = [&](const std::string& bytes) {
        const Sink sink = decoded(bytes + next);
        EXPECT_EQ(sink.frames.size(), 1u);
        return sink.damage;
    };
    EXPECT_EQ(damage(text.substr(1)), 1) << "its start was lost";
    EXPECT_EQ(damage(text.substr(0, text.size() - 1)), 1) << "its end was lost";
    EXPECT_EQ(damage("\xfd\xfd"), 2) << "two ends of frames that nobody saw begin";
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        std::string broken = text;
        broken[i] = '\x9b'; // in no frame: it ends here, and the rest of it is not damage again
        EXPECT_EQ(damage(broken), 1) << i;
    }
    EXPECT_EQ(decoded("} no frame }").damage, 0) << "in seven bits an end mark is anybody's";
}

TEST(Frame, TextWithTildesAndUtf8StaysText) {
    const std::string text = "root@board:~# echo ~{a,b} ~~ {} \xc2\xb0 \xe2\x82\xac ~{!!!!!!!!!!!!!!!!!!!!!!!!!}\n~";
    EXPECT_EQ(decoded(text).others, text);
    EXPECT_TRUE(decoded(text).frames.empty());
}

TEST(Frame, HoldsBackNoMoreThanAFrame) {
    Sink sink;
    Decoder decoder;
    const std::string endless = "~{" + std::string(10'000, '!');
    decoder.feed(endless, sink);
    EXPECT_GE(sink.others.size(), endless.size() - kMaxText - 128);
    EXPECT_TRUE(decoder.pending() || sink.others.size() == endless.size());
    decoder.release(sink);
    EXPECT_EQ(sink.others, endless);
    EXPECT_FALSE(decoder.pending());
}

TEST(Frame, TooBigPayloadOrTextIsRefused) {
    std::array<char, kMaxText> text{};
    const std::vector<std::uint8_t> payload(kMaxPayload + 1);
    EXPECT_EQ(encode({Type::data, 0, 1, 0, payload}, Lane::high, text), 0u);
    EXPECT_EQ(encode({Type::data, 0, 1, 0, {}}, Lane::high, std::span(text).first(text_size(0, Lane::high) - 1)), 0u);
}

TEST(Frame, NoiseMakesNoFrames) {
    std::mt19937 random(8);
    Sink sink;
    Decoder decoder;
    for (int i = 0; i < 2000; ++i) {
        std::string noise(1000, '\0');
        for (char& c : noise) {
            c = static_cast<char>(random());
        }
        decoder.feed(noise, sink);
    }
    EXPECT_TRUE(sink.frames.empty());
    EXPECT_GT(sink.damage, 1000);
}

TEST(Frame, CrcIsTheOneOfIeee) {
    const std::string_view check = "123456789";
    EXPECT_EQ(crc32({reinterpret_cast<const std::uint8_t*>(check.data()), check.size()}), 0xcbf43926u);
}

} // namespace

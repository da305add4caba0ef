// SPDX-License-Identifier: Apache-2.0
// Good frames for the harnesses: no fuzzer guesses a checksum.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/core/frame.hpp"

namespace hil {

/// The text with a frame in place of each NUL: the byte after it says the lane (bit 0), whether its first (bit 1) or a
/// middle character (bit 2) is missing, and how many of the bytes that follow are its payload (the other bits); with
/// some numbers of them it is a welcome, whose code is another one in the high lane.
inline std::string with_frames(std::string_view script) {
    std::string text;
    for (std::size_t i = 0; i < script.size(); ++i) {
        if (script[i] != '\0' || i + 1 == script.size()) {
            text.push_back(script[i]);
            continue;
        }
        const auto how = static_cast<std::uint8_t>(script[++i]);
        const std::string_view payload = script.substr(i + 1, how >> 3);
        i += payload.size();
        std::array<char, frame::kMaxText> encoded{};
        const frame::Lane lane = (how & 1) != 0 ? frame::Lane::high : frame::Lane::plain;
        const std::span bytes(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
        const frame::Type type = payload.size() % 4 == 3 ? frame::Type::welcome : frame::Type::data;
        std::string one(encoded.data(),
                        frame::encode({type, how, static_cast<std::uint32_t>(i), 7, bytes}, lane, encoded));
        one.erase(0, (how & 2) != 0 ? 1 : 0);
        one.erase(one.size() / 2, (how & 4) != 0 ? 1 : 0);
        text += one;
    }
    return text;
}

} // namespace hil

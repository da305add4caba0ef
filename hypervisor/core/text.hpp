// SPDX-License-Identifier: Apache-2.0
// Text output without printf: `out << "CPU " << 3 << hex(address)`. The sink gets one character at a time.
#pragma once

#include <cstdint>
#include <string_view>

namespace gaol {

/// A number to be written in hexadecimal: at least `width` digits (0: as many as needed), no prefix.
struct Hex {
    uint64_t value;
    unsigned width;
};
constexpr Hex hex(uint64_t value, unsigned width = 0) {
    return {value, width};
}

class TextSink {
  public:
    virtual void put(char character) = 0;

  protected:
    ~TextSink() = default;
};

class Text {
  public:
    explicit Text(TextSink& sink) : sink_(sink) {}

    Text& operator<<(std::string_view text);
    Text& operator<<(const char* text) { return *this << std::string_view(text); }
    Text& operator<<(char character);
    Text& operator<<(uint64_t value);
    Text& operator<<(uint32_t value) { return *this << static_cast<uint64_t>(value); }
    Text& operator<<(int value);
    Text& operator<<(Hex number);

  private:
    TextSink& sink_;
};

} // namespace gaol

// SPDX-License-Identifier: Apache-2.0
// JSON without a heap: pieces go to a sink as they come.
#pragma once

#include "bench/core/summary.hpp"

#include <concepts>
#include <cstdint>
#include <string_view>

namespace hil::bench {

template <class Type>
concept TextSink = requires(Type& sink, std::string_view text) {
    { sink.write(text) } -> std::same_as<void>;
};

/// Objects and arrays nest by open and close; commas are set as needed. At most 31 levels.
template <TextSink Sink> class JsonWriter {
  public:
    explicit JsonWriter(Sink& sink) : sink_(sink) {}

    void open_object() { open('{'); }
    void close_object() { close('}'); }
    void open_array() { open('['); }
    void close_array() { close(']'); }

    void key(std::string_view name) {
        value(name);
        sink_.write(":");
        separated_ |= bit();
    }

    void value(std::string_view text) {
        separate();
        sink_.write("\"");
        for (const char character : text) {
            write_escaped(character);
        }
        sink_.write("\"");
    }

    void value(std::uint64_t number) {
        separate();
        write_number(number, 1);
    }

    void value(Milli number) {
        separate();
        write_number(number.value / 1000, 1);
        sink_.write(".");
        write_number(number.value % 1000, 3);
    }

    template <class Value> void member(std::string_view name, Value content) {
        key(name);
        value(content);
    }

  private:
    std::uint32_t bit() const { return 1u << level_; }

    /// `separated_` has the bit of a level set while no comma is due there.
    void separate() {
        if (!(separated_ & bit())) {
            sink_.write(",");
        }
        separated_ &= ~bit();
    }

    void open(char bracket) {
        separate();
        sink_.write({&bracket, 1});
        ++level_;
        separated_ |= bit();
    }

    void close(char bracket) {
        sink_.write({&bracket, 1});
        --level_;
    }

    void write_escaped(char character) {
        const auto code = static_cast<unsigned char>(character);
        if (character == '"' || character == '\\') {
            sink_.write("\\");
            sink_.write({&character, 1});
        } else if (code < 0x20) {
            const char escape[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[code >> 4], "0123456789abcdef"[code & 0xf]};
            sink_.write({escape, sizeof escape});
        } else {
            sink_.write({&character, 1});
        }
    }

    void write_number(std::uint64_t number, unsigned digits) {
        char text[20];
        unsigned start = sizeof text;
        do {
            text[--start] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0 || sizeof text - start < digits);
        sink_.write({text + start, sizeof text - start});
    }

    Sink& sink_;
    unsigned level_ = 0;
    std::uint32_t separated_ = 1;
};

} // namespace hil::bench

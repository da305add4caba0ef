// SPDX-License-Identifier: Apache-2.0
// The frame decoder: no input breaks it, text is never invented, and a frame after any input is still read.
#include "bench/core/frame.hpp"

#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/fuzz/frame_script.hpp"

namespace {

using namespace hil::frame;

struct Sink {
    std::string others;
    std::size_t frames = 0;
    std::size_t given_back = 0;
    std::uint32_t last_id = 0;
    void text(std::span<const char> bytes) { others.append(bytes.data(), bytes.size()); }
    void frame(const Frame& frame, Lane) {
        ++frames;
        last_id = frame.id;
        volatile std::uint8_t touched = 0; // all of the payload can be read
        for (const std::uint8_t byte : frame.payload) {
            touched = byte;
        }
        (void)touched;
    }
    void damaged(Lane, std::size_t characters) { given_back += characters; }
};

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view given(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::string script = hil::with_frames(data[0] < 128 ? "" : given);
    const std::string_view input = data[0] < 128 ? given : script;
    const std::size_t step = 1 + data[0] % 64;

    Sink whole;
    Decoder decoder;
    decoder.feed(input, whole);
    require(whole.others.size() <= input.size());
    require(whole.given_back <= whole.others.size());

    Sink pieces; // cut differently, the same comes out
    Decoder other;
    for (std::size_t i = 0; i < input.size(); i += step) {
        other.feed(input.substr(i, step), pieces);
    }
    require(pieces.frames == whole.frames && pieces.others == whole.others);

    std::array<char, kMaxText> text{}; // and the line recovers
    const std::uint32_t id = whole.last_id ^ 0x5a5a5a5au;
    const Lane lane = data[0] % 2 == 0 ? Lane::plain : Lane::high;
    const std::size_t length = encode({Type::state, 1, id, 3, {data, size < 64 ? size : 64}}, lane, text);
    decoder.feed({text.data(), length}, whole);
    require(whole.last_id == id);
    decoder.release(whole);
    require(!decoder.pending());
    return 0;
}

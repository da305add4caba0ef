// SPDX-License-Identifier: Apache-2.0
// What an agent, or whoever speaks for it, may send for a packed stream: nothing of it goes beyond the limit, and the
// pieces that it comes in make no difference. What was packed comes out as it went in.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "driver/agent/packing.hpp"

namespace {

using namespace hil::agent;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void unpack(std::string_view bytes, std::size_t piece, std::size_t limit) {
    Unpacker whole(limit);
    const bool good = whole.add(bytes);
    require(whole.bytes().size() <= limit + 4096);
    Unpacker pieces(limit);
    bool same = true;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        same = pieces.add(bytes.substr(at, piece)) && same;
    }
    require(same == good);
    require(!good || (pieces.bytes() == whole.bytes() && pieces.ended() == whole.ended()));
}

void pack(std::string_view bytes, std::size_t piece, int level) {
    std::string travels;
    Packer packer(level);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        packer.add(bytes.substr(at, piece), travels);
        if (piece % 2 == 0) {
            packer.flush(travels);
        }
    }
    packer.finish(travels);
    Unpacker unpacker(bytes.size());
    require(unpacker.add(travels) && unpacker.ended() && unpacker.bytes() == bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t piece = 1 + data[1];
    if (data[0] % 2 == 0) {
        unpack(bytes, piece, std::size_t{1} << data[0] / 2 % 24);
    } else {
        pack(bytes, piece, 1 + data[0] / 2 % 9);
    }
    return 0;
}

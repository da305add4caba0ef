// SPDX-License-Identifier: Apache-2.0
// What a console takes from an agent beside its frames: answers in pieces, in any order and from anybody; and what is
// left of damaged frames. Each is compared with the plainest way to do the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "bench/core/frame.hpp"
#include "hil/lib/agent_remains.hpp"
#include "hil/lib/answer_stream.hpp"

namespace {

using namespace hil;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : left_(reinterpret_cast<const char*>(data), size) {}
    [[nodiscard]] bool empty() const { return left_.empty(); }
    std::uint32_t number(std::size_t bytes) {
        std::uint32_t value = 0;
        for (const char c : bytes_of(bytes)) {
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
    std::string_view bytes_of(std::size_t count) {
        const std::string_view taken = left_.substr(0, count);
        left_.remove_prefix(taken.size());
        return taken;
    }

  private:
    std::string_view left_;
};

// Offsets as an agent says them, and at the ends of what it can say.
std::uint32_t offset_of(Input& input) {
    const std::uint32_t kind = input.number(1);
    const std::uint32_t low = input.number(2);
    return kind % 8 == 0 ? 0xffffffffu - low : kind % 8 == 1 ? low << 16 : low;
}

void check_wanted(const AnswerStream& stream, const std::map<std::uint64_t, char>& known, Input& input) {
    const std::uint32_t size = std::max(offset_of(input), static_cast<std::uint32_t>(stream.size()));
    const std::uint32_t piece = 1 + input.number(2) % 1024;
    const unsigned most = 1 + input.number(1) % 80;
    const Wanted wanted = stream.wanted(size, piece, most);
    require(wanted.from == stream.size() && wanted.until <= size && wanted.piece == piece);
    require(wanted.until - wanted.from <= std::uint64_t{piece} * std::min(most, AnswerStream::kMaxPieces));
    require((wanted.pieces > 0) == (stream.size() < size)); // the first byte that is asked for lacks: a gap
    unsigned pieces = 0;
    std::uint64_t last = wanted.from;
    unsigned bit = 0;
    for (std::uint64_t at = wanted.from; at < wanted.until; at += piece, ++bit) {
        const auto end = std::min<std::uint64_t>(at + piece, wanted.until);
        const auto from = known.lower_bound(at);
        const auto there = static_cast<std::uint64_t>(std::distance(from, known.lower_bound(end)));
        require((wanted.skip >> bit & 1) == (there == end - at ? 1u : 0u));
        pieces += there == end - at ? 0 : 1;
        last = there == end - at ? last : at;
    }
    require(pieces == wanted.pieces && last == wanted.last && (bit == 64 || wanted.skip >> bit == 0));
}

// Whoever speaks for the agent may say other bytes for what is known: then the first ones count.
void put_together(Input& input) {
    AnswerStream stream;
    std::map<std::uint64_t, char>
        known; // by offset; up to the limit of pieces behind gaps, which has a test of its own
    for (int step = 0; step < 200 && !input.empty(); ++step) {
        if (input.number(1) % 4 == 0) {
            check_wanted(stream, known, input);
            continue;
        }
        const std::uint32_t offset = offset_of(input);
        const std::string_view piece = input.bytes_of(input.number(1));
        stream.put(offset, piece);
        for (std::size_t i = 0; i < piece.size() && std::uint64_t{offset} + i <= 0xffffffffu; ++i) {
            known.emplace(std::uint64_t{offset} + i, piece[i]);
        }
        require(stream.received() == known.size());
        require(stream.size() <= known.size());
        std::size_t at = 0;
        for (auto byte = known.begin(); byte != known.end() && byte->first == at; ++byte, ++at) {
            require(at < stream.size() && stream.bytes()[at] == byte->second);
        }
        require(at == stream.size());
    }
}

// Nobody's characters are taken for the agent's but on credit, and each is told once.
void take_remains(Input& input) {
    AgentRemains remains;
    std::size_t paid = 0;
    std::size_t told = 0;
    std::size_t given = 0;
    while (!input.empty()) {
        const std::uint32_t what = input.number(1) % 4;
        if (what == 0) {
            remains.frame();
            paid += AgentRemains::kPerFrame;
        } else if (what == 1) {
            const std::string_view line = input.bytes_of(input.number(1) * 32);
            const std::string others = remains.strip(line);
            std::string expected; // the characters of the agent are the first high ones
            std::size_t stripped = line.size() - others.size();
            told += stripped;
            for (const char c : line) {
                const bool agents = stripped > 0 && frame::is_high(static_cast<unsigned char>(c));
                stripped -= agents ? 1 : 0;
                expected += agents ? "" : std::string(1, c);
            }
            require(others == expected);
        } else if (what == 2) {
            const std::size_t count = input.number(2);
            remains.given_back(count);
            given += count;
        } else {
            const std::size_t most = input.number(2);
            const std::size_t claimed = remains.claim(most);
            require(claimed <= most && claimed <= given);
            given -= claimed;
            told += claimed;
        }
        require(told <= paid);
    }
    AgentRemains none; // without a good frame there is no agent
    require(none.strip("\xa1\xfe") == "\xa1\xfe");
    none.given_back(5);
    require(none.claim(5) == 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    Input input(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        put_together(input);
    } else {
        take_remains(input);
    }
    return 0;
}

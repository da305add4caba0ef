// SPDX-License-Identifier: Apache-2.0
// The console's parser as a whole: however its bytes are cut, the same frames, lines, writers, facts and traps come
// out, and each byte belongs to one of them, once.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "hil/lib/console_text.hpp"
#include "hil/lib/trap_json.hpp"
#include "tests/fuzz/frame_script.hpp"

namespace {

using namespace hil;

constexpr std::size_t kLineEnds = 128; // that may stand within a frame

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// Keeps all that it is told. What is not part of the result (in which pieces text came) is only added up.
struct Heard : ConsoleTextSink {
    std::string text;
    std::string lines; // put together again
    std::vector<std::string> told;
    std::size_t paid = 0; // of remains, the agent's characters
    std::size_t frames = 0;
    std::array<std::size_t, 2> framed = {}; // characters of good frames, by lane; their line ends not counted
    std::array<std::size_t, 2> good = {};   // frames
    std::array<std::size_t, 2> broken = {};
    bool settling = false;

    static std::size_t lane_of(frame::Lane lane) { return lane == frame::Lane::plain ? 0 : 1; }
    void on_text(std::span<const char> bytes) override { text.append(bytes.data(), bytes.size()); }
    void on_report(bool) override {}
    void on_frame(const frame::Frame& frame, frame::Lane lane) override {
        framed[lane_of(lane)] += frame::text_size(frame.payload.size(), lane, frame.type);
        ++good[lane_of(lane)];
        told.push_back("frame " + std::to_string(static_cast<int>(frame.type)) + " " + std::to_string(frame.id) + " " +
                       std::to_string(frame.offset) + " " + std::to_string(frame.flags) + " " +
                       std::string(frame.payload.begin(), frame.payload.end()));
    }
    void on_damaged(frame::Lane lane) override { ++broken[lane_of(lane)]; }
    void on_line(const ConsoleLine& line) override {
        require(line.whole || line.text.size() == LineAssembler::kMaxLine || settling);
        require(line.text.size() <= LineAssembler::kMaxLine && line.remains <= line.text.size());
        require(line.writer != Writer::agent || line.remains == line.text.size());
        require(!line.whole || !line.text.ends_with('\r'));
        paid += line.remains;
        require(paid <= AgentRemains::kPerFrame * (good[0] + good[1]));
        lines.append(line.text);
        lines.append(line.whole ? "\n" : "");
        told.push_back(std::string("line ") + to_string(line.writer) + (line.whole ? " whole" : " cut") +
                       (line.record ? " record " : " ") + std::to_string(line.remains) + " " + std::string(line.text));
    }
    void on_fact(LifecycleEvent fact) override {
        require(!fact.kind.empty() && fact.cell.size() <= 31);
        told.push_back("fact " + std::string(fact.kind) + " " + fact.cell + " " + std::to_string(fact.cpu) + " " +
                       fact.detail);
    }
    void on_trap(TrapEvent trap) override { traps.push_back(trap_json(trap).dump()); }
    std::vector<std::string> traps; // by themselves: they come when the console asks, after lines or between them
};

// The bytes in pieces of `step`; the line is quiet after each `quiet` bytes, for everybody.
void hear(std::string_view bytes, std::size_t step, std::size_t quiet, bool lines, Heard& heard) {
    ConsoleText text(heard);
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t count = std::min({step, quiet - at % quiet, bytes.size() - at});
        text.feed(bytes.substr(at, count));
        at += count;
        if (at % quiet == 0) {
            heard.settling = true;
            text.settle(lines);
            heard.settling = false;
            require(!text.holds_back());
        }
    }
    heard.settling = true;
    text.finish();
    require(!text.holds_back());
}

// Line ends as lines have them: CRs before a LF are part of it.
std::string with_plain_ends(std::string_view text) {
    std::string plain;
    for (const char c : text) {
        while (c == '\n' && plain.ends_with('\r')) {
            plain.pop_back();
        }
        plain.push_back(c);
    }
    return plain;
}

std::string of_lane(std::string_view text, std::size_t lane) {
    std::string found;
    std::copy_if(text.begin(), text.end(), std::back_inserter(found),
                 [lane](char c) { return (static_cast<unsigned char>(c) >= 0x80) == (lane == 1); });
    return found;
}

bool is_in_order_within(std::string_view some, std::string_view all) {
    std::size_t found = 0;
    for (const char c : all) {
        found += found < some.size() && some[found] == c ? 1 : 0;
    }
    return found == some.size();
}

// Each byte is text or part of a good frame, or of a damaged one in eight bits.
void check_bytes(std::string_view bytes, const Heard& heard) {
    for (const std::size_t lane : {0u, 1u}) {
        const std::string came = of_lane(bytes, lane);
        const std::string text = of_lane(heard.text, lane);
        require(is_in_order_within(text, came));
        const std::size_t gone = came.size() - text.size();
        require(gone >= heard.framed[lane]);
        if (lane == 0 || heard.broken[lane] == 0) {
            require(gone <= heard.framed[lane] + kLineEnds * heard.good[lane]);
        }
    }
    require(with_plain_ends(heard.lines) == with_plain_ends(heard.text));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::string bytes = with_frames({reinterpret_cast<const char*>(data) + 2, size - 2});
    const std::size_t quiet = 16 + 97 * std::size_t{data[1]};
    const bool lines = data[0] % 2 == 0;
    Heard whole;
    hear(bytes, bytes.size() + 1, quiet, lines, whole);
    check_bytes(bytes, whole);
    Heard pieces;
    hear(bytes, 1 + data[0] / 2, quiet, lines, pieces);
    require(pieces.text == whole.text && pieces.told == whole.told && pieces.traps == whole.traps);
    require(pieces.broken == whole.broken && pieces.good == whole.good);
    return 0;
}

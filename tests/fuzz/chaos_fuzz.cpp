// SPDX-License-Identifier: Apache-2.0
// Chaos: a specification typed by anybody, then a ChaosStream with a clock and a line of the fuzzer's own. It may do
// what the specification says and nothing else: what goes in and what comes out are counted and compared.
//
// The input's first line is the specification. What follows are steps of two bytes each: what to do, and how much.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "hil/lib/chaos.hpp"

namespace {

using hil::StreamState;
using Clock = hil::ChaosStream::Clock;
using std::chrono::milliseconds;

constexpr std::size_t kFlood = 2048 * std::string_view("inmate: still here, counting up and up\r\n").size();
// What a ChaosStream may hold back: 256 Ki of arriving bytes and what one more reading can make of 4096, with a splice
// for each, and one flood; 64 Ki of leaving bytes.
constexpr std::size_t kMostHeld = (256 + 8 + 400 + 64) * 1024 + kFlood;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// The byte number `i` of an endless line: every value comes, in an order that shows a loss.
char text_at(std::size_t i) {
    return static_cast<char>((i * 7 + i / 256 * 3) & 0xff);
}

// The line underneath, as the steps set it.
struct Line {
    std::size_t reads = 16;  // bytes that one read gives at most
    std::size_t writes = 16; // bytes that one write takes at most
    std::size_t given = 0;
    std::string taken;
    StreamState state = StreamState::open;
    StreamState write_state = StreamState::open;
    bool told_end = false; // a read or write has said that the line is no longer open
    bool lossless = true;  // every write took all that it was given
};

class LineStream : public hil::Stream {
  public:
    explicit LineStream(Line& line) : line_(line) {}
    int descriptor() const override { return -1; }
    hil::Transfer read(std::span<char> to) override {
        if (line_.state != StreamState::open) {
            line_.told_end = true;
            return {0, line_.state, "the line's end"};
        }
        const std::size_t count = std::min(to.size(), line_.reads);
        for (std::size_t i = 0; i < count; ++i) {
            to[i] = text_at(line_.given++);
        }
        return {count, StreamState::open, {}};
    }
    hil::Transfer write(std::span<const char> from) override {
        const bool open = line_.state == StreamState::open && line_.write_state == StreamState::open;
        const std::size_t count = open ? std::min(from.size(), line_.writes) : 0;
        line_.lossless = line_.lossless && count == from.size();
        line_.taken.append(from.data(), count);
        line_.told_end = line_.told_end || !open;
        return {count, open ? StreamState::open : std::max(line_.state, line_.write_state), open ? "" : "no writing"};
    }

  private:
    Line& line_;
};

// A rate of no fault.
bool clean(const hil::ChaosOptions& options) {
    return options.drop == 0 && options.duplicate == 0 && options.corrupt == 0 && options.splice == 0 &&
           options.flood == 0 && options.disconnect == 0 && options.longest == 0;
}

void check_options(const hil::ChaosOptions& options) {
    for (const double chance : {options.drop, options.duplicate, options.corrupt, options.splice, options.delay,
                                options.disconnect, options.flood}) {
        require(chance >= 0 && chance <= 1);
    }
    require(options.delay_ms >= 0 && options.delay_ms <= 60'000);
    require(options.rate >= 0 && options.rate <= 1e9 && options.longest >= 0 && options.longest <= 1e9);
}

// What can be parsed means the same with a repeated fault behind it; what cannot be is told in words.
std::optional<hil::ChaosOptions> parsed(const std::string& spec) {
    const auto options = hil::parse_chaos(spec);
    if (!options) {
        require(options.error().message.starts_with("chaos: "));
        return std::nullopt;
    }
    check_options(*options);
    const auto more = hil::parse_chaos(spec + (spec.empty() || spec.ends_with(',') ? "" : ",") + "drop=0.5,seed=9");
    require(more && more->drop == 0.5 && more->seed == 9 && more->corrupt == options->corrupt &&
            more->interleave == options->interleave && more->delay_ms == options->delay_ms);
    return *options;
}

// One stream and all that was seen of it.
class Case {
  public:
    explicit Case(const hil::ChaosOptions& options)
        : options_(options), stream_(std::make_unique<LineStream>(line_), options, [this] { return now_; }) {}

    void step(unsigned what, unsigned much) {
        switch (what % 8) {
        case 0:
            read(much);
            break;
        case 1:
            write(much);
            break;
        case 2:
            advance(milliseconds(much));
            break;
        case 3:
            line_.reads = much * much;
            break;
        case 4:
            line_.writes = much;
            break;
        case 5:
            read(much * std::size_t{64});
            break;
        case 6:
            write(much * std::size_t{64});
            break;
        default:
            end(much);
        }
        check();
    }

    // Time passes and the line takes all: what was held back comes out.
    void finish() {
        line_.reads = 0;
        line_.writes = 1 << 20;
        drained_ = options_.rate == 0 || options_.rate * 60 > 1; // else a turn moves nothing
        for (int idle = 0, turns = 0; idle < 4; ++turns) {
            if (turns == 200) { // of a slow line each look moves a byte
                require(options_.rate > 0 && options_.rate < 20'000);
                drained_ = false;
                break;
            }
            advance(milliseconds(60'001));
            const std::size_t before = out_ + line_.taken.size();
            read(1 << 16);
            write(0);
            idle = out_ + line_.taken.size() == before ? idle + 1 : 0;
        }
        check();
        check_sum();
        check_end();
    }

  private:
    void read(std::size_t size) {
        const std::span<char> to = std::span(buffer()).first(size);
        const hil::Transfer got = stream_.read(to);
        require(got.count <= size);
        require(got.state == StreamState::open || (got.count == 0 && !got.why.empty()));
        require(!ended_ || got.count > 0 || size == 0 || got.state != StreamState::open || stream_.due());
        if (clean(options_)) {
            for (std::size_t i = 0; i < got.count; ++i) {
                require(to[i] == text_at(out_ + i));
            }
        }
        out_ += got.count;
        if (got.state != StreamState::open) {
            require(line_.told_end || stream_.counts().disconnects == 1);
            ended_ = true;
        }
        require(!ended_ || got.state != StreamState::open); // an end is for good
    }

    void write(std::size_t size) {
        const std::span<char> from = std::span(buffer()).first(size);
        for (std::size_t i = 0; i < size; ++i) {
            from[i] = text_at(offered_ + i);
        }
        const bool cut = stream_.counts().disconnects > 0;
        const hil::Transfer sent = stream_.write(from);
        require(sent.count <= size && (!cut || sent.count == 0));
        require((stream_.counts().disconnects > 0) <= (sent.state != StreamState::open));
        offered_ += sent.count;
    }

    void advance(Clock::duration by) {
        now_ += by;
        paused_ = now_ - begin_ > milliseconds(10);
    }

    void end(unsigned how) {
        switch (how % 4) {
        case 0:
            line_.state = StreamState::ended;
            break;
        case 1:
            line_.state = StreamState::failed;
            break;
        case 2:
            line_.write_state = StreamState::ended;
            break;
        default:
            line_.write_state = StreamState::failed;
        }
    }

    // What holds after every step.
    void check() {
        const hil::ChaosCounts& counts = stream_.counts();
        require(counts.disconnects <= 1 && counts.bytes <= line_.given + offered_);
        require(counts.disconnects == 1 || counts.bytes == line_.given + offered_);
        require(counts.dropped + counts.disconnects <= counts.bytes && counts.doubled <= counts.bytes);
        require(made(true) >= out_ + line_.taken.size() && made(true) - out_ - line_.taken.size() <= kMostHeld);
        if (options_.rate > 0) {
            const double most = options_.rate * (std::chrono::duration<double>(now_ - begin_).count() + 0.008) + 2;
            require(static_cast<double>(line_.given) <= most && static_cast<double>(line_.taken.size()) <= most);
        }
        if (clean(options_)) {
            for (; compared_ < line_.taken.size(); ++compared_) {
                require(line_.taken[compared_] == text_at(compared_));
            }
        }
        if (options_.longest > 0 && !paused_ && line_.lossless) {
            check_runs();
        }
    }

    void check_runs() const {
        std::size_t run = 0;
        for (const char byte : line_.taken) {
            run = byte == '\n' || byte == '\r' ? 0 : run + 1;
            require(static_cast<double>(run) <= options_.longest);
        }
    }

    // Bytes that the counts say were made of those that came, foreign ones among them: at least, or at most.
    [[nodiscard]] std::size_t made(bool most) {
        const hil::ChaosCounts& counts = stream_.counts();
        for (; spliced_ < counts.splices; ++spliced_) {
            const std::size_t stamp = std::max<std::size_t>(5, std::to_string(spliced_ / 10).size());
            last_splice_ = std::string_view("[.000000] chaos: splice , with ~{words} in it\r\n").size() + stamp +
                           std::to_string(spliced_).size();
            splices_ += last_splice_;
        }
        // The last one may be under way still, when it is mixed in character by character.
        const std::size_t foreign =
            counts.floods * kFlood + splices_ - (options_.interleave && !most ? last_splice_ : 0);
        return counts.bytes - counts.dropped - counts.disconnects - counts.overrun + counts.doubled + foreign;
    }

    // At the end nothing is missing and nothing is there twice.
    void check_sum() {
        const bool writable = line_.state == StreamState::open && line_.write_state == StreamState::open;
        if (!writable || !drained_ || (options_.longest > 0 && !line_.lossless)) {
            return;
        }
        const std::size_t total = out_ + line_.taken.size();
        require(total >= made(false) && total <= made(true));
        if (clean(options_)) {
            require(out_ == line_.given && line_.taken.size() == offered_);
        }
    }

    void check_end() {
        const bool cut = stream_.counts().disconnects > 0;
        if (cut || line_.state != StreamState::open) {
            advance(milliseconds(60'001));
            for (int i = 0; i < 4; ++i) {
                (void)stream_.read(buffer());
            }
            const hil::Transfer got = stream_.read(buffer());
            require(got.count == 0 && (!cut || got.state != StreamState::open));
            require(options_.rate > 0 ||
                    got.state != StreamState::open); // a slow line tells its end when it is looked at
            require(!cut || got.why == "chaos: disconnected");
        }
        const auto inner = stream_.take();
        require((inner == nullptr) == line_.told_end);
    }

    static std::vector<char>& buffer() {
        static std::vector<char> bytes(kMostHeld);
        return bytes;
    }

    hil::ChaosOptions options_;
    Line line_;
    Clock::time_point begin_{std::chrono::hours(1)};
    Clock::time_point now_ = begin_;
    hil::ChaosStream stream_;
    std::size_t out_ = 0;     // bytes that the user has read
    std::size_t offered_ = 0; // bytes that the stream has taken from the user
    std::size_t compared_ = 0;
    std::uint64_t spliced_ = 0; // splices that are counted in
    std::size_t splices_ = 0;   // the bytes of them
    std::size_t last_splice_ = 0;
    bool paused_ = false; // enough time has passed to end a run
    bool drained_ = true; // at the end nothing was held back
    bool ended_ = false;  // a read said so
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t line_end = input.find('\n');
    const auto options = parsed(std::string(input.substr(0, line_end)));
    if (!options || line_end == std::string_view::npos) {
        return 0;
    }
    Case one(*options);
    const std::size_t steps = std::min<std::size_t>((size - line_end - 1) / 2, 300);
    for (std::size_t i = 0; i < steps; ++i) {
        const std::size_t at = line_end + 1 + 2 * i;
        one.step(data[at], data[at + 1]);
    }
    one.finish();
    return 0;
}

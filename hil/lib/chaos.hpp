// SPDX-License-Identifier: Apache-2.0
// Chaos: a stream that does to its bytes what bad lines and other writers do, at given rates, repeatably.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "hil/lib/stream.hpp"

namespace hil {

/// Rates are chances for each byte, 0 to 1. Both directions suffer alike, but splices and floods: those only come from
/// the machine.
struct ChaosOptions {
    std::uint64_t seed = 1;
    double drop = 0;      ///< the byte is lost
    double duplicate = 0; ///< the byte comes twice
    double corrupt = 0;   ///< the byte is replaced by a random one
    double splice = 0;    ///< another writer's line (with a number of its own) begins here
    double delay = 0;     ///< all from here on comes up to delay_ms later
    double delay_ms = 20;
    double disconnect = 0; ///< the stream ends here
    double flood = 0;      ///< 64 KiB of an inmate without a delay in its loop come here
    double rate = 0;       ///< bytes a second that the line carries each way; 0: as many as come
    double longest = 0;    ///< of a longer run to the machine, without line end or pause, the rest is lost; 0: none is
    bool interleave = false; ///< splices are mixed with the stream character by character, instead of in one piece
};

/// "seed=7,corrupt=0.01,splice=0.001": names as in ChaosOptions; `double` is another word for duplicate. interleave=1
/// turns it on, interleave=0 off.
Result<ChaosOptions> parse_chaos(std::string_view text);

/// What was done so far.
struct ChaosCounts {
    std::uint64_t bytes = 0; ///< that came from both sides, before any harm
    std::uint64_t dropped = 0;
    std::uint64_t doubled = 0;
    std::uint64_t corrupted = 0;
    std::uint64_t splices = 0;
    std::uint64_t delays = 0;
    std::uint64_t floods = 0;
    std::uint64_t disconnects = 0;
    std::uint64_t overrun = 0; ///< bytes lost because their run was too long
};

class ChaosStream : public Stream {
  public:
    using Clock = std::chrono::steady_clock;
    using Now = std::function<Clock::time_point()>;
    /// `now`: the time that delays, rates and pauses go by.
    ChaosStream(std::unique_ptr<Stream> inner, const ChaosOptions& options, Now now = &Clock::now);
    [[nodiscard]] int descriptor() const override { return inner_->descriptor(); }
    Transfer read(std::span<char> to) override;
    Transfer write(std::span<const char> from) override;
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> due() const override;
    [[nodiscard]] Clock::time_point rests_until() const override { return rests_until_; }
    [[nodiscard]] const ChaosCounts& counts() const { return counts_; }
    /// Whether bytes that write() took are still to be carried to the machine, by the next reads and writes.
    [[nodiscard]] bool leaving() const { return !leaving_.empty() && !cut_ && !ended_; }
    /// The stream underneath, given back: null when it has said, to a read or a write, that it has ended itself.
    std::unique_ptr<Stream> take() { return ended_ ? nullptr : std::move(inner_); }

  private:
    struct Byte {
        Clock::time_point when;
        char value;
    };
    // What one direction may carry now, on a line with a rate.
    struct Budget {
        double bytes = 0;
        Clock::time_point since{};
        std::size_t take(double rate, Clock::time_point now);
    };
    bool chance(double rate);
    [[nodiscard]] bool lost_in_run(char byte, Clock::time_point now);
    void harm(char byte, std::string& out, bool from_machine);
    void begin_splice();
    Transfer send_leaving();
    Transfer write_on(std::span<const char> bytes);

    std::unique_ptr<Stream> inner_;
    ChaosOptions options_;
    Now now_;
    std::mt19937_64 random_;
    std::deque<Byte> arriving_; // bounded by kMaxArriving: then the inner stream is not read
    std::string leaving_;       // bytes that the inner stream did not take yet
    std::string foreign_;       // rest of a splice to be mixed in
    Clock::time_point latest_{};
    Budget in_;
    Budget out_;
    Clock::time_point rests_until_{};
    Clock::time_point sent_at_{};
    std::size_t run_ = 0; // bytes to the machine since the last line end or pause
    ChaosCounts counts_;
    bool cut_ = false;
    bool ended_ = false; // the inner stream
};

} // namespace hil

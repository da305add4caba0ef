// SPDX-License-Identifier: Apache-2.0
// AgentClient: the controller's side of hil-agent.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "driver/agent/packing.hpp"
#include "driver/agent/protocol.hpp"
#include "hil/lib/answer_stream.hpp"
#include "hil/lib/console.hpp"
#include "hil/lib/line_quality.hpp"

namespace hil {

struct AgentInfo {
    std::uint32_t version = 0;
    std::uint64_t nonce = 0;              ///< of this agent's life: another number means that it was started anew
    std::string system;                   ///< uname: system, release, machine
    frame::Lane lane = frame::Lane::high; ///< its words arrived in: plain as well where the line clears bit 7
};

struct AgentAnswer {
    agent::Ending ending = agent::Ending::exited;
    int code = 0; ///< exit status, signal or errno: see agent::Ending
    bool truncated = false;
    std::string out;
    std::string err;
};

struct AgentCommand {
    std::vector<std::string> words; ///< or one word for the shell
    bool shell = false;
    std::chrono::milliseconds limit{60'000}; ///< the agent ends the command then; 0: never
    /// Gets output as it arrives, in order: stream (0 out, 1 err) and bytes.
    std::function<void(int, std::string_view)> on_output;
};

struct AgentOptions {
    std::chrono::milliseconds silence{15'000};   ///< no good frame for so long: the agent is lost
    std::chrono::milliseconds write_limit{5000}; ///< the line takes nothing for so long: it is an error
    std::chrono::milliseconds heartbeat{1000};
    std::chrono::milliseconds kill_limit{500}; ///< of telling it to end a command; then the command's own limit does
    std::size_t longest_line = 0; ///< characters that the console takes without a line end; 0: no limit is known
};

struct AgentCounts {
    std::uint64_t calls = 0;
    std::uint64_t sent = 0;    ///< frames
    std::uint64_t resent = 0;  ///< of these, because something was damaged or missing
    std::uint64_t damaged = 0; ///< damaged frames that came, or that the agent complained of
};

/// All waits leave the time out that the line itself needs, where the console knows its rate.
///
/// Calls are made one at a time, from one thread. Every call ends: with an answer that is complete and whose CRC is
/// right, or with an Error. A command runs at most once, whatever the line does; after an Error it may have run.
class AgentClient {
  public:
    explicit AgentClient(Console& console, AgentOptions options = {});

    /// Finds the agent and begins a session with it. Tries the high lane first, then both in turn.
    Result<AgentInfo> hello(std::chrono::milliseconds limit, const Interrupted& interrupted = {});
    Result<AgentAnswer> run(const AgentCommand& command, const Interrupted& interrupted = {});
    Result<std::string> read_file(const std::string& path, const Interrupted& interrupted = {});
    Status write_file(const std::string& path, std::string_view content, std::uint32_t mode,
                      const Interrupted& interrupted = {});
    /// Makes the agent leave; the shell has the console again.
    Status bye(std::chrono::milliseconds limit, const Interrupted& interrupted = {});

    [[nodiscard]] const AgentCounts& counts() const { return counts_; }
    [[nodiscard]] std::size_t piece() const { return quality_.piece(); }

  private:
    struct RoundTrip { // from a question to its answer
        double mean_ms = 10;
        double deviation_ms = 5;
        void learn(double took);
        [[nodiscard]] double patience() const { return mean_ms + 4 * deviation_ms; }
        [[nodiscard]] std::chrono::microseconds mean() const {
            return std::chrono::microseconds(static_cast<std::int64_t>(1000 * mean_ms));
        }
    };
    struct Stream {
        AnswerStream packed;
        agent::Unpacker unpacker{agent::kMaxStream};
        std::size_t unpacked = 0; // bytes of `packed` that it has taken
        std::size_t reported = 0; // bytes that were handed on
        Wanted wanted;            // what was asked for last
    };
    struct Call {
        std::uint32_t id = 0;
        std::string argument;                // packed
        std::uint32_t accepted = 0;          // bytes of it that the agent has
        std::uint32_t put_until = 0;         // bytes of it that were sent since they were last asked for again
        SteadyClock::time_point accepted_at; // when more of it had arrived; at first: when the call began
        bool known = false;                  // a state frame came
        agent::State state;
        Stream streams[2];
        const AgentCommand* command = nullptr;
        std::chrono::milliseconds limit{0}; // 0: none
        SteadyClock::time_point begun;
        SteadyClock::time_point last_good; // when a good frame of this call came
        SteadyClock::time_point last_asked;
        bool burst = false;       // several pieces were asked for at once
        bool over = false;        // the last of them has come
        bool damage = false;      // a damaged frame was seen since the last question
        bool hurry = false;       // it was the question, or its only answer: nothing more can be coming
        std::uint64_t losses = 0; // of the line, that are known
    };

    [[nodiscard]] Call begin(std::string_view argument, const AgentCommand* command, std::chrono::milliseconds limit);
    Result<AgentAnswer> call(std::string_view argument, const AgentCommand* command, std::chrono::milliseconds limit,
                             const Interrupted& interrupted);
    Status step(Call& call, const Interrupted& interrupted);
    void hear_damage(Call& call, bool complaint);
    void hear_losses(Call& call);
    Status hear(Call& call, const InboundFrame& frame);
    Status wait(Call& call);
    void learn_round_trip(const InboundFrame& frame);
    void learn_pace(Call& call, std::size_t characters);
    Status ask(Call& call, bool again);
    Status put_or_get(Call& call, bool again);
    Status put(Call& call, bool again);
    [[nodiscard]] std::size_t put_end(const Call& call, std::size_t begin) const;
    Status put_piece(const Call& call, std::size_t at, std::size_t until, unsigned turn);
    Status get(Call& call, int stream);
    Status take(Call& call, const InboundFrame& frame);
    void take_state(Call& call, const InboundFrame& frame);
    void take_data(Call& call, const InboundFrame& frame);
    static Status unpack(Call& call);
    static void report_output(Call& call);
    [[nodiscard]] static bool complete(const Call& call);
    [[nodiscard]] bool satisfied(const Call& call) const;
    [[nodiscard]] static bool outcome_awaited(const Call& call);
    [[nodiscard]] static std::size_t standing(const Call& call);
    Result<AgentAnswer> finish(Call& call);
    Status send(const frame::Frame& frame);
    void kill(const Call& call);
    /// How long the line is busy with so many characters; 0 on a line without a known rate.
    [[nodiscard]] std::chrono::milliseconds transmission(std::size_t characters) const;
    [[nodiscard]] SteadyClock::time_point ask_again_at(const Call& call) const;
    [[nodiscard]] bool calm() const;
    [[nodiscard]] std::size_t put_window() const;
    void went_well(const InboundFrame& frame);
    void went_badly();
    void doubt();
    [[nodiscard]] std::chrono::milliseconds patience(const Call& call) const;
    [[nodiscard]] std::string silence_text() const;

    Console& console_;
    AgentOptions options_;
    frame::Lane lane_ = frame::Lane::high;
    std::uint64_t session_ = 0;
    std::uint32_t tag_ = 0;
    std::uint32_t counter_ = 0;
    AgentInfo info_;
    bool greeted_ = false;
    LineQuality quality_;
    RoundTrip round_trip_;
    unsigned turn_ = 0;                                                 // of the last question
    std::array<SteadyClock::time_point, agent::kTurns + 1> asked_at_{}; // by turn; zero: answered, or never asked
    SteadyClock::time_point line_free_{}; // when all that was sent has left, on a line with a known rate
    unsigned backoff_ = 0;
    SteadyClock::time_point doubted_{}; // when a question was put that has no answer in time; zero: none
    unsigned doubts_ = 0;               // losses that are counted since, for want of an answer
    double pace_ms_;                    // that a character of a request takes, as far as it is known
    AgentCounts counts_;
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// AgentClient: the controller's side of hil-agent.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "driver/agent/protocol.hpp"
#include "hil/lib/console.hpp"

namespace hil {

struct AgentInfo {
    std::uint32_t version = 0;
    std::uint64_t nonce = 0; ///< of this agent's life: another number means that it was started anew
    std::string system;      ///< uname: system, release, machine
    frame::Lane lane = frame::Lane::high;
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
    [[nodiscard]] std::size_t piece() const { return static_cast<std::size_t>(piece_); }

  private:
    struct Stream { // one stream of an answer as it comes in
        std::string bytes;
        std::map<std::uint32_t, std::string> ahead; // pieces behind a gap
        std::size_t reported = 0;
    };
    struct Call {
        std::uint32_t id = 0;
        std::span<const std::uint8_t> argument;
        std::uint32_t accepted = 0;  // bytes of it that the agent has
        std::uint32_t put_until = 0; // bytes of it that were sent since they were last asked for again
        bool known = false;          // a state frame came
        agent::State state;
        Stream streams[2];
        std::uint32_t asked_until[2] = {0, 0};
        const AgentCommand* command = nullptr;
    };

    Result<AgentAnswer> call(std::span<const std::uint8_t> argument, const AgentCommand* command,
                             std::chrono::milliseconds limit, const Interrupted& interrupted);
    Status ask(Call& call, bool again);
    Status put(Call& call, bool again);
    Status get(Call& call, int stream);
    Status take(Call& call, const InboundFrame& frame);
    void take_state(Call& call, const InboundFrame& frame);
    void take_data(Call& call, const InboundFrame& frame);
    static void append(Stream& stream, std::uint32_t offset, std::string_view piece);
    void report_output(Call& call);
    [[nodiscard]] static bool complete(const Call& call);
    [[nodiscard]] bool satisfied(const Call& call) const;
    Result<AgentAnswer> finish(Call& call);
    Status send(const frame::Frame& frame);
    void kill(const Call& call);
    /// How long the line is busy with so many characters; 0 on a line without a known rate.
    [[nodiscard]] std::chrono::milliseconds transmission(std::size_t characters) const;
    [[nodiscard]] SteadyClock::time_point ask_again_at(const Call& call, SteadyClock::time_point asked,
                                                       bool hurry) const;
    [[nodiscard]] std::size_t put_window() const;
    void went_well();
    void went_badly();
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
    double piece_;
    unsigned failures_ = 0; // in a row
    unsigned successes_ = 0;
    double round_trip_ms_ = 10;
    double largest_piece_;
    SteadyClock::time_point line_free_{}; // when all that was sent has left, on a line with a known rate
    unsigned backoff_ = 0;
    AgentCounts counts_;
};

} // namespace hil

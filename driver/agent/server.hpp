// SPDX-License-Identifier: Apache-2.0
// The agent's loop: frames in, jobs, frames out. One thread; nothing in it blocks but poll().
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>

#include "driver/agent/job.hpp"
#include "driver/agent/terminal.hpp"

namespace hil::agent {

class Server {
  public:
    /// `signals` is a signalfd with SIGCHLD, SIGTERM, SIGHUP.
    Server(Terminal& terminal, int signals);

    /// Serves until bye, three Ctrl-C in a row, the line's end or a signal. Returns the exit status.
    int serve();

    // The frame decoder's sink.
    void text(std::span<const char> bytes);
    void frame(const frame::Frame& frame, frame::Lane lane);
    void damaged(frame::Lane lane, std::size_t characters);

  private:
    struct Transfer { // pieces of an answer on their way out
        std::uint32_t id;
        std::uint8_t stream;
        std::size_t next;
        std::size_t end;
        std::size_t piece;
        unsigned turn;      // of the question for it
        std::uint64_t skip; // a bit for each piece, the next one the lowest: it is not wanted
    };

    void hello(const frame::Frame& frame);
    void put(const frame::Frame& frame);
    void get(const frame::Frame& frame);
    void welcome(std::uint32_t id);
    /// `turn`: of the question that this answers, or 0.
    void say_state(Job& job, unsigned turn);
    [[nodiscard]] Clock::time_point heard_by(std::chrono::milliseconds patience) const;
    void say_unknown(const frame::Frame& question);
    void send(const frame::Frame& frame);
    void pump();
    void read_line(bool hung_up);
    void write_line();
    void read_signals();
    void reap();
    Clock::time_point tick(Clock::time_point now);
    void forget_old();
    Job* find(std::uint32_t id);
    [[nodiscard]] bool in_session(std::uint32_t id) const;

    Terminal& terminal_;
    int signals_;
    frame::Decoder decoder_;
    frame::Lane lane_ = frame::Lane::high;
    std::uint64_t nonce_;
    std::optional<std::uint64_t> session_;
    std::uint32_t session_tag_ = 0;
    std::chrono::milliseconds heartbeat_{1000};
    std::uint32_t line_rate_ = 0;   // bytes a second; 0: it does not matter
    Clock::time_point line_free_{}; // when all that was said has left, on a line with a rate
    std::uint32_t newest_ = 0;
    std::map<std::uint32_t, Job> jobs_;
    std::list<Transfer> transfers_;
    std::string out_;
    unsigned interrupts_ = 0; // Ctrl-C seen in a row
    bool leaving_ = false;
    int status_ = 0;
};

} // namespace hil::agent

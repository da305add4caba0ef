// SPDX-License-Identifier: Apache-2.0
// One command of the agent: a process group with captured output, a time limit and a certain end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "driver/agent/descriptor.hpp"

namespace hil::agent {

using Clock = std::chrono::steady_clock;

class Child {
  public:
    enum class Cut {
        none,
        time_limit,
        request,
    };

    /// Starts `words` (found by PATH; or a shell line when `shell`). On failure failed() gives the errno.
    Child(const std::vector<std::string>& words, bool shell, std::chrono::milliseconds limit);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] int failed() const { return failed_; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Output (0) and error (1) pipe to poll; -1 when at its end.
    [[nodiscard]] int pipe(int stream) const { return pipes_[stream].get(); }
    /// Appends what there is to read, up to a bound a call; bytes that came.
    std::size_t read(int stream, std::string& to);
    /// Bytes that read() would find by now.
    [[nodiscard]] std::size_t waiting(int stream) const;
    /// To be told what waitpid() said about pid().
    void ended(int status, Clock::time_point now);
    /// Ends it: SIGTERM to the group, SIGKILL two seconds later.
    void kill(Cut why, Clock::time_point now);
    /// Does what is due; returns when to be called again at the latest.
    std::optional<Clock::time_point> tick(Clock::time_point now);
    /// True when the process is gone and nobody can write to its pipes any more, or others hold them open for too long.
    /// What the process wrote itself is then read or waiting().
    [[nodiscard]] bool done(Clock::time_point now) const;
    [[nodiscard]] int status() const { return status_; }
    [[nodiscard]] Cut cut() const { return cut_; }

  private:
    pid_t pid_ = -1;
    int failed_ = 0;
    Descriptor pipes_[2];
    bool gone_ = false;
    int status_ = 0;
    Cut cut_ = Cut::none;
    Clock::time_point gone_at_;
    std::optional<Clock::time_point> limit_;
    std::optional<Clock::time_point> sigkill_;
};

} // namespace hil::agent

// SPDX-License-Identifier: Apache-2.0
// The console as the agent uses it: own open file description where possible, non-blocking, input by whole frames;
// given back as it was.
#pragma once

#include <termios.h>

#include <span>

#include "driver/agent/descriptor.hpp"

namespace hil::agent {

inline constexpr char kInterrupt = '\x03'; ///< Ctrl-C

class Terminal {
  public:
    /// Takes over `in` and `out` (a terminal, a socket or pipes).
    Terminal(int in, int out);
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    [[nodiscard]] int in() const { return own_.open() ? own_.get() : in_; }
    [[nodiscard]] int out() const { return own_.open() ? own_.get() : out_; }
    /// Whether Ctrl-C is what made read() give these bytes, or none, on a line that has not hung up.
    [[nodiscard]] bool interrupted(std::span<const char> bytes) const;

  private:
    int in_;
    int out_;
    Descriptor own_; // the terminal opened again: O_NONBLOCK must not reach the shell's descriptors
    int in_flags_ = -1;
    int out_flags_ = -1;
    bool by_frames_ = false;
    termios saved_{};
};

} // namespace hil::agent

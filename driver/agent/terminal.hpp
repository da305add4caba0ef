// SPDX-License-Identifier: Apache-2.0
// The console as the agent uses it: own open file description where possible, non-blocking, raw; given back as it was.
#pragma once

#include <termios.h>

#include "driver/agent/descriptor.hpp"

namespace hil::agent {

class Terminal {
  public:
    /// Takes over `in` and `out` (a terminal, a socket or pipes).
    Terminal(int in, int out);
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    [[nodiscard]] int in() const { return own_.open() ? own_.get() : in_; }
    [[nodiscard]] int out() const { return own_.open() ? own_.get() : out_; }

  private:
    int in_;
    int out_;
    Descriptor own_; // the terminal opened again: O_NONBLOCK must not reach the shell's descriptors
    int in_flags_ = -1;
    int out_flags_ = -1;
    bool raw_ = false;
    termios saved_{};
};

} // namespace hil::agent

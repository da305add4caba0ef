// SPDX-License-Identifier: Apache-2.0
#include "driver/agent/terminal.hpp"

#include <fcntl.h>

namespace hil::agent {

namespace {

int set_nonblocking(int fd) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) {
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
    return flags;
}

void restore_flags(int fd, int flags) {
    if (flags >= 0) {
        (void)fcntl(fd, F_SETFL, flags);
    }
}

} // namespace

Terminal::Terminal(int in, int out) : in_(in), out_(out) {
    if (isatty(in) == 1 && tcgetattr(in, &saved_) == 0) {
        termios raw = saved_;
        cfmakeraw(&raw);
        raw.c_iflag &= ~static_cast<tcflag_t>(IXOFF | IXANY);
        raw.c_cflag |= CLOCAL;
        raw_ = tcsetattr(in, TCSADRAIN, &raw) == 0;
        const char* name = ttyname(in);
        own_ =
            Descriptor(::open(name != nullptr ? name : "/proc/self/fd/0", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    }
    if (!own_.open()) {
        in_flags_ = set_nonblocking(in);
        out_flags_ = set_nonblocking(out);
    }
}

Terminal::~Terminal() {
    restore_flags(in_, in_flags_);
    restore_flags(out_, out_flags_);
    if (raw_) {
        (void)tcsetattr(in_, TCSADRAIN, &saved_);
    }
}

} // namespace hil::agent

// SPDX-License-Identifier: Apache-2.0
#include "driver/agent/terminal.hpp"

#include <fcntl.h>

#include "bench/core/frame.hpp"

namespace hil::agent {

namespace {

constexpr unsigned char kHighEnd = frame::kClose | static_cast<unsigned char>(frame::Lane::high);

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

// Nothing is interpreted, echoed or changed, and input is handed over when a frame is complete (or at a line end), so
// that this process is not woken for each few characters that a UART has. The frames' end marks end a "line" of the
// terminal's. Ctrl-C, which has to be heard at once, is the terminal's end-of-file character: it hands over what there
// is, and is not in it.
termios by_frames(const termios& saved) {
    termios mode = saved;
    cfmakeraw(&mode);
    mode.c_iflag &= ~static_cast<tcflag_t>(IXOFF | IXANY);
    mode.c_cflag |= CLOCAL;
    mode.c_lflag |= ICANON | IEXTEN; // VEOL2 needs IEXTEN
    for (cc_t& character : mode.c_cc) {
        character = _POSIX_VDISABLE;
    }
    mode.c_cc[VEOL] = kHighEnd;
    mode.c_cc[VEOL2] = frame::kClose;
    mode.c_cc[VEOF] = kInterrupt;
    return mode;
}

} // namespace

Terminal::Terminal(int in, int out) : in_(in), out_(out) {
    if (isatty(in) == 1 && tcgetattr(in, &saved_) == 0) {
        const termios mode = by_frames(saved_);
        by_frames_ = tcsetattr(in, TCSADRAIN, &mode) == 0;
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
    if (by_frames_) {
        (void)tcsetattr(in_, TCSADRAIN, &saved_);
    }
}

bool Terminal::interrupted(std::span<const char> bytes) const {
    if (!by_frames_) {
        return false;
    }
    const auto last = static_cast<unsigned char>(bytes.empty() ? kInterrupt : bytes.back());
    return last != '\n' && last != kHighEnd && last != frame::kClose;
}

} // namespace hil::agent

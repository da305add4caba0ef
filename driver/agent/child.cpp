// SPDX-License-Identifier: Apache-2.0
#include "driver/agent/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>

namespace hil::agent {

namespace {

// How long output is waited for after the process ended, when a background process of its own holds the pipe.
constexpr std::chrono::milliseconds kGrace{200};
constexpr std::chrono::seconds kTermToKill{2};

[[noreturn]] void become(const std::vector<std::string>& words, bool shell, int out, int err, int report) {
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int signal : {SIGPIPE, SIGTTOU, SIGINT, SIGQUIT}) {
        ::signal(signal, SIG_DFL);
    }
    const int null = ::open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(out, 1);
    dup2(err, 2);
    std::vector<char*> argv;
    std::string sh = "sh";
    std::string option = "-c";
    if (shell) {
        argv = {sh.data(), option.data()};
    }
    for (const std::string& word : words) {
        argv.push_back(const_cast<char*>(word.c_str())); // execvp takes char* for history's sake, and leaves it alone
    }
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    const int error = errno;
    (void)!write(report, &error, sizeof error);
    _exit(127);
}

} // namespace

Child::Child(const std::vector<std::string>& words, bool shell, std::chrono::milliseconds limit) {
    std::array<std::array<int, 2>, 3> ends{}; // output, error, exec's failure
    for (std::size_t i = 0; i < ends.size(); ++i) {
        if (pipe2(ends[i].data(), O_CLOEXEC) != 0) {
            failed_ = errno;
            for (std::size_t k = 0; k < i; ++k) {
                ::close(ends[k][0]);
                ::close(ends[k][1]);
            }
            return;
        }
    }
    pid_ = fork();
    if (pid_ == 0) {
        become(words, shell, ends[0][1], ends[1][1], ends[2][1]);
    }
    const int fork_error = errno;
    for (const auto& end : ends) {
        ::close(end[1]);
    }
    pipes_[0] = Descriptor(ends[0][0]);
    pipes_[1] = Descriptor(ends[1][0]);
    const Descriptor report(ends[2][0]);
    if (pid_ < 0) {
        failed_ = fork_error;
        return;
    }
    int error = 0;
    if (::read(report.get(), &error, sizeof error) == sizeof error) { // ends at once: exec closes the other end
        failed_ = error;
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
        return;
    }
    for (const Descriptor& pipe : pipes_) {
        fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
    }
    if (limit.count() > 0) {
        limit_ = Clock::now() + limit;
    }
}

Child::~Child() {
    if (pid_ > 0 && !gone_) {
        ::kill(-pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
}

std::size_t Child::read(int stream, std::string& to) {
    std::array<char, 16384> buffer;
    const ssize_t count = ::read(pipes_[stream].get(), buffer.data(), buffer.size());
    if (count > 0) {
        to.append(buffer.data(), static_cast<std::size_t>(count));
        return static_cast<std::size_t>(count);
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        pipes_[stream].close();
    }
    return 0;
}

std::size_t Child::waiting(int stream) const {
    int count = 0;
    return pipes_[stream].open() && ioctl(pipes_[stream].get(), FIONREAD, &count) == 0 ? static_cast<std::size_t>(count)
                                                                                       : 0;
}

void Child::ended(int status, Clock::time_point now) {
    gone_ = true;
    status_ = status;
    gone_at_ = now;
}

void Child::kill(Cut why, Clock::time_point now) {
    if (gone_ || cut_ != Cut::none) {
        return;
    }
    cut_ = why;
    ::kill(-pid_, SIGTERM);
    sigkill_ = now + kTermToKill;
}

std::optional<Clock::time_point> Child::tick(Clock::time_point now) {
    if (gone_) {
        return gone_at_ + kGrace;
    }
    if (limit_ && now >= *limit_) {
        limit_.reset();
        kill(Cut::time_limit, now);
    }
    if (sigkill_ && now >= *sigkill_) {
        sigkill_.reset();
        ::kill(-pid_, SIGKILL);
    }
    return sigkill_ ? sigkill_ : limit_;
}

bool Child::done(Clock::time_point now) const {
    return gone_ && ((!pipes_[0].open() && !pipes_[1].open()) || now >= gone_at_ + kGrace);
}

} // namespace hil::agent

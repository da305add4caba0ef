// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/chaos_proxy.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "hil/lib/stream_descriptor.hpp"

namespace hil {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kTick = 100ms;
constexpr auto kLastWords = 5s; // for a side that takes nothing: the next user is waiting
constexpr int kLastWordsTick = 2;
constexpr std::size_t kMaxWaiting = 64 * 1024; // bytes that one side has not taken yet: then the other is not read
constexpr std::string_view kUnix = "unix:";

// One direction: what was read from one side and not yet taken by the other.
struct Pipe {
    std::string waiting;
    [[nodiscard]] bool full() const { return waiting.size() >= kMaxWaiting; }

    bool fill(Stream& from) {
        std::array<char, 16384> buffer;
        const Transfer got = from.read(buffer);
        waiting.append(buffer.data(), got.count);
        return got.state == StreamState::open || got.count > 0;
    }

    bool drain(Stream& to) {
        const Transfer sent = to.write(waiting);
        waiting.erase(0, sent.count);
        return sent.state == StreamState::open;
    }
};

short interest(bool reads, bool writes) {
    return static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
}

// Whichever side has ended, the other gets what was said before.
void last_words(ChaosStream& machine, Stream& user, Pipe& to_machine, Pipe& to_user,
                const std::function<bool()>& interrupted) {
    const auto end = Clock::now() + kLastWords;
    while ((!to_user.waiting.empty() || !to_machine.waiting.empty() || machine.leaving()) && Clock::now() < end &&
           !interrupted()) {
        if (!to_user.drain(user)) {
            to_user.waiting.clear();
        }
        if (!to_machine.drain(machine)) {
            to_machine.waiting.clear();
        }
        (void)poll(nullptr, 0, kLastWordsTick);
    }
}

} // namespace

Result<std::unique_ptr<ChaosProxy>> ChaosProxy::create(const std::string& stream, const std::string& offer,
                                                       const ChaosOptions& options,
                                                       std::chrono::milliseconds connect_limit) {
    std::unique_ptr<ChaosProxy> proxy(new ChaosProxy(options, connect_limit));
    auto machine = make_stream_source(stream);
    if (!machine) {
        return machine.error();
    }
    proxy->machine_ = std::move(machine).value();
    if (offer.starts_with(kUnix)) {
        auto user = make_stream_source("unix-listen:" + offer.substr(kUnix.size()));
        if (!user) {
            return user.error();
        }
        proxy->user_ = std::move(user).value();
        proxy->where_ = offer;
        return proxy;
    }
    if (offer != "pty") {
        return Error{"cannot offer '" + offer + "': pty and unix:PATH are possible"};
    }
    int outer = -1;
    int inner = -1;
    std::array<char, 256> name{};
    if (openpty(&outer, &inner, name.data(), nullptr, nullptr) != 0) {
        return Error{std::string("cannot make a pseudo terminal: ") + std::strerror(errno)};
    }
    proxy->pty_ = FileDescriptor(outer);
    proxy->pty_inner_ = FileDescriptor(inner);
    termios settings{};
    if (tcgetattr(inner, &settings) == 0) {
        cfmakeraw(&settings);
        (void)tcsetattr(inner, TCSANOW, &settings);
    }
    proxy->where_ = std::string("pty:") + name.data();
    return proxy;
}

Status ChaosProxy::serve(const std::function<bool()>& interrupted) {
    while (!interrupted()) {
        auto user = wait_for_user(interrupted);
        if (!user) {
            return interrupted() ? Status(Nothing{}) : Status(user.error());
        }
        auto machine = open_machine(interrupted);
        if (!machine) {
            return interrupted() ? Status(Nothing{}) : Status(machine.error());
        }
        carry(**machine, **user, interrupted);
        add((*machine)->counts());
        line_ = (*machine)->take();
        ++options_.seed; // the next connection has faults of its own
    }
    return Nothing{};
}

Result<std::unique_ptr<Stream>> ChaosProxy::wait_for_user(const std::function<bool()>& interrupted) {
    if (user_ == nullptr) { // a pty has a user whenever somebody opens it; its buffer keeps what nobody reads
        FileDescriptor copy(fcntl(pty_.get(), F_DUPFD_CLOEXEC, 3));
        if (!copy.open()) {
            return Error{std::string("the pseudo terminal: ") + std::strerror(errno)};
        }
        return std::unique_ptr<Stream>(new DescriptorStream(std::move(copy)));
    }
    while (!interrupted()) {
        if (auto user = user_->open()) { // waits a tick by itself
            return user;
        }
    }
    return Error{"interrupted"};
}

Result<std::unique_ptr<ChaosStream>> ChaosProxy::open_machine(const std::function<bool()>& interrupted) {
    const auto end = Clock::now() + connect_limit_;
    if (line_ != nullptr) {
        return std::make_unique<ChaosStream>(std::move(line_), options_);
    }
    for (;;) {
        auto stream = machine_->open();
        if (stream) {
            return std::make_unique<ChaosStream>(std::move(stream).value(), options_);
        }
        if (Clock::now() >= end || interrupted()) {
            return Error{stream.error().message + " (tried for " + std::to_string(connect_limit_.count() / 1000) +
                         " s: --connect)"};
        }
        (void)poll(nullptr, 0, 20);
    }
}

void ChaosProxy::carry(ChaosStream& machine, Stream& user, const std::function<bool()>& interrupted) {
    Pipe to_user;
    Pipe to_machine;
    bool open = true;
    while (open && !interrupted()) {
        auto wait = kTick;
        if (const auto due = machine.due()) {
            wait = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*due - Clock::now()), 0ms, kTick);
        }
        const auto rest = machine.rests_until() - Clock::now();
        const bool rests = rest > 0ms;
        if (rests) {
            wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(rest));
        }
        std::array<pollfd, 2> polled = {
            pollfd{rests ? -1 : machine.descriptor(), interest(!to_user.full(), !to_machine.waiting.empty()), 0},
            pollfd{user.descriptor(), interest(!to_machine.full(), !to_user.waiting.empty()), 0}};
        (void)poll(polled.data(), polled.size(), static_cast<int>(wait.count()));
        const bool machine_has = (polled[0].revents & ~POLLOUT) != 0 || machine.due().has_value();
        if (machine_has && !to_user.full()) {
            open = to_user.fill(machine);
        }
        if (open && (polled[1].revents & ~POLLOUT) != 0 && !to_machine.full()) {
            open = to_machine.fill(user);
        }
        if (!to_machine.waiting.empty()) {
            open = to_machine.drain(machine) && open;
        }
        if (!to_user.waiting.empty()) {
            open = to_user.drain(user) && open;
        }
    }
    last_words(machine, user, to_machine, to_user, interrupted);
}

void ChaosProxy::add(const ChaosCounts& counts) {
    total_.bytes += counts.bytes;
    total_.dropped += counts.dropped;
    total_.doubled += counts.doubled;
    total_.corrupted += counts.corrupted;
    total_.splices += counts.splices;
    total_.delays += counts.delays;
    total_.floods += counts.floods;
    total_.disconnects += counts.disconnects;
    total_.overrun += counts.overrun;
}

ChaosCounts ChaosProxy::counts() const {
    return total_;
}

} // namespace hil

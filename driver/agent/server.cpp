// SPDX-License-Identifier: Apache-2.0
#include "driver/agent/server.hpp"

#include <poll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

namespace hil::agent {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kQueueAim = 4096;        // characters queued for the line before more pieces are made
constexpr std::size_t kQueueLimit = 64 * 1024; // beyond it frames are dropped; they can be asked for again
constexpr std::size_t kMaxJobs = 64;           // answers kept
constexpr std::size_t kMaxMemory = 192u << 20; // bytes of answers kept
constexpr std::size_t kMaxRunning = 16;
constexpr unsigned kDoneRepeats = 6; // a finished answer is announced so often, at growing distances
constexpr unsigned kInterruptsToLeave = 3;

std::uint64_t random_number() {
    std::uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) { // early in boot: time and pid must do
        value = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()) * 0x9e3779b97f4a7c15u +
                static_cast<std::uint64_t>(getpid());
    }
    return value;
}

void put_u64(std::uint8_t* to, std::uint64_t value) {
    frame::put_u32(to, static_cast<std::uint32_t>(value));
    frame::put_u32(to + 4, static_cast<std::uint32_t>(value >> 32));
}

std::uint64_t get_u64(const std::uint8_t* from) {
    return frame::get_u32(from) | std::uint64_t{frame::get_u32(from + 4)} << 32;
}

} // namespace

Server::Server(Terminal& terminal, int signals) : terminal_(terminal), signals_(signals), nonce_(random_number()) {}

int Server::serve() {
    welcome(0);
    std::optional<Clock::time_point> leave_by; // a line that takes nothing any more must not hold the shell up
    while (!leaving_ || !out_.empty()) {
        const auto now = Clock::now();
        if (leaving_ && now >= leave_by.value_or(now + 1s)) {
            break;
        }
        if (leaving_ && !leave_by) {
            leave_by = now + 2s;
        }
        const auto due = tick(now);
        pump();
        std::vector<pollfd> polled = {{terminal_.in(), static_cast<short>(leaving_ ? 0 : POLLIN), 0},
                                      {terminal_.out(), static_cast<short>(out_.empty() ? 0 : POLLOUT), 0},
                                      {signals_, POLLIN, 0}};
        std::vector<std::pair<Job*, int>> readers;
        for (auto& [id, job] : jobs_) {
            for (int stream = 0; job.child() != nullptr && stream < 2; ++stream) {
                if (job.child()->pipe(stream) >= 0) {
                    polled.push_back({job.child()->pipe(stream), POLLIN, 0});
                    readers.emplace_back(&job, stream);
                }
            }
        }
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(due - now).count();
        if (poll(polled.data(), polled.size(), static_cast<int>(std::clamp<std::int64_t>(wait, 0, 1000))) < 0) {
            continue;
        }
        for (std::size_t i = 0; i < readers.size(); ++i) {
            if (polled[i + 3].revents != 0) {
                readers[i].first->read(readers[i].second);
            }
        }
        if (polled[2].revents != 0) {
            read_signals();
        }
        if ((polled[1].revents & (POLLERR | POLLNVAL)) != 0 || (leaving_ && (polled[0].revents & POLLHUP) != 0)) {
            return status_ != 0 ? status_ : 1;
        }
        if (polled[1].revents != 0) {
            write_line();
        }
        if (polled[0].revents != 0) { // last: it may change jobs_
            read_line((polled[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0);
        }
    }
    return status_;
}

void Server::read_line(bool hung_up) {
    std::array<char, 4096> buffer;
    const ssize_t count = ::read(terminal_.in(), buffer.data(), buffer.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    const std::span<const char> bytes(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    decoder_.feed(bytes, *this);
    if (count >= 0 && !hung_up && terminal_.interrupted(bytes)) {
        text({&kInterrupt, 1});
    } else if (bytes.empty()) { // the line is gone: nobody to write to either
        leaving_ = true;
        out_.clear();
        status_ = 1;
    }
}

void Server::write_line() {
    const ssize_t count = ::write(terminal_.out(), out_.data(), out_.size());
    if (count > 0) {
        out_.erase(0, static_cast<std::size_t>(count));
    } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
        out_.clear();
        leaving_ = true;
        status_ = 1;
    }
}

void Server::read_signals() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) {
            leaving_ = true;
            status_ = 128 + static_cast<int>(info.ssi_signo);
        }
    }
    reap();
}

void Server::reap() {
    const auto now = Clock::now();
    for (auto& [id, job] : jobs_) {
        int status = 0;
        if (job.child() != nullptr && waitpid(job.child()->pid(), &status, WNOHANG) == job.child()->pid()) {
            job.child()->ended(status, now);
        }
    }
}

Clock::time_point Server::tick(Clock::time_point now) {
    auto due = now + 1s;
    for (auto& [id, job] : jobs_) {
        if (job.settle(now)) {
            say_state(job, 0);
            job.said = 1;
            job.next_state = heard_by(kFirstState);
        }
        if (job.child() != nullptr) {
            due = std::min(due, job.child()->tick(now).value_or(due));
        }
        const bool waiting = job.state().phase == Phase::done && !job.acknowledged && job.said < kDoneRepeats;
        if (job.state().phase != Phase::running && !waiting) {
            continue;
        }
        if (now >= job.next_state) {
            say_state(job, 0);
            job.next_state = heard_by(waiting ? kFirstState * (1u << job.said++) : heartbeat_);
        }
        due = std::min(due, job.next_state);
    }
    forget_old();
    return due;
}

void Server::forget_old() {
    std::size_t memory = 0;
    for (auto& [id, job] : jobs_) {
        memory += job.memory();
    }
    for (auto i = jobs_.begin(); i != jobs_.end() && (memory > kMaxMemory || jobs_.size() > kMaxJobs);) {
        if (i->second.state().phase == Phase::running || i->first == newest_) {
            ++i;
            continue;
        }
        memory -= i->second.memory();
        i = jobs_.erase(i);
    }
}

void Server::pump() {
    while (out_.size() < kQueueAim && !transfers_.empty()) {
        Transfer& transfer = transfers_.front();
        Job* job = find(transfer.id);
        const std::string empty;
        const std::string& content = job != nullptr ? job->stream(transfer.stream) : empty;
        const std::size_t end = std::min(transfer.end, content.size());
        if (transfer.next >= end) {
            transfers_.pop_front();
            continue;
        }
        const std::size_t count = std::min(transfer.piece, end - transfer.next);
        if ((std::exchange(transfer.skip, transfer.skip >> 1) & 1u) != 0) {
            transfer.next += count;
            continue;
        }
        send({frame::Type::data,
              static_cast<std::uint8_t>(transfer.stream | in_turn(transfer.turn)),
              transfer.id,
              static_cast<std::uint32_t>(transfer.next),
              {reinterpret_cast<const std::uint8_t*>(content.data()) + transfer.next, count}});
        transfer.next += count;
    }
}

void Server::send(const frame::Frame& frame) {
    if (out_.size() > kQueueLimit) {
        return;
    }
    std::array<char, frame::kMaxText> text;
    const std::size_t length = frame::encode(frame, lane_, text);
    out_.append(text.data(), length);
    if (line_rate_ != 0) {
        line_free_ = std::max(Clock::now(), line_free_) + std::chrono::milliseconds(length * 1000 / line_rate_ + 1);
    }
}

// When an answer to what was said last can be here: the line has carried it, and `patience` is over.
Clock::time_point Server::heard_by(std::chrono::milliseconds patience) const {
    return std::max(Clock::now(), line_free_) + patience;
}

void Server::text(std::span<const char> bytes) {
    for (const char c : bytes) {
        interrupts_ = c == kInterrupt ? interrupts_ + 1 : 0;
        if (interrupts_ >= kInterruptsToLeave) { // a person at the terminal, or a controller that lost its way
            leaving_ = true;
            return;
        }
    }
}

void Server::damaged(frame::Lane, std::size_t) {
    send({frame::Type::damaged, 0, 0, 0, {}});
}

void Server::frame(const frame::Frame& frame, frame::Lane lane) {
    interrupts_ = 0;
    if (frame.type == frame::Type::hello) {
        lane_ = lane;
        hello(frame);
        return;
    }
    if (!in_session(frame.id)) {
        say_unknown(frame);
        return;
    }
    lane_ = lane;
    switch (frame.type) {
    case frame::Type::put:
        put(frame);
        break;
    case frame::Type::get:
        get(frame);
        break;
    case frame::Type::kill:
        if (Job* job = find(frame.id); job != nullptr && job->child() != nullptr) {
            job->child()->kill(Child::Cut::request, Clock::now());
        }
        break;
    case frame::Type::drop:
        if (Job* job = find(frame.id); job != nullptr && job->state().phase == Phase::done) {
            jobs_.erase(frame.id);
        }
        break;
    case frame::Type::bye:
        send({frame::Type::gone, 0, frame.id, 0, {}});
        leaving_ = true;
        break;
    default: // an echo of our own frames, or a controller newer than this agent
        break;
    }
}

bool Server::in_session(std::uint32_t id) const {
    return session_.has_value() && id >> kCounterBits == session_tag_;
}

void Server::hello(const frame::Frame& frame) {
    if (frame.payload.size() < 12) {
        return;
    }
    const std::uint64_t session = get_u64(frame.payload.data());
    if (session_ != session) { // a new controller: what the last one left is of no use to it
        jobs_.clear();
        transfers_.clear();
        session_ = session;
        session_tag_ = frame.id >> kCounterBits;
        newest_ = 0;
    }
    heartbeat_ = std::chrono::milliseconds(std::clamp<std::uint32_t>(frame::get_u32(&frame.payload[8]), 50, 60'000));
    line_rate_ = frame.payload.size() >= 16 ? frame::get_u32(&frame.payload[12]) : 0;
    welcome(frame.id);
}

void Server::welcome(std::uint32_t id) {
    utsname names{};
    (void)uname(&names);
    const std::string about = std::string(names.sysname) + " " + names.release + " " + names.machine;
    std::array<std::uint8_t, 20 + 96> payload{};
    frame::put_u32(payload.data(), kProtocolVersion);
    put_u64(&payload[4], nonce_);
    put_u64(&payload[12], session_.value_or(0));
    const std::size_t length = std::min<std::size_t>(about.size(), 96);
    std::copy_n(about.begin(), length, payload.begin() + 20);
    send({frame::Type::welcome, 0, id, 0, {payload.data(), 20 + length}});
}

void Server::put(const frame::Frame& frame) {
    Job* job = find(frame.id);
    if (job == nullptr) {
        if (frame.id <= newest_) { // answered and dropped: it must not run again
            say_unknown(frame);
            return;
        }
        newest_ = frame.id;
        job = &jobs_.try_emplace(frame.id, frame.id).first->second;
    }
    if ((frame.flags >> 4) != 0) {
        job->inline_limit = 1u << (frame.flags >> 4);
    }
    const Phase before = job->state().phase;
    const std::size_t had = job->received();
    const auto running = std::count_if(jobs_.begin(), jobs_.end(),
                                       [](const auto& entry) { return entry.second.state().phase == Phase::running; });
    if (static_cast<std::size_t>(running) < kMaxRunning || before != Phase::collecting) {
        job->put(frame.offset, frame.payload, (frame.flags & kLast) != 0);
    }
    if (before == Phase::collecting && job->state().phase == Phase::running) {
        job->next_state = heard_by(kFirstState); // most commands are done before: one frame instead of two
        return;
    }
    if (turn_of(frame.flags) == 0 && job->state().phase == Phase::collecting && job->received() > had) {
        return; // a piece that needs no answer where it is the next one
    }
    say_state(*job, turn_of(frame.flags));
    if (job->state().phase == Phase::done) {
        job->next_state = heard_by(kFirstState);
        job->said = std::max(job->said, 1u);
    }
}

void Server::get(const frame::Frame& frame) {
    Job* job = find(frame.id);
    if (job == nullptr || frame.payload.size() < 6) {
        say_unknown(frame);
        return;
    }
    const auto stream = static_cast<std::uint8_t>(frame.flags & 1u);
    if (std::exchange(job->last_get[stream], turn_of(frame.flags)) == turn_of(frame.flags)) {
        return; // said twice, for safety
    }
    job->acknowledged = job->acknowledged || (frame.flags & kDoneKnown) != 0;
    const std::size_t piece = std::clamp<std::size_t>(frame::get_u16(&frame.payload[4]), 1, frame::kMaxPayload);
    const std::uint64_t skip = frame.payload.size() >= 14 ? get_u64(&frame.payload[6]) : 0;
    transfers_.remove_if([&](const Transfer& t) { return t.id == frame.id && t.stream == stream; });
    transfers_.push_back({frame.id, stream, frame.offset, std::size_t{frame.offset} + frame::get_u32(&frame.payload[0]),
                          piece, turn_of(frame.flags), skip});
}

void Server::say_state(Job& job, unsigned turn) {
    std::array<std::uint8_t, frame::kMaxPayload> payload{};
    job.update();
    std::size_t length = pack(job.state(), payload.data());
    const std::size_t both = job.stream(0).size() + job.stream(1).size();
    if (job.state().phase == Phase::done && both > 0 &&
        both <= std::min<std::size_t>(job.inline_limit, payload.size() - kStateSize)) {
        length = kStateSize;
        for (int i = 0; i < 2; ++i) {
            std::copy(job.stream(i).begin(), job.stream(i).end(),
                      payload.begin() + static_cast<std::ptrdiff_t>(length));
            length += job.stream(i).size();
        }
    }
    send({frame::Type::state, in_turn(turn), job.id(), job.received(), {payload.data(), length}});
}

void Server::say_unknown(const frame::Frame& question) {
    std::array<std::uint8_t, kStateSize> payload{};
    State state;
    state.phase = Phase::unknown;
    const std::size_t length = pack(state, payload.data());
    send({frame::Type::state, in_turn(turn_of(question.flags)), question.id, 0, std::span(payload).first(length)});
}

Job* Server::find(std::uint32_t id) {
    const auto found = jobs_.find(id);
    return found != jobs_.end() ? &found->second : nullptr;
}

} // namespace hil::agent

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/console.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace hil {

namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 100ms;   // at most between two looks at everything, and at an interrupt
constexpr auto kSettle = 300ms; // quiet after which held-back bytes and incomplete reports are taken as they are
constexpr auto kRetry = 20ms;   // between two attempts to open the stream
constexpr std::size_t kMaxEvents = 200'000;
constexpr std::size_t kMaxInbox = 4096;
constexpr std::size_t kMaxTail = 2048;
constexpr int kTeeSize = 1 << 20;

// Waits in short pieces until `done` is true, the deadline passes or `interrupted` says so.
template <typename Done>
bool wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, SteadyClock::time_point deadline,
                const Interrupted& interrupted, Done done) {
    while (!done()) {
        const auto now = SteadyClock::now();
        if (now >= deadline) {
            return false;
        }
        changed.wait_until(lock, std::min(deadline, now + kTick));
        if (interrupted && !done()) {
            lock.unlock();
            const bool leave = interrupted();
            lock.lock();
            if (leave) {
                return false;
            }
        }
    }
    return true;
}

} // namespace

const char* to_string(Link link) {
    switch (link) {
    case Link::connecting:
        return "connecting";
    case Link::open:
        return "open";
    case Link::lost:
        return "lost";
    case Link::closed:
        break;
    }
    return "closed";
}

Console::Console(ConsoleOptions options) : options_(std::move(options)), text_(*this) {}

Result<std::unique_ptr<Console>> Console::create(ConsoleOptions options) {
    std::unique_ptr<Console> console(new Console(std::move(options)));
    auto source = make_stream_source(console->options_.stream);
    if (!source) {
        return source.error();
    }
    console->source_ = std::move(source).value();
    ConsoleOptions& given = console->options_;
    if (given.line_rate == 0) {
        const auto limited = given.chaos ? static_cast<std::size_t>(given.chaos->rate) : 0;
        given.line_rate = limited != 0 ? limited : stream_rate(given.stream);
    }
    if (!console->options_.raw_path.empty()) {
        auto log = ConsoleLog::create(console->options_.raw_path, console->options_.times_path);
        if (!log) {
            return log.error();
        }
        console->log_ = std::move(log).value();
    }
    std::array<int, 2> pipe_ends{};
    console->wake_ = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!console->wake_.open() || pipe2(pipe_ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return Error{std::string("cannot set the console up: ") + std::strerror(errno)};
    }
    console->tee_read_ = FileDescriptor(pipe_ends[0]);
    console->tee_write_ = FileDescriptor(pipe_ends[1]);
    (void)fcntl(pipe_ends[1], F_SETPIPE_SZ, kTeeSize);
    Console* self = console.get();
    console->thread_ = std::thread([self] { self->run(); });
    return console;
}

Console::~Console() {
    close();
}

void Console::close() {
    stop_ = true;
    wake();
    if (thread_.joinable()) {
        thread_.join();
        source_.reset();
    }
}

void Console::wake() {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

// --- Reader thread ---------------------------------------------------------------------------------------------------

void Console::run() {
    while (!stop_) {
        const std::unique_ptr<Stream> stream = connect();
        if (stream == nullptr) {
            break;
        }
        serve(*stream);
        text_.finish();
        if (!options_.reconnect) {
            break;
        }
    }
    if (stop_) {
        set_link(Link::closed, "closed");
    }
    tee_write_.reset(); // its reader sees the end
    {
        const std::scoped_lock lock(mutex_);
        running_ = false;
        flush_wanted_ = false;
    }
    changed_.notify_all();
}

std::unique_ptr<Stream> Console::connect() {
    const auto deadline = SteadyClock::now() + options_.connect_limit;
    while (!stop_) {
        auto opened = source_->open();
        now_ = SteadyClock::now() - options_.start;
        if (opened) {
            std::unique_ptr<Stream> stream = std::move(opened).value();
            if (options_.chaos) {
                stream = std::make_unique<ChaosStream>(std::move(stream), *options_.chaos);
                ++options_.chaos->seed; // after a loss the faults are others: the same ones would end the line again
            }
            set_link(Link::open, options_.stream);
            return stream;
        }
        if (SteadyClock::now() >= deadline) {
            set_link(Link::lost, opened.error().message + " ('connect' has a limit of " +
                                     std::to_string(options_.connect_limit.count() / 1000) + " s)");
            return nullptr;
        }
        pollfd polled{wake_.get(), POLLIN, 0};
        (void)::poll(&polled, 1, static_cast<int>(kRetry.count()));
    }
    return nullptr;
}

void Console::serve(Stream& stream) {
    for (bool alive = true; alive && !stop_;) {
        const auto now = SteadyClock::now();
        std::size_t waiting = 0;
        {
            const std::scoped_lock lock(mutex_);
            waiting = outbox_.size();
        }
        const bool writing = waiting != 0;
        auto wait = kTick;
        if (const auto due = stream.due()) {
            wait = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*due - now), 0ms, kTick);
        }
        const bool rests = stream.rests_until() > now;
        if (rests) {
            wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(stream.rests_until() - now));
        }
        const bool paced = writing && write_budget(now) < std::min(waiting, options_.bytes_per_ms);
        if (paced) {
            wait = std::min(wait, 1ms);
        }
        std::array<pollfd, 2> polled = {pollfd{rests ? -1 : stream.descriptor(), POLLIN, 0},
                                        pollfd{wake_.get(), POLLIN, 0}};
        if (writing && !paced) {
            polled[0].events |= POLLOUT;
        }
        (void)::poll(polled.data(), polled.size(), static_cast<int>(wait.count()));
        if (polled[1].revents != 0) {
            std::uint64_t count = 0;
            (void)!::read(wake_.get(), &count, sizeof count);
        }
        now_ = SteadyClock::now() - options_.start;
        if ((polled[0].revents & ~POLLOUT) != 0 || stream.due()) {
            alive = read_from(stream);
        }
        if (alive && writing && !paced) {
            alive = write_to(stream);
        }
        settle(SteadyClock::now());
    }
}

bool Console::read_from(Stream& stream) {
    std::array<char, 16384> buffer;
    const Transfer got = stream.read(buffer);
    if (got.count > 0) {
        const std::span<const char> bytes(buffer.data(), got.count);
        const Status logged = log_.append(bytes, now_);
        const bool framed = std::any_of(bytes.begin(), bytes.end(), [](char c) { return (c & 0x80) != 0 || c == '~'; });
        {
            const std::scoped_lock lock(mutex_);
            counts_.bytes += got.count;
            last_byte_ = SteadyClock::now();
            offset_ = log_.offset();
            if (framed || text_.holds_back()) {
                last_frame_byte_ = SteadyClock::now();
            }
        }
        if (!logged) {
            push(NoteEvent{logged.error().message});
        }
        settled_ = false;
        text_.feed(bytes);
    }
    if (got.state != StreamState::open) {
        set_link(Link::lost, got.why);
        return false;
    }
    return true;
}

// How many bytes the pace allows now: a millisecond's worth may be saved up, and no more.
std::size_t Console::write_budget(SteadyClock::time_point now) {
    if (options_.bytes_per_ms == 0) {
        return SIZE_MAX;
    }
    const double rate = static_cast<double>(options_.bytes_per_ms);
    const double passed = std::chrono::duration<double, std::milli>(now - paced_at_).count();
    pace_ = std::min(pace_ + passed * rate, rate);
    paced_at_ = now;
    return static_cast<std::size_t>(pace_);
}

bool Console::write_to(Stream& stream) {
    std::string piece;
    {
        const std::scoped_lock lock(mutex_);
        piece = outbox_.substr(0, std::min<std::size_t>(write_budget(SteadyClock::now()), 16384));
    }
    if (piece.empty()) {
        return true; // whoever wrote gave up meanwhile
    }
    const Transfer sent = stream.write(piece);
    if (options_.bytes_per_ms != 0) {
        pace_ -= static_cast<double>(sent.count);
    }
    {
        const std::scoped_lock lock(mutex_);
        outbox_.erase(0, sent.count);
        counts_.written += sent.count;
    }
    changed_.notify_all();
    if (sent.state != StreamState::open) {
        set_link(Link::lost, sent.why);
        return false;
    }
    return true;
}

// Takes incomplete things as they are when nothing has come for a while.
void Console::settle(SteadyClock::time_point now) {
    bool asked = false;
    {
        const std::scoped_lock lock(mutex_);
        asked = flush_wanted_;
    }
    if (asked) {
        text_.flush_traps();
        {
            const std::scoped_lock lock(mutex_);
            flush_wanted_ = false;
        }
        changed_.notify_all();
    }
    if (settled_) {
        return;
    }
    {
        const std::scoped_lock lock(mutex_);
        if (now - std::max(last_text_, last_frame_byte_) < kSettle) {
            return;
        }
    }
    settled_ = true;
    text_.settle(options_.lines);
}

void Console::on_text(std::span<const char> bytes) {
    {
        const std::scoped_lock lock(mutex_);
        last_text_ = SteadyClock::now();
        tail_.append(bytes.data(), bytes.size());
        if (tail_.size() > 2 * kMaxTail) {
            tail_.erase(0, tail_.size() - kMaxTail);
        }
        std::size_t done = 0;
        while (done < bytes.size()) { // a pipe takes pieces beyond 4 KiB in part
            const ssize_t count = ::write(tee_write_.get(), bytes.data() + done, bytes.size() - done);
            if (count <= 0) {
                counts_.tee_dropped += bytes.size() - done;
                break;
            }
            done += static_cast<std::size_t>(count);
        }
    }
}

void Console::on_line(const ConsoleLine& line) {
    {
        const std::scoped_lock lock(mutex_);
        const auto count_of = [this](Writer who) -> std::uint64_t& {
            return counts_.text[static_cast<std::size_t>(who)];
        };
        count_of(Writer::agent) += line.remains;
        (line.record ? counts_.records : count_of(line.writer)) += line.others();
    }
    if (options_.lines) {
        push(LineEvent{std::string(line.text), line.writer, line.whole});
    }
}

void Console::on_fact(LifecycleEvent fact) {
    push(std::move(fact));
}

void Console::on_trap(TrapEvent trap) {
    push(std::move(trap));
}

void Console::on_frame(const frame::Frame& frame, frame::Lane lane) {
    {
        const std::scoped_lock lock(mutex_);
        ++counts_.frames;
        if (inbox_.size() < kMaxInbox) {
            inbox_.push_back({false,
                              lane,
                              frame.type,
                              frame.flags,
                              frame.id,
                              frame.offset,
                              {frame.payload.begin(), frame.payload.end()}});
        }
    }
    changed_.notify_all();
}

void Console::on_damaged(frame::Lane lane) {
    {
        const std::scoped_lock lock(mutex_);
        ++counts_.damaged;
        if (inbox_.size() < kMaxInbox) {
            inbox_.push_back({true, lane, {}, 0, 0, 0, {}});
        }
    }
    changed_.notify_all();
}

void Console::set_link(Link link, std::string detail) {
    {
        const std::scoped_lock lock(mutex_);
        link_ = {link, detail};
        if (link != Link::open) {
            outbox_.clear();
        }
        counts_.losses += link == Link::lost ? 1 : 0;
    }
    push(LinkEvent{link, std::move(detail)});
}

void Console::push(decltype(ConsoleEvent::what) what) {
    {
        const std::scoped_lock lock(mutex_);
        const bool is_line = std::holds_alternative<LineEvent>(what);
        if (events_.size() >= (is_line ? kMaxEvents : 2 * kMaxEvents)) {
            ++counts_.events_dropped;
            return;
        }
        events_.push_back({now_, offset_, std::move(what)});
    }
    changed_.notify_all();
}

// --- Everybody else --------------------------------------------------------------------------------------------------

Status Console::wait_open(std::chrono::milliseconds limit, const Interrupted& interrupted) {
    std::unique_lock lock(mutex_);
    const bool settled = wait_until(lock, changed_, SteadyClock::now() + limit, interrupted, [this] {
        return link_.link == Link::open || link_.link == Link::closed ||
               (link_.link == Link::lost && !options_.reconnect);
    });
    if (settled && link_.link == Link::open) {
        return Nothing{};
    }
    return Error{"the console " + options_.stream + " is not open (" + to_string(link_.link) +
                 (link_.detail.empty() ? "" : ": " + link_.detail) + ")"};
}

Status Console::write(std::span<const char> bytes, std::chrono::milliseconds limit, const Interrupted& interrupted) {
    std::unique_lock lock(mutex_);
    if (link_.link == Link::open) {
        outbox_.append(bytes.data(), bytes.size());
        lock.unlock();
        wake();
        lock.lock();
        (void)wait_until(lock, changed_, SteadyClock::now() + limit, interrupted,
                         [this] { return outbox_.empty() || link_.link != Link::open; });
    }
    if (link_.link != Link::open) {
        return Error{"cannot write to the console " + options_.stream + ": it is " + to_string(link_.link) +
                     (link_.detail.empty() ? "" : " (" + link_.detail + ")")};
    }
    if (!outbox_.empty()) {
        const std::size_t left = outbox_.size();
        outbox_.clear();
        return Error{"the console " + options_.stream + " took no more bytes, " + std::to_string(left) +
                     " are left over"};
    }
    return Nothing{};
}

std::vector<ConsoleEvent> Console::poll(std::chrono::milliseconds limit, const Interrupted& interrupted) {
    std::unique_lock lock(mutex_);
    (void)wait_until(lock, changed_, SteadyClock::now() + limit, interrupted, [this] { return !events_.empty(); });
    std::vector<ConsoleEvent> taken(std::make_move_iterator(events_.begin()), std::make_move_iterator(events_.end()));
    events_.clear();
    return taken;
}

bool Console::wait_quiet(std::chrono::milliseconds quiet, std::chrono::milliseconds limit,
                         const Interrupted& interrupted) {
    const auto begin = SteadyClock::now();
    const auto deadline = begin + limit;
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto calm = std::max(last_text_, begin) + quiet;
        const auto now = SteadyClock::now();
        if (now >= calm) {
            return true;
        }
        if (now >= deadline || link_.link == Link::closed) {
            return false;
        }
        bool left = false;
        (void)wait_until(
            lock, changed_, std::min(calm, deadline), [&] { return left = interrupted && interrupted(); },
            [] { return false; });
        if (left) {
            return false;
        }
    }
}

std::optional<InboundFrame> Console::next_frame(SteadyClock::time_point deadline) {
    std::unique_lock lock(mutex_);
    const auto over = [this, losses = counts_.losses] {
        return !inbox_.empty() || link_.link != Link::open || counts_.losses != losses;
    };
    if (!wait_until(lock, changed_, deadline, {}, over) || inbox_.empty()) {
        return std::nullopt;
    }
    InboundFrame frame = std::move(inbox_.front());
    inbox_.pop_front();
    return frame;
}

std::uint64_t Console::losses() const {
    const std::scoped_lock lock(mutex_);
    return counts_.losses;
}

SteadyClock::time_point Console::last_frame_byte() const {
    const std::scoped_lock lock(mutex_);
    return last_frame_byte_;
}

void Console::flush_traps(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!running_) {
        return; // the thread did it at its end
    }
    flush_wanted_ = true;
    wake();
    (void)wait_until(lock, changed_, SteadyClock::now() + limit, {}, [this] { return !flush_wanted_; });
}

SteadyClock::time_point Console::last_byte() const {
    const std::scoped_lock lock(mutex_);
    return std::max(last_byte_, options_.start);
}

LinkEvent Console::link() const {
    const std::scoped_lock lock(mutex_);
    return link_;
}

bool Console::may_return() const {
    const std::scoped_lock lock(mutex_);
    return options_.reconnect && running_ && link_.link != Link::closed;
}

ConsoleCounts Console::counts() const {
    const std::scoped_lock lock(mutex_);
    return counts_;
}

std::string Console::tail() const {
    const std::scoped_lock lock(mutex_);
    return tail_.size() > kMaxTail ? tail_.substr(tail_.size() - kMaxTail) : tail_;
}

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// Console: the one owner of a machine's console line.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "bench/core/frame.hpp"
#include "hil/lib/chaos.hpp"
#include "hil/lib/console_log.hpp"
#include "hil/lib/console_text.hpp"
#include "hil/lib/stream.hpp"

namespace hil {

using SteadyClock = std::chrono::steady_clock;

/// Asked about ten times a second by everything that waits: true ends the wait.
using Interrupted = std::function<bool()>;

struct ConsoleOptions {
    std::string stream;                              ///< as make_stream_source() takes it
    std::string raw_path;                            ///< console.raw; empty: keep nothing
    std::string times_path;                          ///< console.times
    std::chrono::milliseconds connect_limit{10'000}; ///< for the first connection and for each one after a loss
    bool reconnect = false;                          ///< open the stream again when it was lost
    bool lines = false;                              ///< make an event of every line
    std::optional<ChaosOptions> chaos;               ///< faults between the stream and this console
    std::size_t bytes_per_ms = 0;                    ///< write no faster than this; 0: as the stream takes it
    std::size_t line_rate = 0; ///< bytes a second that the line carries each way; 0: as stream and chaos say, or fast
    SteadyClock::time_point start = SteadyClock::now(); ///< zero of all times
};

enum class Link {
    connecting,
    open,
    lost,   ///< ended, hung up, unplugged, or could not be opened; with reconnect it may come back
    closed, ///< by close()
};
const char* to_string(Link link);

struct LineEvent {
    std::string text; ///< raw, without its end; may hold escapes and any byte
    Writer writer = Writer::unattributed;
    bool whole = true; ///< false: cut, or without a line end so far
};
struct LinkEvent {
    Link link = Link::connecting;
    std::string detail;
};
struct NoteEvent { ///< something about the console itself that a reader of the run should know
    std::string text;
};

struct ConsoleEvent {
    std::chrono::nanoseconds time{}; ///< since the start, when the bytes that made it were read
    std::uint64_t offset = 0;        ///< of the raw log, behind those bytes
    std::variant<LineEvent, LifecycleEvent, TrapEvent, LinkEvent, NoteEvent> what;
};

/// A frame as it lies in the inbox, or the news that a damaged one came.
struct InboundFrame {
    bool damaged = false;
    frame::Lane lane = frame::Lane::high;
    frame::Type type{};
    std::uint8_t flags = 0;
    std::uint32_t id = 0;
    std::uint32_t offset = 0;
    std::vector<std::uint8_t> payload;
};

struct ConsoleCounts {
    std::uint64_t bytes = 0;       ///< read from the stream
    std::uint64_t written = 0;     ///< given to the stream
    std::uint64_t frames = 0;      ///< good ones
    std::uint64_t damaged = 0;     ///< frames that were none any more
    std::uint64_t tee_dropped = 0; ///< bytes that the tee's reader was too slow for
    std::uint64_t events_dropped = 0;
    std::uint64_t losses = 0;                   ///< times that the line was lost, for good or not
    std::array<std::uint64_t, kWriters> text{}; ///< bytes of lines by Writer, line ends counted
    std::uint64_t records = 0;                  ///< of these lines that hold a probe's record: not in `text`
};

/// A reader thread owns the stream: raw bytes to disk, frames to the agent's client, all other text to the tee, the
/// line parser and the trap decoder. All methods may be called from any thread.
class Console : private ConsoleTextSink {
  public:
    /// Checks the options, creates the log and starts the thread; the connection comes later: see wait_open().
    static Result<std::unique_ptr<Console>> create(ConsoleOptions options);
    ~Console() override;
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    /// Waits until the line is open.
    Status wait_open(std::chrono::milliseconds limit, const Interrupted& interrupted = {});
    /// Sends bytes to the machine; returns when the stream has taken them all.
    Status write(std::span<const char> bytes, std::chrono::milliseconds limit, const Interrupted& interrupted = {});
    /// The events so far; when there are none, waits for the first.
    std::vector<ConsoleEvent> poll(std::chrono::milliseconds limit, const Interrupted& interrupted = {});
    /// Waits until no text (frames do not count) has come for `quiet`; false when `limit` is over before.
    bool wait_quiet(std::chrono::milliseconds quiet, std::chrono::milliseconds limit,
                    const Interrupted& interrupted = {});
    /// The next frame of the agent; nothing at the deadline. For AgentClient.
    std::optional<InboundFrame> next_frame(SteadyClock::time_point deadline);
    /// When the last byte that looks like a frame's came.
    [[nodiscard]] SteadyClock::time_point last_frame_byte() const;
    /// Read end of a pipe that gets all text, frames removed. It belongs to the console. Never blocks the reader: what
    /// does not fit is dropped and counted.
    [[nodiscard]] int tee() const { return tee_read_.get(); }
    /// Bytes a second that the line carries each way; 0: so many that it does not matter.
    [[nodiscard]] std::size_t line_rate() const { return options_.line_rate; }
    [[nodiscard]] LinkEvent link() const;
    /// Whether a line that is lost now may be open again later.
    [[nodiscard]] bool may_return() const;
    [[nodiscard]] ConsoleCounts counts() const;
    [[nodiscard]] std::uint64_t losses() const; ///< of counts(), alone
    /// Has incomplete trap reports decoded as they are, by the reader thread; waits for that up to `limit`.
    void flush_traps(std::chrono::milliseconds limit);
    /// True while something that looks like a trap report is on the line and not yet whole.
    [[nodiscard]] bool report_pending() const { return report_pending_; }
    /// When the last byte of any kind came; the start when none did.
    [[nodiscard]] SteadyClock::time_point last_byte() const;
    /// The last text, up to 2 KiB: for error messages.
    [[nodiscard]] std::string tail() const;
    /// Ends the thread and closes the line. Events and counts stay readable.
    void close();

  private:
    explicit Console(ConsoleOptions options);
    void run();
    std::unique_ptr<Stream> connect();
    void serve(Stream& stream);
    bool read_from(Stream& stream);
    bool write_to(Stream& stream);
    void settle(SteadyClock::time_point now);
    void on_text(std::span<const char> bytes) override;
    void on_report(bool pending) override { report_pending_ = pending; }
    void on_frame(const frame::Frame& frame, frame::Lane lane) override;
    void on_damaged(frame::Lane lane) override;
    void on_line(const ConsoleLine& line) override;
    void on_fact(LifecycleEvent fact) override;
    void on_trap(TrapEvent trap) override;
    void set_link(Link link, std::string detail);
    void push(decltype(ConsoleEvent::what) what);
    void wake();
    [[nodiscard]] std::size_t write_budget(SteadyClock::time_point now);

    ConsoleOptions options_;
    std::unique_ptr<StreamSource> source_;
    ConsoleLog log_;
    FileDescriptor wake_;
    FileDescriptor tee_read_;
    FileDescriptor tee_write_;
    std::thread thread_;
    std::atomic<bool> stop_ = false;

    // The reader thread's own.
    ConsoleText text_;
    std::atomic<bool> report_pending_ = false; // for the other threads
    std::chrono::nanoseconds now_{};
    SteadyClock::time_point paced_at_{};
    double pace_ = 0;
    bool settled_ = true;

    // Shared, under mutex_.
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<ConsoleEvent> events_;
    std::deque<InboundFrame> inbox_;
    std::string outbox_;
    std::string tail_;
    LinkEvent link_;
    ConsoleCounts counts_;
    std::uint64_t offset_ = 0;
    bool flush_wanted_ = false;
    bool running_ = true; // the reader thread
    SteadyClock::time_point last_byte_{};
    SteadyClock::time_point last_text_{};
    SteadyClock::time_point last_frame_byte_{};
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// ConsoleText: what a console's bytes say. No thread, no time, no line: bytes in, frames, lines, facts and traps out.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "bench/core/frame.hpp"
#include "hil/lib/agent_remains.hpp"
#include "hil/lib/lifecycle.hpp"
#include "hil/lib/line_assembler.hpp"
#include "hil/lib/trap_decoder.hpp"

namespace hil {

/// A line and whose its characters are: `remains` the agent's, the others (and the line's end, one more, also where a
/// line was cut) the writer's; or, of a line that holds a probe's record, nobody's: `record`.
struct ConsoleLine {
    std::string_view text; ///< raw, without its end
    Writer writer = Writer::unattributed;
    bool whole = true; ///< false: cut, or without a line end so far
    bool record = false;
    std::size_t remains = 0;
    [[nodiscard]] std::size_t others() const { return text.size() - remains + 1; }
};

class ConsoleTextSink {
  public:
    virtual ~ConsoleTextSink() = default;
    /// What belongs to no frame, in the order in which it is known.
    virtual void on_text(std::span<const char> bytes) = 0;
    /// Whether something that looks like a trap report is not yet whole; told before the lines of the same text are.
    virtual void on_report(bool pending) = 0;
    virtual void on_frame(const frame::Frame& frame, frame::Lane lane) = 0;
    virtual void on_damaged(frame::Lane lane) = 0;
    virtual void on_line(const ConsoleLine& line) = 0;
    virtual void on_fact(LifecycleEvent fact) = 0;
    virtual void on_trap(TrapEvent trap) = 0;
};

class ConsoleText {
  public:
    /// `sink` has to live as long.
    explicit ConsoleText(ConsoleTextSink& sink);
    ConsoleText(const ConsoleText&) = delete;
    ConsoleText& operator=(const ConsoleText&) = delete;

    void feed(std::span<const char> bytes);
    /// The line is quiet: what is held back is taken as it is; with `lines` also a line that has no end yet.
    void settle(bool lines);
    /// Trap reports that are not whole are decoded as they are.
    void flush_traps();
    /// The line was lost.
    void finish() { settle(true); }
    /// True while characters are held back as the beginning of a frame.
    [[nodiscard]] bool holds_back() const { return decoder_.pending(); }

    // The frame decoder's sink.
    void text(std::span<const char> bytes);
    void frame(const frame::Frame& frame, frame::Lane lane);
    void damaged(frame::Lane lane, std::size_t characters);

  private:
    void line(std::string_view text, bool whole);
    void take_traps();

    ConsoleTextSink& sink_;
    frame::Decoder decoder_;
    LineAssembler assembler_;
    AgentRemains remains_;
    LifecycleParser lifecycle_;
    TrapDecoder traps_;
    bool in_record_ = false;
};

} // namespace hil

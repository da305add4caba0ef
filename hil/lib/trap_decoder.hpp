// SPDX-License-Identifier: Apache-2.0
// TrapDecoder: finds the panic reports of Jailhouse and gaol in a byte stream: a live console, a log, a mail.
#pragma once

#include "hil/lib/trap_event.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hil {

/// Streaming decoder. Memory is bounded whatever the input: a look-back of 1 KiB, at most 64 KiB of a region that looks
/// like a trap, and the events not yet taken (the oldest are dropped beyond 65,536; dropped() tells).
///
/// A whole report becomes an event at its last byte. An incomplete one waits for more: for 24 lines without anything of
/// a trap, or for flush(), which a live console calls when the line has gone quiet.
class TrapDecoder {
  public:
    TrapDecoder() = default;

    /// Bytes as they come; lines may be split anywhere between two calls.
    void feed(std::string_view bytes);
    /// The console went quiet: decode what was collected. The stream may go on afterwards.
    void flush();
    /// End of input: flush(), and the last, unterminated line counts as a line.
    void finish();
    /// The events completed since the last call, in the order of the input.
    [[nodiscard]] std::vector<TrapEvent> take();
    /// The same into a vector whose memory is used again; what was in it is dropped.
    void take(std::vector<TrapEvent>& into);
    /// True while a region that looks like a trap is being collected.
    [[nodiscard]] bool pending() const { return collecting_; }
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

  private:
    const char* idle(const char* cursor, const char* end);
    void collect(std::string_view line);
    void decode(bool cut_early);
    void remember(std::string_view bytes);
    std::size_t quiet_at_end() const;
    void emit(TrapEvent&& event);
    bool repeats_last_end(const TrapEvent& event) const;

    struct End {
        std::optional<std::uint32_t> cpu;
        std::optional<std::string> cell;
        std::uint64_t line = 0;
    };

    std::string history_;           // the last bytes before a region, whole lines
    std::string partial_;           // an unterminated line
    std::string region_;            // the lines that look like a trap, and those between
    std::uint64_t line_ = 1;        // number of the line that comes next
    std::uint64_t region_line_ = 1; // number of the region's first line
    std::size_t quiet_lines_ = 0;   // lines at the region's end without anything of a trap: not more than these
    std::size_t attempts_ = 0;      // early decodings of this region that found it incomplete
    bool collecting_ = false;
    End last_end_; // of the event before
    TrapArch last_arch_ = TrapArch::unknown;
    std::uint64_t dropped_ = 0;
    std::vector<TrapEvent> found_; // of the last region; its capacity is kept
    std::vector<TrapEvent> events_;
};

/// Decodes a whole text at once; events that name no architecture take the one that all others share.
std::vector<TrapEvent> decode_traps(std::string_view text);

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// LineAssembler: console text in, whole lines out.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hil {

/// Ends a line at LF, or after kMaxLine bytes (a flood without line ends must not take memory). CRs before the LF are
/// cut away, however many (CR CR LF happens); a lone CR stays.
class LineAssembler {
  public:
    static constexpr std::size_t kMaxLine = 4096;
    /// `whole` is false when the line was cut at kMaxLine or by flush().
    using Sink = std::function<void(std::string_view line, bool whole)>;

    explicit LineAssembler(Sink sink) : sink_(std::move(sink)) {}
    void feed(std::string_view bytes);
    /// Hands out what has no line end yet, a prompt for example.
    void flush();
    [[nodiscard]] bool pending() const { return !line_.empty(); }

  private:
    void emit(bool whole);
    Sink sink_;
    std::string line_;
};

/// The text without terminal escape sequences (ECMA-48 CSI, OSC and two-character ones) and without control codes but
/// tab.
std::string without_escapes(std::string_view text);

} // namespace hil

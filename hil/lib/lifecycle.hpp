// SPDX-License-Identifier: Apache-2.0
// The lines by which a hypervisor and the root's kernel tell what becomes of a machine and its cells.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hil {

/// Who wrote a line, as far as the bytes tell.
enum class Writer {
    unattributed,
    kernel,
    hypervisor,
    agent, ///< what its damaged frames left; whole ones are no text
};
inline constexpr std::size_t kWriters = 4;
const char* to_string(Writer writer);

/// One fact from the console. `kind` is one of the names in lifecycle.cpp's table (cell-created, cpu-parked, …).
struct LifecycleEvent {
    std::string_view kind;
    Writer writer = Writer::unattributed;
    std::string cell;   ///< the cell's name as printed, or empty: text from outside, never a path or markup
    int cpu = -1;       ///< or -1
    std::string detail; ///< the rest of the line after the fixed words
};

/// Finds facts in console lines. Another writer's text before or after the words on the line does no harm, and a line
/// end in the middle of them is bridged (the line before is remembered).
class LifecycleParser {
  public:
    /// One line, without its end. Returns the fact that it (or the seam to the line before) holds.
    std::optional<LifecycleEvent> feed(std::string_view line);
    /// Who wrote the line that was fed last.
    [[nodiscard]] Writer writer() const { return writer_; }

  private:
    std::string before_; // the last line, when nothing was found in it; bounded
    Writer writer_ = Writer::unattributed;
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// AgentRemains: what damaged frames of the agent leave among the text of others.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hil {

/// A frame whose start was lost, or that broke off in the middle, leaves characters with bit 7 set on the console. They
/// look like anybody's binary rubbish, so they are taken for the agent's only on credit: a frame whose checksum was
/// right proves that the agent speaks on this line, and pays for kPerFrame such characters, kAtMost can be saved up.
/// What goes beyond is text that nobody can be named for: a flood of high characters stays a flood. On a line of seven
/// bits a damaged frame is text like any other; how much of it there was, the frame decoder tells.
class AgentRemains {
  public:
    static constexpr std::size_t kPerFrame = 4096; ///< three frames of full length
    static constexpr std::size_t kAtMost = 12288;  ///< less than FloodGauge calls a flood (hil/flood.py)

    /// A good frame came.
    void frame();
    /// The line without the remains that are paid for.
    [[nodiscard]] std::string strip(std::string_view line);
    /// So many characters of a damaged frame in seven bits were given back to the text.
    void given_back(std::size_t characters);
    /// How many of the next `most` characters of the text are such remains; each is told once.
    [[nodiscard]] std::size_t claim(std::size_t most);

  private:
    std::size_t credit_ = 0; // characters
    std::size_t given_ = 0;  // characters that were given back and are paid for
};

} // namespace hil

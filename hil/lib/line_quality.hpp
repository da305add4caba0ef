// SPDX-License-Identifier: Apache-2.0
// LineQuality: how often a line harms a character, learned from the frames on it, and which pieces suit it.
#pragma once

#include <cstddef>

namespace hil {

/// A frame of n bytes takes h + c n characters (frame::text_size) and arrives whole when none of them is harmed. Of all
/// n the one is best that brings most bytes for each character sent: n (1-q)^(h + c n) / (h + c n), where q is the
/// share of characters that are harmed. It is counted over about the last kMemory characters.
class LineQuality {
  public:
    static constexpr double kMemory = 4000;
    static constexpr double kFirstPiece = 512; ///< bytes: what is taken for best before anything is known
    static constexpr double kSmallestPiece = 16;

    /// `largest`: bytes that no piece must exceed.
    explicit LineQuality(double largest);
    /// A frame of so many characters arrived whole.
    void good(std::size_t characters);
    /// A frame did not.
    void bad();
    /// So many of the last bad ones arrived whole after all.
    void forgive(unsigned frames);
    /// Bytes a piece.
    [[nodiscard]] std::size_t piece() const;
    /// The share of characters that are harmed.
    [[nodiscard]] double harmed() const { return errors_ / characters_; }

  private:
    void remember(double characters, double errors);

    double largest_;
    double characters_;
    double errors_;
};

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// AnswerStream: one stream of an agent's answer, put together from pieces that come in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace hil {

/// What is asked for at once: the pieces of `piece` bytes from `from` on, up to `until`, but for those whose bit is set
/// in `skip` (bit 0: the first piece).
struct Wanted {
    std::uint32_t from = 0;
    std::uint32_t until = 0;
    std::uint32_t piece = 0;
    std::uint64_t skip = 0;
    std::uint32_t last = 0; ///< first byte of the last piece that is not skipped
    unsigned pieces = 0;    ///< how many are not skipped
};

class AnswerStream {
  public:
    static constexpr unsigned kMaxPieces = 64;     ///< of one asking: a bit each
    static constexpr std::size_t kMaxAhead = 1024; ///< pieces kept behind a gap

    /// Takes a piece that begins at `offset`; what is known already is left out.
    void put(std::uint32_t offset, std::string_view piece);
    /// What lacks of the first `size` bytes, in at most `pieces` pieces (up to kMaxPieces) of `piece` bytes.
    [[nodiscard]] Wanted wanted(std::uint32_t size, std::uint32_t piece, unsigned pieces) const;

    /// The bytes from the start up to the first gap.
    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    /// Bytes that are there, those behind gaps too.
    [[nodiscard]] std::size_t received() const { return bytes_.size() + ahead_bytes_; }

  private:
    void join();
    [[nodiscard]] bool has(std::uint32_t from, std::uint32_t until) const;

    std::string bytes_;
    std::map<std::uint32_t, std::string> ahead_; // by offset; they do not overlap
    std::size_t ahead_bytes_ = 0;
};

} // namespace hil

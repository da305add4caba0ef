// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/answer_stream.hpp"

#include <algorithm>

namespace hil {

namespace {

constexpr std::size_t kOffsets = std::size_t{1} << 32; // that a frame can name

} // namespace

void AnswerStream::put(std::uint32_t offset, std::string_view piece) {
    std::size_t at = std::max<std::size_t>(offset, bytes_.size());
    const std::size_t end = std::min(std::size_t{offset} + piece.size(), kOffsets); // nobody can ask for more
    while (at < end) {                                                              // the parts of it that lie in gaps
        const auto next = ahead_.upper_bound(static_cast<std::uint32_t>(at));
        if (next != ahead_.begin()) {
            const auto& [begin, before] = *std::prev(next);
            if (begin + before.size() > at) {
                at = begin + before.size();
                continue;
            }
        }
        const std::size_t until = next == ahead_.end() ? end : std::min<std::size_t>(end, next->first);
        if (at != bytes_.size() && ahead_.size() >= kMaxAhead) {
            return; // asked for again, when the gaps are filled
        }
        ahead_.emplace(static_cast<std::uint32_t>(at), piece.substr(at - offset, until - at));
        ahead_bytes_ += until - at;
        at = until;
    }
    join();
}

// Moves what is no longer behind a gap.
void AnswerStream::join() {
    while (!ahead_.empty() && ahead_.begin()->first == bytes_.size()) {
        ahead_bytes_ -= ahead_.begin()->second.size();
        bytes_ += ahead_.begin()->second;
        ahead_.erase(ahead_.begin());
    }
}

// Whether all bytes of the range are among those behind gaps.
bool AnswerStream::has(std::uint32_t from, std::uint32_t until) const {
    auto part = ahead_.upper_bound(from);
    if (part == ahead_.begin()) {
        return false;
    }
    std::size_t known = from;
    for (--part; part != ahead_.end() && part->first <= known && known < until; ++part) {
        known = std::max(known, part->first + part->second.size());
    }
    return known >= until;
}

Wanted AnswerStream::wanted(std::uint32_t size, std::uint32_t piece, unsigned pieces) const {
    Wanted wanted;
    wanted.from = wanted.last = wanted.until = static_cast<std::uint32_t>(bytes_.size());
    wanted.piece = piece;
    for (unsigned i = 0; i < std::min(pieces, kMaxPieces) && wanted.until < size; ++i) {
        const std::uint32_t from = wanted.until;
        wanted.until = std::min(size, from + piece);
        if (has(from, wanted.until)) {
            wanted.skip |= std::uint64_t{1} << i;
        } else {
            wanted.last = from;
            ++wanted.pieces;
        }
    }
    return wanted;
}

} // namespace hil

// SPDX-License-Identifier: Apache-2.0
// Messages from one cell to another through a ring, one producer and one consumer. Freestanding.
//
// The two sides do not trust each other. Each keeps its own index private and only publishes a copy; the other side's
// index is read once and range-checked; a message's length is read once, after it was checked that it is there; the
// message is copied out before anybody looks at it. A peer that lies is found out (`peer_broken`) or harms its own
// messages, never anything outside of the ring.
//
//   producer's output section: RingHeader, then the storage (a power of two)
//   consumer's output section: RingFeedback
//
// Indices count bytes and run freely modulo 2^32. A message is its length (u32) and its bytes, padded to 8.
#pragma once

#include "bench/core/barrier.hpp"
#include "bench/core/shared.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hil::bench {

// Each side's words are on lines of their own.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct alignas(cache_line) RingHeader {
    Shared<std::uint32_t> written;                            ///< producer's index
    alignas(cache_line) Shared<std::uint32_t> producer_waits; ///< 1: ring me when there is room
};
static_assert(sizeof(RingHeader) == 2 * cache_line);

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct alignas(cache_line) RingFeedback {
    Shared<std::uint32_t> consumed;                           ///< consumer's index
    alignas(cache_line) Shared<std::uint32_t> consumer_waits; ///< 1: ring me when there is a message
};
static_assert(sizeof(RingFeedback) == 2 * cache_line);

enum class RingStatus {
    done,
    full,        ///< no room for this message now
    empty,       ///< no message now
    too_long,    ///< the message never fits, or the consumer's buffer is too small for it (it stays in the ring)
    peer_broken, ///< the peer's index or length is impossible; every later call says so as well
};

namespace ring_detail {

inline constexpr std::uint32_t header_size = 8; ///< length and padding
constexpr std::uint32_t padded(std::uint32_t size) {
    return (size + 7) & ~7u;
}

/// Words where both sides are aligned: the memory may be mapped as device memory, which has no unaligned access.
inline void copy(std::byte* to, const std::byte* from, std::size_t size) {
    const auto misaligned = (reinterpret_cast<std::uintptr_t>(to) | reinterpret_cast<std::uintptr_t>(from)) & 7;
    std::size_t done = 0;
    if (misaligned == 0) {
        for (; done + 8 <= size; done += 8) {
            const auto* source = reinterpret_cast<const std::uint64_t*>(from + done);
            __atomic_store_n(reinterpret_cast<std::uint64_t*>(to + done), __atomic_load_n(source, __ATOMIC_RELAXED),
                             __ATOMIC_RELAXED);
        }
    }
    const auto* source = reinterpret_cast<const unsigned char*>(from);
    auto* target = reinterpret_cast<unsigned char*>(to);
    for (; done < size; ++done) {
        __atomic_store_n(target + done, __atomic_load_n(source + done, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    }
}

} // namespace ring_detail

/// The sending side.
class RingProducer {
  public:
    /// `storage`: a power of two from 16 bytes to 2^31, aligned to 8, like the consumer's view of it.
    RingProducer(RingHeader& own, std::span<std::byte> storage, const RingFeedback& peer)
        : own_(own), storage_(storage), peer_(peer) {
        own_.written.store(0);
        own_.producer_waits.store(0);
    }

    static constexpr bool valid_storage(std::size_t size) {
        return std::has_single_bit(size) && size >= 16 && size <= std::size_t{1} << 31;
    }

    std::size_t largest_message() const { return storage_.size() - ring_detail::header_size; }

    RingStatus push(std::span<const std::byte> message) {
        if (broken_) {
            return RingStatus::peer_broken;
        }
        if (message.size() > largest_message()) {
            return RingStatus::too_long;
        }
        const auto size = static_cast<std::uint32_t>(message.size());
        const std::uint32_t needed = ring_detail::header_size + ring_detail::padded(size);
        if (needed > room_) {
            const std::uint32_t used = written_ - peer_.consumed.load(); // the one read of the peer's index
            if (used > storage_.size() || used % 8 != 0) {
                broken_ = true;
                return RingStatus::peer_broken;
            }
            room_ = static_cast<std::uint32_t>(storage_.size()) - used;
            if (needed > room_) {
                return RingStatus::full;
            }
        }
        put_length(size);
        put(written_ + ring_detail::header_size, message);
        written_ += needed;
        room_ -= needed;
        own_.written.store(written_);
        return RingStatus::done;
    }

    /// After push: whether the consumer sleeps and wants a doorbell. The full barrier keeps the question behind the
    /// published index; without it both sides could miss each other.
    bool consumer_waits() const {
        full_barrier();
        return peer_.consumer_waits.load() != 0;
    }

    /// Before sleeping for room: set, try push once more, sleep, clear.
    void announce_waiting(bool waiting) {
        own_.producer_waits.store(waiting ? 1 : 0);
        full_barrier();
    }

  private:
    void put_length(std::uint32_t size) {
        const std::size_t at = written_ & (storage_.size() - 1);
        __atomic_store_n(reinterpret_cast<std::uint32_t*>(storage_.data() + at), size, __ATOMIC_RELAXED);
    }

    void put(std::uint32_t index, std::span<const std::byte> bytes) {
        const std::size_t at = index & (storage_.size() - 1);
        const std::size_t first = bytes.size() < storage_.size() - at ? bytes.size() : storage_.size() - at;
        ring_detail::copy(storage_.data() + at, bytes.data(), first);
        ring_detail::copy(storage_.data(), bytes.data() + first, bytes.size() - first);
    }

    RingHeader& own_;
    std::span<std::byte> storage_;
    const RingFeedback& peer_;
    std::uint32_t written_ = 0;
    std::uint32_t room_ = 0; ///< known to be free; the peer's index is only read when this is not enough
    bool broken_ = false;
};

/// The receiving side.
class RingConsumer {
  public:
    RingConsumer(RingFeedback& own, const RingHeader& peer, std::span<const std::byte> storage)
        : own_(own), peer_(peer), storage_(storage) {
        own_.consumed.store(0);
        own_.consumer_waits.store(0);
    }

    /// Copies the next message into `buffer`; `size` becomes its length, also when it is too_long for the buffer.
    RingStatus pop(std::span<std::byte> buffer, std::size_t& size) {
        size = 0;
        if (broken_) {
            return RingStatus::peer_broken;
        }
        if (available_ == 0) {
            available_ = peer_.written.load() - consumed_; // the one read of the peer's index
            if (available_ == 0) {
                return RingStatus::empty;
            }
        }
        if (available_ > storage_.size() || available_ % 8 != 0 || available_ < ring_detail::header_size) {
            return fail();
        }
        const std::uint32_t length = get_length();
        if (length > available_ - ring_detail::header_size ||
            ring_detail::padded(length) > available_ - ring_detail::header_size) {
            return fail();
        }
        size = length;
        if (length > buffer.size()) {
            return RingStatus::too_long;
        }
        get(consumed_ + ring_detail::header_size, buffer.first(length));
        advance(ring_detail::header_size + ring_detail::padded(length));
        return RingStatus::done;
    }

    /// After pop: whether the producer sleeps and wants a doorbell.
    bool producer_waits() const {
        full_barrier();
        return peer_.producer_waits.load() != 0;
    }

    /// Before sleeping for a message: set, try pop once more, sleep, clear.
    void announce_waiting(bool waiting) {
        own_.consumer_waits.store(waiting ? 1 : 0);
        full_barrier();
    }

  private:
    RingStatus fail() {
        broken_ = true;
        return RingStatus::peer_broken;
    }

    std::uint32_t get_length() const {
        const std::size_t at = consumed_ & (storage_.size() - 1);
        return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(storage_.data() + at), __ATOMIC_RELAXED);
    }

    void get(std::uint32_t index, std::span<std::byte> bytes) const {
        const std::size_t at = index & (storage_.size() - 1);
        const std::size_t first = bytes.size() < storage_.size() - at ? bytes.size() : storage_.size() - at;
        ring_detail::copy(bytes.data(), storage_.data() + at, first);
        ring_detail::copy(bytes.data() + first, storage_.data(), bytes.size() - first);
    }

    void advance(std::uint32_t size) {
        consumed_ += size;
        available_ -= size;
        own_.consumed.store(consumed_);
    }

    RingFeedback& own_;
    const RingHeader& peer_;
    std::span<const std::byte> storage_;
    std::uint32_t consumed_ = 0;
    std::uint32_t available_ = 0; ///< known to be there; the peer's index is only read when this is used up
    bool broken_ = false;
};

} // namespace hil::bench

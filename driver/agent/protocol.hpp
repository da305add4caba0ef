// SPDX-License-Identifier: Apache-2.0
// What the frames between the controller and hil-agent mean. Both sides include this file; all numbers little endian.
//
// The controller asks, the agent answers; the agent alone speaks up for heartbeats of a running command and for an
// answer that is done. Every frame may be lost, doubled or late. A request has an id (session tag << 20 | counter,
// counting up); its argument is put in pieces, and when it is complete the agent carries it out, once. Its answer
// (state, two byte streams) is kept and can be asked for again, piece by piece, until it is dropped. The argument and
// both streams travel packed (driver/agent/packing.hpp); offsets and sizes are those of the packed bytes.
//
// A question (put, get) carries a turn, a number from 1 to 7 in bits 1 to 3 of its flags, and what the agent says
// because of it carries the same: so the controller knows how long an answer takes, however often it had to ask. What
// the agent says by itself has turn 0, and so has a put that needs no answer as long as its piece is the next one and
// not the last. On a bad line a question comes twice in one turn; a get is heeded once.
//
// clang-format off
// | type    | from       | id                | offset                  | flags                  | payload |
// |---------|------------|-------------------|-------------------------|------------------------|---------|
// | hello   | controller | session tag << 20 |                         |                        | u64 nonce of the session, u32 heartbeat period in ms, u32 bytes a second that the line carries (0: it does not matter) |
// | welcome | agent      | as in hello, or 0 when unasked |            |                        | u32 protocol version, u64 nonce of this agent, u64 nonce of the session, text |
// | put     | controller | request           | of the piece            | turn; kLast on the last piece; upper half: log2 of the bytes of answer that may come in a state frame | a piece of the argument |
// | state   | agent      | request           | argument bytes received | turn                   | struct State without the zeros at its end; or all of it and, when done and short, both streams |
// | get     | controller | request           | first byte wanted       | stream; turn; kDoneKnown | u32 bytes wanted, u16 bytes a piece, u64 (may lack: 0) a bit for each piece, the first the lowest, that is not wanted |
// | data    | agent      | request           | of the piece            | stream; turn           | the piece |
// | kill    | controller | request           |                         |                        | |
// | drop    | controller | request           |                         |                        | nothing: the answer has arrived, it need not be kept |
// | damaged | agent      | 0                 |                         |                        | nothing: a damaged frame was seen, say it again |
// | bye     | controller | session tag << 20 |                         |                        | nothing: leave; the shell comes back |
// | gone    | agent      | as in bye         |                         |                        | nothing: last frame of the agent |
// clang-format on
//
// Argument, unpacked: u8 operation, then
//
//   run: u32 time limit in ms (0 none), u8 shell, then words, each ended by NUL (shell: one word, given to sh -c)
//
//   read_file: path
//
//   write_file: u32 mode, path, NUL, content (replaces a regular file at once, or is written into a device or sysfs
//   file)
//
// Answer streams: 0 output (stdout; content of the file), 1 stderr, or the text of a failure.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <span>

#include "bench/core/frame.hpp"

namespace hil::agent {

inline constexpr std::uint32_t kProtocolVersion = 4;
inline constexpr std::uint8_t kLast = 1;
inline constexpr std::uint8_t kDoneKnown = 0x10; ///< the controller knows that the command has ended
inline constexpr unsigned kTurns = 7;

constexpr unsigned turn_of(std::uint8_t flags) {
    return flags >> 1 & 7u;
}
constexpr std::uint8_t in_turn(unsigned turn) {
    return static_cast<std::uint8_t>(turn << 1);
}

inline constexpr std::uint32_t kCounterBits = 20;
inline constexpr std::uint32_t kCounterMask = (1u << kCounterBits) - 1;
inline constexpr std::uint32_t kMaxArgument = 64u << 20; ///< bytes of one request, unpacked
inline constexpr std::uint32_t kMaxStream = 64u << 20; ///< the same of one answer stream; the rest is cut, and said so
inline constexpr std::uint32_t kMaxPacked = kMaxArgument + kMaxArgument / 1000 + 64; ///< what nothing can pack grows

/// A command that takes longer than this is reported as running; most are done before, which spares a frame.
inline constexpr std::chrono::milliseconds kFirstState{100};

enum class Operation : std::uint8_t {
    run = 1,
    read_file = 2,
    write_file = 3,
};

enum class Phase : std::uint8_t {
    collecting = 0, ///< the argument is not complete
    running = 1,
    done = 2,
    unknown = 3, ///< no such request: dropped long ago, or of another session
};

enum class Ending : std::uint8_t {
    exited = 0,    ///< code: exit status
    signalled = 1, ///< code: signal
    timed_out = 2, ///< killed at its time limit; code: signal
    killed = 3,    ///< killed on request; code: signal
    refused = 4,   ///< could not be carried out; code: errno, stream 1: what was tried
};

/// Payload of a state frame.
struct State {
    Phase phase = Phase::collecting;
    Ending ending = Ending::exited;
    bool truncated = false; ///< a stream was longer than kMaxStream
    std::uint32_t code = 0;
    std::uint32_t size[2] = {0, 0}; ///< bytes of each stream, packed, so far; what they hold can be unpacked
    std::uint32_t crc = 0;          ///< CRC-32 of both streams, unpacked, one after the other, when done
};

inline constexpr std::size_t kStateSize = 20;

/// Writes kStateSize bytes; returns how many of them come before nothing but zeros, which need not travel.
inline std::size_t pack(const State& state, std::uint8_t* to) {
    to[0] = static_cast<std::uint8_t>(state.phase);
    to[1] = static_cast<std::uint8_t>(state.ending);
    frame::put_u16(to + 2, state.truncated ? 1 : 0);
    frame::put_u32(to + 4, state.code);
    frame::put_u32(to + 8, state.size[0]);
    frame::put_u32(to + 12, state.size[1]);
    frame::put_u32(to + 16, state.crc);
    std::size_t length = kStateSize;
    while (length > 0 && to[length - 1] == 0) {
        --length;
    }
    return length;
}

/// Bytes that lack are zeros.
inline State unpack(std::span<const std::uint8_t> payload) {
    std::array<std::uint8_t, kStateSize> bytes{};
    std::copy_n(payload.begin(), std::min(payload.size(), bytes.size()), bytes.begin());
    const std::uint8_t* from = bytes.data();
    State state;
    state.phase = static_cast<Phase>(from[0]);
    state.ending = static_cast<Ending>(from[1]);
    state.truncated = frame::get_u16(from + 2) != 0;
    state.code = frame::get_u32(from + 4);
    state.size[0] = frame::get_u32(from + 8);
    state.size[1] = frame::get_u32(from + 12);
    state.crc = frame::get_u32(from + 16);
    return state;
}

} // namespace hil::agent

// SPDX-License-Identifier: Apache-2.0
// Frames of the host <-> agent line: text that can be told apart from whatever else is on a shared console.
//
//   ~{ <base-85 text of header, payload and CRC-32> }     narrow code
//   ~| <base-116 text of the same> }                      wide code, in the high lane
//
// "~" and "}" are no digits, so a frame's start is known wherever the reader begins, and damage is over with the next
// start. The narrow digits leave out { ` $ ; & | > as well: a frame that ends up in a shell's input line is one word
// that runs nothing and redirects nothing. CR and LF inside a narrow frame are skipped: wrapping does no harm.
//
// A frame travels in one of two lanes. The high lane sets bit 7 of every character (0x80 .. 0xfe): kernel, hypervisor
// and inmates print ASCII, so their characters fall out of the frame again, wherever they were spliced in, and lines of
// theirs stay whole. The start, 0xfe, occurs in no UTF-8 text; 0xff (telnet's escape) does not occur. As nobody reads
// the high lane as text, its digits may be C1 control codes, but not those that would change what a terminal makes of
// the characters after them, or that it answers: DCS, SOS, DECID, CSI, OSC, PM, APC (ECMA-48, 8.3). A line editor
// may take bit 7 for Meta, or lose it: what would then be a line's end, 0x8a and 0x8d, is no digit either.
// The plain lane is narrow, in seven bits, for lines that are not 8-bit clean; a splice there damages the frame.
//
// Hello and welcome are narrow in both lanes. Their form stays as it is: by them programs of different ages tell each
// other so.
//
// Binary form, little endian: u8 type, u8 flags, u16 payload length, u32 id, u32 offset, payload, u32 CRC-32 (IEEE
// 802.3) of all before it. Four bytes make five narrow digits, six bytes seven wide ones, first byte most significant;
// what is left at the end makes one digit more than it has bytes.
// Freestanding, no heap; everything is bounded by kMaxPayload.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hil::frame {

inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kMaxPayload = 1024; ///< bytes of payload in one frame
inline constexpr std::size_t kMaxBytes = kHeaderSize + kMaxPayload + 4;
inline constexpr std::size_t kMaxText = 3 + kMaxBytes / 4 * 5; ///< characters of one frame
inline constexpr unsigned char kStart = '~';
inline constexpr unsigned char kOpen = '{';
inline constexpr unsigned char kOpenWide = '|';
inline constexpr unsigned char kClose = '}';

/// What a frame says. The meaning of id, offset, flags and payload for each type is in driver/agent/protocol.hpp.
enum class Type : std::uint8_t {
    hello = 1,
    welcome = 2,
    put = 3,
    get = 4,
    state = 5,
    data = 6,
    drop = 7,
    kill = 8,
    damaged = 9,
    bye = 10,
    gone = 11,
};

/// Which characters carry a frame; the value is the bit set in each of them.
enum class Lane : std::uint8_t {
    plain = 0x00,
    high = 0x80,
};

/// Whether a raw character can belong to a frame in the high lane.
constexpr bool is_high(unsigned char raw) {
    return raw >= 0x80 && raw <= 0xfe;
}

struct Frame {
    Type type{};
    std::uint8_t flags = 0;
    std::uint32_t id = 0;
    std::uint32_t offset = 0;
    std::span<const std::uint8_t> payload; ///< up to kMaxPayload bytes; of a decoded frame valid during the call only
};

namespace detail {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1u) != 0 ? 0xedb88320u : 0u);
        }
        table[i] = value;
    }
    return table;
}
inline constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

inline constexpr std::uint8_t kNoDigit = 0xff;
inline constexpr unsigned kMostDigits = 116;

/// How bytes become characters: `group` bytes make one digit more than they are.
struct Code {
    unsigned radix = 0;
    std::size_t group = 0;
    unsigned char open = 0;
    std::array<unsigned char, kMostDigits> character{}; ///< by digit, without the lane's bit
    std::array<std::uint8_t, 128> value{};              ///< by character
    [[nodiscard]] constexpr std::size_t digits(std::size_t bytes) const { return bytes + (bytes + group - 1) / group; }
};

constexpr bool is_narrow_digit(unsigned char c) {
    for (const char excluded : {'~', '{', '}', '`', '$', ';', '&', '|', '>'}) {
        if (c == static_cast<unsigned char>(excluded)) {
            return false;
        }
    }
    return c > 0x20 && c < 0x7f;
}

constexpr bool is_wide_digit(unsigned char c) {
    for (const char excluded : {'~', '}', '\r', '\n', '\x7f', '\x10', '\x18', '\x1a', '\x1b', '\x1d', '\x1e', '\x1f'}) {
        if (c == static_cast<unsigned char>(excluded)) {
            return false;
        }
    }
    return true;
}

constexpr Code make_code(std::size_t group, unsigned char open, bool (*is_digit)(unsigned char)) {
    Code code{.group = group, .open = open};
    for (unsigned c = 0; c < 128; ++c) {
        code.value[c] = kNoDigit;
        if (is_digit(static_cast<unsigned char>(c))) {
            code.character[code.radix] = static_cast<unsigned char>(c);
            code.value[c] = static_cast<std::uint8_t>(code.radix++);
        }
    }
    return code;
}
inline constexpr Code kNarrow = make_code(4, kOpen, is_narrow_digit);
inline constexpr Code kWide = make_code(6, kOpenWide, is_wide_digit);
static_assert(kNarrow.radix == 85 && kWide.radix == 116);
static_assert(kMaxText == 3 + kNarrow.digits(kMaxBytes) && kNarrow.digits(kMaxBytes) > kWide.digits(kMaxBytes));

constexpr const Code& code_of(Type type, Lane lane) {
    return lane == Lane::plain || type == Type::hello || type == Type::welcome ? kNarrow : kWide;
}

} // namespace detail

/// CRC-32 as in IEEE 802.3 (reflected 0xedb88320); pass the last result as `seed` to go on with the next piece.
constexpr std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t seed = 0) {
    std::uint32_t crc = ~seed;
    for (const std::uint8_t byte : bytes) {
        crc = (crc >> 8) ^ detail::kCrcTable[(crc ^ byte) & 0xffu];
    }
    return ~crc;
}

/// Little-endian numbers in a frame or a payload; the caller sees to the room.
constexpr void put_u16(std::uint8_t* to, std::uint32_t value) {
    to[0] = static_cast<std::uint8_t>(value);
    to[1] = static_cast<std::uint8_t>(value >> 8);
}
constexpr void put_u32(std::uint8_t* to, std::uint32_t value) {
    put_u16(to, value);
    put_u16(to + 2, value >> 16);
}
constexpr std::uint32_t get_u16(const std::uint8_t* from) {
    return from[0] | std::uint32_t{from[1]} << 8;
}
constexpr std::uint32_t get_u32(const std::uint8_t* from) {
    return get_u16(from) | get_u16(from + 2) << 16;
}

/// Characters that a frame with `payload` bytes takes on the line.
constexpr std::size_t text_size(std::size_t payload, Lane lane, Type type = Type::data) {
    return 3 + detail::code_of(type, lane).digits(kHeaderSize + payload + 4);
}

/// Writes the frame's text to `out` (kMaxText always suffices) and returns its length; 0 when payload or text are too
/// big.
constexpr std::size_t encode(const Frame& frame, Lane lane, std::span<char> out) {
    const std::size_t length = frame.payload.size();
    if (length > kMaxPayload || out.size() < text_size(length, lane, frame.type)) {
        return 0;
    }
    std::array<std::uint8_t, kMaxBytes> bytes{};
    bytes[0] = static_cast<std::uint8_t>(frame.type);
    bytes[1] = frame.flags;
    put_u16(&bytes[2], static_cast<std::uint32_t>(length));
    put_u32(&bytes[4], frame.id);
    put_u32(&bytes[8], frame.offset);
    for (std::size_t i = 0; i < length; ++i) {
        bytes[kHeaderSize + i] = frame.payload[i];
    }
    const std::size_t body = kHeaderSize + length;
    put_u32(&bytes[body], crc32({bytes.data(), body}));

    const detail::Code& code = detail::code_of(frame.type, lane);
    std::size_t count = 0;
    const auto emit = [&](unsigned char c) {
        out[count++] = static_cast<char>(static_cast<unsigned char>(c | static_cast<unsigned char>(lane)));
    };
    emit(kStart);
    emit(code.open);
    for (std::size_t i = 0; i < body + 4; i += code.group) {
        const std::size_t left = body + 4 - i;
        const std::size_t group = left < code.group ? left : code.group;
        std::uint64_t number = 0;
        for (std::size_t k = 0; k < group; ++k) {
            number = number << 8 | bytes[i + k];
        }
        std::array<unsigned char, 8> digits{};
        for (std::size_t k = group + 1; k-- > 0; number /= code.radix) {
            digits[k] = code.character[number % code.radix];
        }
        for (std::size_t k = 0; k <= group; ++k) {
            emit(digits[k]);
        }
    }
    emit(kClose);
    return count;
}

/// One lane's half of the decoder: collects a candidate frame from characters without the lane's bit.
class LaneDecoder {
  public:
    enum class Step {
        text,   ///< the character belongs to no frame
        held,   ///< the character was taken into the candidate
        frame,  ///< the character ended a good frame: see frame()
        broken, ///< the candidate, held(), is no frame; the character was not taken: push it again
        bad,    ///< the character ended a damaged frame: it is in held() too
        tail,   ///< an end mark of which no beginning was seen: of a frame whose start was lost, if it is one
    };

    explicit LaneDecoder(Lane lane) : lane_(lane) {}

    Step push(unsigned char c) {
        if (c == kStart) {
            if (size_ != 0) {
                return Step::broken;
            }
            cut_ = false;
            return hold(c);
        }
        if (size_ == 0) {
            const bool tail = c == kClose && !cut_;
            cut_ = cut_ && c != kClose;
            return tail ? Step::tail : Step::text;
        }
        if (size_ == 1) {
            return open(c);
        }
        if (lane_ == Lane::plain && (c == '\r' || c == '\n')) {
            return hold(c);
        }
        if (c == kClose) {
            (void)hold(c);
            return decode() ? Step::frame : Step::bad;
        }
        if (c >= 128 || code_->value[c] == detail::kNoDigit || digits_ == code_->digits(kMaxBytes)) {
            return Step::broken;
        }
        take_digit(code_->value[c]);
        return hold(c);
    }

    /// The candidate's characters, to be given back as text.
    [[nodiscard]] std::span<const char> held() const { return {held_.data(), size_}; }
    /// True when the candidate has got as far as its opening brace: most likely a frame of ours.
    [[nodiscard]] bool opened() const { return size_ >= 2; }
    [[nodiscard]] const Frame& frame() const { return frame_; }
    void reset() {
        size_ = digits_ = bytes_ = 0;
        number_ = 0;
        overflow_ = false;
    }
    /// As reset(), where the candidate's end has not come: it is no frame's of which nothing is known.
    void cut() {
        reset();
        cut_ = true;
    }

  private:
    static constexpr std::size_t kHeld = kMaxText + 128; // room for line ends that came in by wrapping

    Step hold(unsigned char c) {
        if (size_ == kHeld) {
            return Step::broken;
        }
        held_[size_++] = static_cast<char>(c);
        return Step::held;
    }

    Step open(unsigned char c) {
        if (c != kOpen && (c != kOpenWide || lane_ == Lane::plain)) {
            return Step::broken;
        }
        code_ = c == kOpen ? &detail::kNarrow : &detail::kWide;
        return hold(c);
    }

    void take_digit(std::uint8_t digit) {
        number_ = number_ * code_->radix + digit;
        if (++digits_ % (code_->group + 1) == 0) {
            take_bytes(code_->group);
        }
    }

    void take_bytes(std::size_t count) {
        overflow_ = overflow_ || number_ >> 8 * count != 0;
        for (std::size_t k = count; k-- > 0;) {
            body_[bytes_++] = static_cast<std::uint8_t>(number_ >> 8 * k);
        }
        number_ = 0;
    }

    bool decode() {
        const std::size_t left = digits_ % (code_->group + 1);
        if (left > 1) {
            take_bytes(left - 1);
        }
        if (overflow_ || left == 1 || bytes_ < kHeaderSize + 4) {
            return false;
        }
        const std::size_t length = get_u16(&body_[2]);
        if (bytes_ != kHeaderSize + length + 4) {
            return false;
        }
        if (get_u32(&body_[bytes_ - 4]) != crc32({body_.data(), bytes_ - 4})) {
            return false;
        }
        frame_ = {static_cast<Type>(body_[0]), body_[1], get_u32(&body_[4]), get_u32(&body_[8]),
                  std::span<const std::uint8_t>(body_).subspan(kHeaderSize, length)};
        return code_ == &detail::code_of(frame_.type, lane_);
    }

    Lane lane_;
    std::array<char, kHeld> held_{};
    std::array<std::uint8_t, kMaxBytes> body_{};
    std::size_t size_ = 0;
    std::size_t digits_ = 0;
    std::size_t bytes_ = 0;
    std::uint64_t number_ = 0; // that the digits of the last group make so far
    const detail::Code* code_ = &detail::kNarrow;
    bool overflow_ = false;
    bool cut_ = false; // the next end mark is that of a candidate that was given up
    Frame frame_;
};

/// Splits a console's bytes into frames of both lanes and the text of everybody else.
///
/// The sink has: text(std::span<const char>), frame(const Frame&, Lane), damaged(Lane, std::size_t). What a damaged
/// frame held goes to text in the plain lane (it may be a mere tilde of somebody's), and damaged() then tells how many
/// characters that were; in the high lane it is dropped (only frames begin with 0xfe). A frame of the high lane whose
/// start was lost is told by its end mark: damaged() too, while all of it is text.
class Decoder {
  public:
    template <typename Sink> void feed(std::span<const char> bytes, Sink& sink) {
        std::size_t run = 0; // start of the text not handed out yet
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const auto raw = static_cast<unsigned char>(bytes[i]);
            const Lane lane = raw < 0x80 ? Lane::plain : Lane::high;
            LaneDecoder& decoder = lane == Lane::plain ? plain_ : high_;
            const auto c = static_cast<unsigned char>(raw & 0x7fu);
            auto step = decoder.push(c);
            if (step == LaneDecoder::Step::tail && lane == Lane::high) {
                sink.damaged(lane, std::size_t{0});
            }
            if (step == LaneDecoder::Step::text || step == LaneDecoder::Step::tail) {
                continue;
            }
            if (run < i) {
                sink.text(bytes.subspan(run, i - run));
            }
            run = i + 1;
            if (step == LaneDecoder::Step::broken) {
                give_up(decoder, lane, sink);
                decoder.cut();
                step = decoder.push(c);
                if (step == LaneDecoder::Step::text) {
                    run = i;
                }
            }
            if (step == LaneDecoder::Step::frame) {
                sink.frame(decoder.frame(), lane);
                decoder.reset();
            } else if (step == LaneDecoder::Step::bad) {
                give_up(decoder, lane, sink);
            }
        }
        if (run < bytes.size()) {
            sink.text(bytes.subspan(run));
        }
    }

    /// True while characters are held back as the beginning of a frame.
    [[nodiscard]] bool pending() const { return !plain_.held().empty() || !high_.held().empty(); }

    /// Gives up what is held back: to be called when the line has been quiet for a while, and at its end.
    template <typename Sink> void release(Sink& sink) {
        give_up(plain_, Lane::plain, sink);
        give_up(high_, Lane::high, sink);
    }

  private:
    template <typename Sink> void give_up(LaneDecoder& decoder, Lane lane, Sink& sink) {
        if (decoder.held().empty()) {
            return;
        }
        if (lane == Lane::plain) {
            sink.text(decoder.held());
        }
        if (lane == Lane::high || decoder.opened()) {
            sink.damaged(lane, lane == Lane::plain ? decoder.held().size() : 0);
        }
        decoder.reset();
    }

    LaneDecoder plain_{Lane::plain};
    LaneDecoder high_{Lane::high};
};

} // namespace hil::frame

// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/agent_client.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>
#include <thread>

namespace hil {

namespace {

/// Types that the controller alone sends.
bool is_request(frame::Type type) {
    switch (type) {
    case frame::Type::hello:
    case frame::Type::put:
    case frame::Type::get:
    case frame::Type::drop:
    case frame::Type::kill:
    case frame::Type::bye:
        return true;
    default:
        return false;
    }
}

using namespace std::chrono_literals;
using agent::Phase;

constexpr auto kSlice = 100ms;     // between two looks at an interrupt
constexpr auto kAfterDamage = 2ms; // quiet after a damaged frame before asking again: the rest may still be coming
constexpr double kSmallestPiece = 16;
constexpr double kFirstPiece = 512;
constexpr auto kKillLimit = 500ms; // of saying it again: where none arrives, the command's own limit ends it
// Pieces on their way to the agent at once: a terminal keeps 4095 bytes for its reader, and not every UART can stop a
// sender.
constexpr std::size_t kPutWindow = 3;
constexpr std::size_t kWelcomeText = 200;   // characters
constexpr std::size_t kDriverBuffer = 4096; // characters that may be under way before ours
constexpr unsigned kCalmAfter = 32;         // good frames in a row that make a line a good one
constexpr std::size_t kMaxAhead = 256;      // pieces behind a gap

std::uint64_t random_number() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

void put_u64(std::uint8_t* to, std::uint64_t value) {
    frame::put_u32(to, static_cast<std::uint32_t>(value));
    frame::put_u32(to + 4, static_cast<std::uint32_t>(value >> 32));
}

std::uint64_t get_u64(const std::uint8_t* from) {
    return frame::get_u32(from) | std::uint64_t{frame::get_u32(from + 4)} << 32;
}

std::span<const std::uint8_t> raw(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void append_u32(std::string& to, std::uint32_t value) {
    std::array<std::uint8_t, 4> bytes{};
    frame::put_u32(bytes.data(), value);
    to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Bytes of payload in the longest frame that fits into a line of so many characters; 0: any line.
double largest_piece(std::size_t longest_line) {
    if (longest_line == 0 || longest_line >= frame::kMaxText) {
        return static_cast<double>(frame::kMaxPayload);
    }
    const auto smallest = static_cast<std::size_t>(kSmallestPiece);
    if (longest_line <= frame::text_size(smallest)) {
        return kSmallestPiece;
    }
    const std::size_t words = (longest_line - frame::text_size(0)) / 5;
    return static_cast<double>(words * 4);
}

// The refusal of a request, as an error for a person.
Error refused(const AgentAnswer& answer) {
    return Error{"the agent could not do it: " + answer.err};
}

} // namespace

AgentClient::AgentClient(Console& console, AgentOptions options)
    : console_(console), options_(options), largest_piece_(largest_piece(options.longest_line)) {
    piece_ = std::min(kFirstPiece, largest_piece_);
    session_ = random_number();
    tag_ = static_cast<std::uint32_t>(session_ >> 52);
}

Result<AgentInfo> AgentClient::hello(std::chrono::milliseconds limit, const Interrupted& interrupted) {
    const auto deadline = SteadyClock::now() + limit;
    std::array<std::uint8_t, 16> payload{};
    put_u64(payload.data(), session_);
    frame::put_u32(&payload[8], static_cast<std::uint32_t>(options_.heartbeat.count()));
    frame::put_u32(&payload[12], static_cast<std::uint32_t>(console_.line_rate()));
    for (unsigned attempt = 0; SteadyClock::now() < deadline; ++attempt) {
        lane_ = attempt < 4 || attempt % 2 == 0 ? frame::Lane::high : frame::Lane::plain;
        if (Status sent = send({frame::Type::hello, 0, tag_ << agent::kCounterBits, 0, payload}); !sent) {
            return sent.error();
        }
        const auto patience = transmission(kWelcomeText) + 50ms * (1u << std::min(attempt, 4u));
        const auto again = std::min(deadline, std::max(SteadyClock::now(), line_free_) + patience);
        while (const auto frame = console_.next_frame(again)) {
            const auto& bytes = frame->payload;
            if (frame->damaged || frame->type != frame::Type::welcome || bytes.size() < 20 ||
                get_u64(&bytes[12]) != session_) {
                continue;
            }
            info_ = {frame::get_u32(bytes.data()), get_u64(&bytes[4]), {bytes.begin() + 20, bytes.end()}, lane_};
            greeted_ = true;
            if (info_.version != agent::kProtocolVersion) {
                return Error{"the agent speaks version " + std::to_string(info_.version) +
                             " of the protocol, this controller " + std::to_string(agent::kProtocolVersion) +
                             ": place the agent that was built with it"};
            }
            return info_;
        }
        if (interrupted && interrupted()) {
            return Error{"interrupted"};
        }
        if (const LinkEvent link = console_.link(); link.link != Link::open) {
            if (console_.may_return()) {
                std::this_thread::sleep_for(kSlice);
                continue;
            }
            return Error{std::string("no agent: the console is ") + to_string(link.link) + " (" + link.detail + ")"};
        }
    }
    return Error{"no agent answered within " + std::to_string(limit.count() / 1000) +
                 " s: was hil-agent started on this console? Last text: " + console_.tail()};
}

Result<AgentAnswer> AgentClient::run(const AgentCommand& command, const Interrupted& interrupted) {
    std::string argument(1, static_cast<char>(agent::Operation::run));
    append_u32(argument, static_cast<std::uint32_t>(command.limit.count()));
    argument.push_back(command.shell ? 1 : 0);
    for (const std::string& word : command.words) {
        if (word.find('\0') != std::string::npos) {
            return Error{"a command's word holds a NUL byte"};
        }
        argument.append(word).push_back('\0');
    }
    return call(raw(argument), &command, command.limit, interrupted);
}

Result<std::string> AgentClient::read_file(const std::string& path, const Interrupted& interrupted) {
    const std::string argument = static_cast<char>(agent::Operation::read_file) + path;
    auto answer = call(raw(argument), nullptr, 0ms, interrupted);
    if (!answer) {
        return answer.error();
    }
    if (answer->ending == agent::Ending::refused) {
        return refused(*answer);
    }
    if (answer->truncated) {
        return Error{path + " is longer than the agent sends: " + std::to_string(agent::kMaxStream) + " bytes"};
    }
    return std::move(answer->out);
}

Status AgentClient::write_file(const std::string& path, std::string_view content, std::uint32_t mode,
                               const Interrupted& interrupted) {
    std::string argument(1, static_cast<char>(agent::Operation::write_file));
    append_u32(argument, mode);
    argument.append(path).push_back('\0');
    argument.append(content);
    if (argument.size() > agent::kMaxArgument) {
        return Error{"cannot send " + std::to_string(content.size()) + " bytes to " + path + ": the agent takes " +
                     std::to_string(agent::kMaxArgument)};
    }
    const auto answer = call(raw(argument), nullptr, 0ms, interrupted);
    if (!answer) {
        return answer.error();
    }
    return answer->ending == agent::Ending::refused ? Status(refused(*answer)) : Status(Nothing{});
}

Status AgentClient::bye(std::chrono::milliseconds limit, const Interrupted& interrupted) {
    const auto deadline = SteadyClock::now() + limit;
    while (SteadyClock::now() < deadline && !(interrupted && interrupted())) {
        if (Status sent = send({frame::Type::bye, 0, tag_ << agent::kCounterBits, 0, {}}); !sent) {
            return sent;
        }
        while (const auto frame = console_.next_frame(std::min(deadline, SteadyClock::now() + 200ms))) {
            if (!frame->damaged && frame->type == frame::Type::gone) {
                greeted_ = false;
                return Nothing{};
            }
        }
    }
    return Error{"the agent did not confirm that it leaves; send Ctrl-C three times, or it has left already"};
}

// --- One call --------------------------------------------------------------------------------------------------------

Result<AgentAnswer> AgentClient::call(std::span<const std::uint8_t> argument, const AgentCommand* command,
                                      std::chrono::milliseconds limit, const Interrupted& interrupted) {
    if (!greeted_) {
        return Error{"no session with an agent: hello() comes first"};
    }
    Call call;
    call.id = tag_ << agent::kCounterBits | (++counter_ & agent::kCounterMask);
    call.argument = argument;
    call.command = command;
    ++counts_.calls;

    const auto begin = SteadyClock::now();
    auto last_good = begin;
    auto last_asked = begin;
    bool hurry = false; // a damaged frame was seen since the last question
    bool twice = false; // the question was repeated: the time to the answer is no round trip (Karn's rule)
    if (Status asked = ask(call, false); !asked) {
        return asked.error();
    }
    while (!complete(call)) {
        const auto ask_at = ask_again_at(call, last_asked, hurry);
        const auto now = SteadyClock::now();
        if (now - last_good > options_.silence + transmission(2 * kPutWindow * frame::kMaxText)) {
            return Error{silence_text()};
        }
        auto frame = console_.next_frame(std::min(ask_at, now + kSlice));
        if (frame && !frame->damaged && is_request(frame->type)) {
            frame.reset(); // our own words: where the agent was, a terminal echoes them now
        }
        if (interrupted && interrupted()) {
            kill(call);
            return Error{"interrupted"};
        }
        if (frame && frame->damaged) {
            ++counts_.damaged;
            went_badly();
            hurry = true;
            continue;
        }
        if (frame) {
            const std::uint32_t accepted = call.accepted;
            if (frame->type == frame::Type::damaged) {
                ++counts_.damaged;
                hurry = true;
                went_badly();
                continue;
            }
            if (Status taken = take(call, *frame); !taken) {
                return taken.error();
            }
            if (frame->id != call.id) {
                continue;
            }
            last_good = SteadyClock::now();
            if (!twice) {
                const auto since = std::max(last_asked, line_free_);
                const double took = std::chrono::duration<double, std::milli>(last_good - since).count();
                round_trip_ms_ = 0.8 * round_trip_ms_ + 0.2 * std::clamp(took, 0.0, 500.0);
                backoff_ = 0;
            }
            report_output(call);
            if (complete(call)) {
                break;
            }
            if (satisfied(call) || call.accepted != accepted) {
                hurry = twice = false;
                last_asked = last_good;
                if (Status asked = ask(call, false); !asked) {
                    return asked.error();
                }
            }
            continue;
        }
        if (const LinkEvent link = console_.link(); link.link != Link::open) {
            if (!console_.may_return()) {
                return Error{std::string("the console is ") + to_string(link.link) + " (" + link.detail +
                             "): whether the request was carried out is unknown"};
            }
            std::this_thread::sleep_for(kAfterDamage); // what is lost meanwhile is asked for again
        }
        const auto later = SteadyClock::now();
        if (limit.count() > 0 && later - begin > limit + options_.silence) {
            return Error{"the agent did not end the command at its limit of " + std::to_string(limit.count()) + " ms"};
        }
        if (later >= ask_again_at(call, last_asked, hurry)) {
            if (!hurry) {
                backoff_ = std::min(backoff_ + 1, 6u);
                if (!call.known || call.state.phase != Phase::running) {
                    went_badly();
                }
            }
            hurry = false;
            twice = true;
            last_asked = later;
            if (Status asked = ask(call, true); !asked) {
                return asked.error();
            }
        }
    }
    return finish(call);
}

// A sign is waited for from when the line has carried what was said, and as long as anything comes.
SteadyClock::time_point AgentClient::ask_again_at(const Call& call, SteadyClock::time_point asked, bool hurry) const {
    const auto quiet_since = std::max({asked, console_.last_frame_byte(), line_free_});
    return quiet_since + (hurry ? std::chrono::milliseconds(kAfterDamage) : patience(call));
}

// True when nothing more is on its way that was asked for.
bool AgentClient::satisfied(const Call& call) const {
    if (!call.known || call.state.phase == Phase::collecting) {
        return false;
    }
    for (int i = 0; i < 2; ++i) {
        if (call.streams[i].bytes.size() < call.asked_until[i]) {
            return false;
        }
    }
    return true;
}

bool AgentClient::complete(const Call& call) {
    return call.known && call.state.phase == Phase::done && call.streams[0].bytes.size() == call.state.size[0] &&
           call.streams[1].bytes.size() == call.state.size[1];
}

// Says what has to be said next: the argument, or the wish for the bytes that lack, or the question how it stands.
Status AgentClient::ask(Call& call, bool again) {
    if (again) {
        ++counts_.resent;
    }
    if (!call.known || call.state.phase == Phase::collecting) {
        return put(call, again);
    }
    for (int i = 0; i < 2; ++i) {
        if (call.streams[i].bytes.size() < call.state.size[i]) {
            return get(call, i);
        }
    }
    return again ? put(call, again) : Status(Nothing{});
}

// Sends pieces of the argument, from where they were sent so far or, `again`, from where the agent has them.
Status AgentClient::put(Call& call, bool again) {
    const auto piece = static_cast<std::size_t>(piece_);
    const std::size_t whole = call.argument.size();
    const auto hint = static_cast<std::uint8_t>(std::bit_width(piece) - 1);
    if (call.known && call.state.phase != Phase::collecting) { // a question only: an empty piece
        return send(
            {frame::Type::put, static_cast<std::uint8_t>(hint << 4), call.id, static_cast<std::uint32_t>(whole), {}});
    }
    std::size_t at = again ? call.accepted : std::max(call.put_until, call.accepted);
    const std::size_t end = std::min(whole, call.accepted + piece * put_window());
    do { // an empty argument is a piece as well
        const std::size_t count = std::min(piece, end - std::min(at, end));
        if (count == 0 && whole != 0) {
            break;
        }
        const auto flags = static_cast<std::uint8_t>(hint << 4 | (at + count == whole ? agent::kLast : 0));
        Status sent =
            send({frame::Type::put, flags, call.id, static_cast<std::uint32_t>(at), call.argument.subspan(at, count)});
        if (!sent) {
            return sent;
        }
        at += count;
    } while (at < end);
    call.put_until = static_cast<std::uint32_t>(at);
    return Nothing{};
}

Status AgentClient::get(Call& call, int stream) {
    const Stream& have = call.streams[stream];
    const auto from = static_cast<std::uint32_t>(have.bytes.size());
    const auto piece = static_cast<std::uint32_t>(piece_);
    const std::uint32_t window = piece * (successes_ > kCalmAfter ? 32 : 4);
    std::uint32_t until = std::min(call.state.size[stream], from + window);
    if (!have.ahead.empty()) { // only the gap
        until = std::min(until, have.ahead.begin()->first);
    }
    call.asked_until[stream] = until;
    std::array<std::uint8_t, 6> payload{};
    frame::put_u32(payload.data(), until - from);
    frame::put_u16(&payload[4], piece);
    return send({frame::Type::get, static_cast<std::uint8_t>(stream), call.id, from, payload});
}

Status AgentClient::take(Call& call, const InboundFrame& frame) {
    if (frame.type == frame::Type::welcome && frame.payload.size() >= 20 && get_u64(&frame.payload[4]) != info_.nonce) {
        return Error{"the agent was started anew: whether the request was carried out is unknown"};
    }
    if (frame.id != call.id) {
        return Nothing{}; // late, of an older call
    }
    if (frame.type == frame::Type::state && frame.payload.size() >= agent::kStateSize) {
        went_well();
        take_state(call, frame);
    } else if (frame.type == frame::Type::data && frame.flags < 2) {
        went_well();
        take_data(call, frame);
    }
    if (call.known && call.state.phase == Phase::unknown) {
        return Error{
            "the agent does not know the request (it lost the session): whether it was carried out is unknown"};
    }
    return Nothing{};
}

void AgentClient::take_state(Call& call, const InboundFrame& frame) {
    const agent::State state = agent::unpack(frame.payload.data());
    if (call.known && state.phase < call.state.phase) {
        return; // overtaken by a later one
    }
    call.known = true;
    call.state = state;
    call.accepted = std::max(call.accepted, std::min(frame.offset, static_cast<std::uint32_t>(call.argument.size())));
    const std::size_t both = std::size_t{state.size[0]} + state.size[1];
    if (state.phase == Phase::done && frame.payload.size() == agent::kStateSize + both) {
        const char* bytes = reinterpret_cast<const char*>(frame.payload.data()) + agent::kStateSize;
        append(call.streams[0], 0, {bytes, state.size[0]});
        append(call.streams[1], 0, {bytes + state.size[0], state.size[1]});
    }
}

void AgentClient::take_data(Call& call, const InboundFrame& frame) {
    Stream& stream = call.streams[frame.flags];
    const std::string_view piece(reinterpret_cast<const char*>(frame.payload.data()), frame.payload.size());
    if (frame.offset > stream.bytes.size() && stream.ahead.size() >= kMaxAhead) {
        return;
    }
    append(stream, frame.offset, piece);
}

// Puts a piece in its place, and behind it what was waiting for it.
void AgentClient::append(Stream& stream, std::uint32_t offset, std::string_view piece) {
    if (offset > stream.bytes.size()) {
        auto& kept = stream.ahead[offset];
        if (kept.size() < piece.size()) {
            kept = piece;
        }
        return;
    }
    const std::size_t known = stream.bytes.size() - offset;
    if (known < piece.size()) {
        stream.bytes.append(piece.substr(known));
    }
    while (!stream.ahead.empty() && stream.ahead.begin()->first <= stream.bytes.size()) {
        const auto first = stream.ahead.begin();
        const std::size_t skip = stream.bytes.size() - first->first;
        if (skip < first->second.size()) {
            stream.bytes.append(first->second, skip);
        }
        stream.ahead.erase(first);
    }
}

void AgentClient::report_output(Call& call) {
    if (call.command == nullptr || !call.command->on_output) {
        return;
    }
    for (int i = 0; i < 2; ++i) {
        Stream& stream = call.streams[i];
        if (stream.reported < stream.bytes.size()) {
            call.command->on_output(i, std::string_view(stream.bytes).substr(stream.reported));
            stream.reported = stream.bytes.size();
        }
    }
}

Result<AgentAnswer> AgentClient::finish(Call& call) {
    AgentAnswer answer{call.state.ending, static_cast<int>(call.state.code), call.state.truncated,
                       std::move(call.streams[0].bytes), std::move(call.streams[1].bytes)};
    if (frame::crc32(raw(answer.err), frame::crc32(raw(answer.out))) != call.state.crc) {
        return Error{"the answer's CRC is wrong though every piece was right: the agent or this controller has a bug"};
    }
    if (Status sent = send({frame::Type::drop, 0, call.id, 0, {}}); !sent) {
        return sent.error();
    }
    return answer;
}

Status AgentClient::send(const frame::Frame& frame) {
    std::array<char, frame::kMaxText + 1> text;
    ++counts_.sent;
    const std::size_t ahead = options_.longest_line != 0 ? 1 : 0; // a frame begins a line of its own there
    text[0] = '\n';
    const std::size_t length = ahead + frame::encode(frame, lane_, std::span(text).subspan(ahead));
    line_free_ = std::max(SteadyClock::now(), line_free_) + transmission(length);
    Status written =
        console_.write({text.data(), length}, options_.write_limit + 2 * transmission(length + kDriverBuffer));
    // A line that may come back has lost a frame, as lines do.
    return written || !console_.may_return() ? std::move(written) : Status(Nothing{});
}

// Has the command ended, and waits a little for the agent to say so: the line may have damaged the order.
void AgentClient::kill(const Call& call) {
    const auto end = SteadyClock::now() + kKillLimit;
    while (SteadyClock::now() < end) {
        (void)send({frame::Type::kill, 0, call.id, 0, {}});
        while (const auto frame = console_.next_frame(std::min(end, SteadyClock::now() + kSlice))) {
            const bool ours = !frame->damaged && frame->type == frame::Type::state && frame->id == call.id;
            if (ours && frame->payload.size() >= agent::kStateSize &&
                agent::unpack(frame->payload.data()).phase != Phase::running) {
                return;
            }
        }
        if (console_.link().link != Link::open) {
            return;
        }
    }
}

// --- What the line can take ------------------------------------------------------------------------------------------

// Pieces grow by a fifth with each good frame and shrink as much with each bad one, faster when several are bad in a
// row. On a line that damages every hundredth byte they settle near 32 bytes, where the most gets through; on a good
// one at the largest.
void AgentClient::went_well() {
    failures_ = 0;
    ++successes_;
    piece_ = std::min(piece_ * 1.2, largest_piece_);
}

void AgentClient::went_badly() {
    successes_ = 0;
    piece_ = std::max(piece_ / (++failures_ >= 3 ? 2.0 : 1.2), kSmallestPiece);
}

// How long to wait for a sign before asking again.
std::chrono::milliseconds AgentClient::patience(const Call& call) const {
    if (call.known && call.state.phase == Phase::running && satisfied(call)) {
        return options_.heartbeat * 5 / 2;
    }
    const double wait = std::clamp(2 * round_trip_ms_ + 10, 20.0, 1000.0) * (1u << backoff_);
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(wait, 2000.0)));
}

std::size_t AgentClient::put_window() const {
    return successes_ > kCalmAfter && options_.longest_line == 0 ? kPutWindow : 1;
}

std::chrono::milliseconds AgentClient::transmission(std::size_t characters) const {
    const std::size_t rate = console_.line_rate();
    return std::chrono::milliseconds(rate == 0 ? 0 : (characters * 1000 + rate - 1) / rate);
}

std::string AgentClient::silence_text() const {
    return "the agent has been silent for " + std::to_string(options_.silence.count() / 1000) +
           " s: whether the request was carried out is unknown. Last text: " + console_.tail();
}

} // namespace hil

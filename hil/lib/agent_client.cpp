// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/agent_client.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

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
// Pieces on their way to the agent at once: a terminal keeps 4095 bytes for its reader, and not every UART can stop a
// sender.
constexpr std::size_t kPutWindow = 3;
constexpr unsigned kHellos = 4;             // in the high lane, before the plain one is tried too
constexpr unsigned kPatientHellos = 16;     // the same where damaged frames show that bit 7 gets through
constexpr std::size_t kWelcomeText = 200;   // characters
constexpr std::size_t kDriverBuffer = 4096; // characters that may be under way before ours
constexpr double kCalmLine = 1e-4;          // a share of harmed characters up to which a line is a good one
constexpr unsigned kFewPieces = 4;          // of an answer asked for at once, while a line may be a bad one
constexpr unsigned kManyPieces = 32;        // the same on a good one
constexpr std::size_t kBurst = 2048;        // bytes that are asked for at once on any line
constexpr std::size_t kSmallPiece = 64;     // bytes; of such pieces several are on their way on a bad line too
// A share of harmed characters from which on a question of 50 is lost about once in ten times. Saying it twice at once
// takes the line the time of 50 characters; finding out that it was lost takes that of an answer.
constexpr double kBadLine = 0.002;
// A line whose rate nobody told is thought to be a common UART until it shows that it is faster: 115200 baud.
constexpr double kUnknownPace = 1000.0 / 11520; // ms a character

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

constexpr int kLevel = 6; // of packing

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
    std::size_t piece = frame::kMaxPayload;
    const auto fits = [&] {
        return frame::text_size(piece, frame::Lane::plain) <= longest_line &&
               frame::text_size(piece, frame::Lane::high) <= longest_line;
    };
    while (longest_line != 0 && piece > 0 && !fits()) {
        --piece;
    }
    return std::max(static_cast<double>(piece), LineQuality::kSmallestPiece);
}

// The refusal of a request, as an error for a person.
Error refused(const AgentAnswer& answer) {
    return Error{"the agent could not do it: " + answer.err};
}

} // namespace

AgentClient::AgentClient(Console& console, AgentOptions options)
    : console_(console), options_(options), quality_(largest_piece(options.longest_line)), pace_ms_(kUnknownPace) {
    session_ = random_number();
    tag_ = static_cast<std::uint32_t>(session_ >> 52);
}

Result<AgentInfo> AgentClient::hello(std::chrono::milliseconds limit, const Interrupted& interrupted) {
    const auto deadline = SteadyClock::now() + limit;
    std::array<std::uint8_t, 16> payload{};
    put_u64(payload.data(), session_);
    frame::put_u32(&payload[8], static_cast<std::uint32_t>(options_.heartbeat.count()));
    frame::put_u32(&payload[12], static_cast<std::uint32_t>(console_.line_rate()));
    bool damage = false; // in the high lane: it gets through, and what fails is something else
    for (unsigned attempt = 0; SteadyClock::now() < deadline; ++attempt) {
        lane_ =
            attempt < (damage ? kPatientHellos : kHellos) || attempt % 2 == 0 ? frame::Lane::high : frame::Lane::plain;
        if (Status sent = send({frame::Type::hello, 0, tag_ << agent::kCounterBits, 0, payload}); !sent) {
            return sent.error();
        }
        const auto patience = transmission(kWelcomeText) + 50ms * (1u << std::min(attempt, 4u));
        const auto again = std::min(deadline, std::max(SteadyClock::now(), line_free_) + patience);
        while (const auto frame = console_.next_frame(again)) {
            const auto& bytes = frame->payload;
            damage = damage || (frame->damaged && frame->lane == frame::Lane::high);
            if (frame->damaged || frame->type != frame::Type::welcome || bytes.size() < 20 ||
                get_u64(&bytes[12]) != session_) {
                continue;
            }
            info_ = {frame::get_u32(bytes.data()), get_u64(&bytes[4]), {bytes.begin() + 20, bytes.end()}, frame->lane};
            greeted_ = true;
            lane_ = info_.lane; // plain after all where the line clears bit 7; the agent follows
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
    return call(argument, &command, command.limit, interrupted);
}

Result<std::string> AgentClient::read_file(const std::string& path, const Interrupted& interrupted) {
    const std::string argument = static_cast<char>(agent::Operation::read_file) + path;
    auto answer = call(argument, nullptr, 0ms, interrupted);
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
    const auto answer = call(argument, nullptr, 0ms, interrupted);
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

AgentClient::Call AgentClient::begin(std::string_view argument, const AgentCommand* command,
                                     std::chrono::milliseconds limit) {
    Call call;
    call.id = tag_ << agent::kCounterBits | (++counter_ & agent::kCounterMask);
    call.argument = agent::packed(argument, kLevel);
    call.command = command;
    call.limit = limit;
    call.losses = console_.losses();
    call.begun = call.last_good = call.last_asked = call.accepted_at = SteadyClock::now();
    ++counts_.calls;
    return call;
}

Result<AgentAnswer> AgentClient::call(std::string_view argument, const AgentCommand* command,
                                      std::chrono::milliseconds limit, const Interrupted& interrupted) {
    if (!greeted_) {
        return Error{"no session with an agent: hello() comes first"};
    }
    Call call = begin(argument, command, limit);
    Status going = ask(call, false);
    while (going && !complete(call)) {
        going = step(call, interrupted);
    }
    return going ? finish(call) : Result<AgentAnswer>(going.error());
}

// One look at the line: what came is heard, and when nothing came for long enough the question is put again.
Status AgentClient::step(Call& call, const Interrupted& interrupted) {
    const auto now = SteadyClock::now();
    if (now - call.last_good > options_.silence + transmission(2 * kPutWindow * frame::kMaxText)) {
        return Error{silence_text()};
    }
    const auto frame = console_.next_frame(std::min(ask_again_at(call), now + kSlice));
    if (interrupted && interrupted()) {
        kill(call);
        return Error{"interrupted"};
    }
    hear_losses(call);
    if (!frame || (!frame->damaged && is_request(frame->type))) {
        return wait(call); // a request is our own: where the agent was, a terminal echoes it now
    }
    if (frame->damaged || frame->type == frame::Type::damaged) {
        hear_damage(call, !frame->damaged);
        return Nothing{};
    }
    return hear(call, *frame);
}

// `complaint`: the agent says that ours was damaged.
void AgentClient::hear_damage(Call& call, bool complaint) {
    ++counts_.damaged;
    went_badly();
    call.damage = true;
    call.hurry = call.hurry || complaint || !call.burst; // of a burst more pieces may be coming
}

// What was on its way when the line was lost is lost for certain, whoever sent it: no reason to wait longer and longer
// for it, as for an answer that is late for reasons that nobody knows.
void AgentClient::hear_losses(Call& call) {
    if (const std::uint64_t losses = console_.losses(); losses != call.losses) {
        call.losses = losses;
        went_badly();
        call.damage = call.hurry = true;
    }
}

Status AgentClient::hear(Call& call, const InboundFrame& frame) {
    learn_round_trip(frame);
    const std::uint32_t accepted = call.accepted;
    const std::size_t before = standing(call);
    if (Status taken = take(call, frame); !taken || frame.id != call.id) {
        return taken;
    }
    call.last_good = SteadyClock::now();
    if (standing(call) > before && backoff_ > 0) {
        --backoff_; // what is lost on a bad line must not make every later wait a long one
    }
    if (Status unpacked = unpack(call); !unpacked) {
        return unpacked;
    }
    report_output(call);
    if (complete(call) || !(satisfied(call) || call.over || call.accepted != accepted)) {
        return Nothing{};
    }
    call.last_asked = call.last_good;
    return ask(call, false);
}

// As TCP does (RFC 6298): a mean, and how far the times are off it.
void AgentClient::RoundTrip::learn(double took) {
    deviation_ms = 0.75 * deviation_ms + 0.25 * std::abs(took - mean_ms);
    mean_ms = 0.875 * mean_ms + 0.125 * took;
}

// The time from a question to the first thing said because of it; answers to an older call count as well.
void AgentClient::learn_round_trip(const InboundFrame& frame) {
    const bool answers = frame.type == frame::Type::state || frame.type == frame::Type::data;
    const unsigned turn = answers ? agent::turn_of(frame.flags) : 0;
    const auto asked = std::exchange(asked_at_[turn], SteadyClock::time_point{});
    if (turn == 0 || asked == SteadyClock::time_point{}) {
        return;
    }
    if (doubted_ != SteadyClock::time_point{} && asked >= doubted_) {
        if (asked == doubted_) {
            quality_.forgive(doubts_); // nothing was lost: the answer was late (RFC 3522 tells it by time stamps)
        }
        doubted_ = {}; // else a later question was answered, and that one was lost
        doubts_ = 0;
    }
    const double took = std::chrono::duration<double, std::milli>(SteadyClock::now() - asked).count();
    round_trip_.learn(std::clamp(took, 0.0, 2000.0));
    backoff_ = 0;
}

// Nothing came that answers: the line may be lost, the command may be late, or the question may have to be put again.
Status AgentClient::wait(Call& call) {
    if (const LinkEvent link = console_.link(); link.link != Link::open) {
        if (!console_.may_return()) {
            return Error{std::string("the console is ") + to_string(link.link) + " (" + link.detail +
                         "): whether the request was carried out is unknown"};
        }
        std::this_thread::sleep_for(kAfterDamage); // what is lost meanwhile is asked for again
    }
    const auto now = SteadyClock::now();
    if (call.limit.count() > 0 && now - call.begun > call.limit + options_.silence) {
        return Error{"the agent did not end the command at its limit of " + std::to_string(call.limit.count()) + " ms"};
    }
    if (now < ask_again_at(call)) {
        return Nothing{};
    }
    if (!call.damage) {
        backoff_ = std::min(backoff_ + 1, 6u);
        if (!call.known || call.state.phase != Phase::running) {
            doubt();
        }
    }
    call.last_asked = now;
    return ask(call, true);
}

// A sign is waited for from when the line has carried what was said, and as long as anything comes.
SteadyClock::time_point AgentClient::ask_again_at(const Call& call) const {
    const auto quiet_since = std::max({call.last_asked, console_.last_frame_byte(), line_free_});
    if (!call.hurry) {
        return quiet_since + patience(call);
    }
    // What was damaged may have been said because of an older question. One question in the time of an answer, however
    // much is damaged: more of them would keep a slow machine busy with nothing but answers, of which as many are
    // damaged.
    const auto answered = std::max(call.last_asked, line_free_) + round_trip_.mean();
    return std::max(answered, quiet_since + std::chrono::milliseconds(kAfterDamage));
}

// Grows with whatever the call has got further by.
std::size_t AgentClient::standing(const Call& call) {
    std::size_t sum = call.accepted + (call.known ? 1 + static_cast<std::size_t>(call.state.phase) : 0);
    return sum + call.streams[0].packed.received() + call.streams[1].packed.received();
}

// The agent has been told all of the request and has said nothing of it yet. It takes its time for the first word,
// since most commands are done before.
bool AgentClient::outcome_awaited(const Call& call) {
    const bool open = !call.known || call.state.phase == Phase::collecting;
    return open && call.put_until == call.argument.size();
}

// True when nothing more is on its way that was asked for.
bool AgentClient::satisfied(const Call& call) const {
    if (!call.known || call.state.phase == Phase::collecting) {
        return false;
    }
    return std::ranges::all_of(call.streams,
                               [](const Stream& stream) { return stream.packed.size() >= stream.wanted.until; });
}

bool AgentClient::complete(const Call& call) {
    return call.known && call.state.phase == Phase::done && call.streams[0].packed.size() == call.state.size[0] &&
           call.streams[1].packed.size() == call.state.size[1];
}

// Says what has to be said next: the argument, or the wish for the bytes that lack, or the question how it stands.
Status AgentClient::ask(Call& call, bool again) {
    counts_.resent += again ? 1 : 0;
    call.burst = call.over = call.damage = call.hurry = false;
    turn_ = turn_ % agent::kTurns + 1;
    const std::uint64_t before = counts_.sent;
    const std::uint32_t put_until = call.put_until;
    Status said = put_or_get(call, again);
    if (said && counts_.sent != before && quality_.harmed() > kBadLine) {
        call.put_until = put_until;
        said = put_or_get(call, again);
    }
    if (counts_.sent != before) {
        asked_at_[turn_] = std::max(SteadyClock::now(), line_free_);
    }
    return said;
}

Status AgentClient::put_or_get(Call& call, bool again) {
    if (!call.known || call.state.phase == Phase::collecting) {
        return put(call, again);
    }
    for (int i = 0; i < 2; ++i) {
        if (call.streams[i].packed.size() < call.state.size[i]) {
            return get(call, i);
        }
    }
    return again ? put(call, again) : Status(Nothing{});
}

// Sends pieces of the argument, from where they were sent so far or, `again`, from where the agent has them. On a good
// line the last but one is answered: so more are sent while the last is still on its way, and one answer does for two.
Status AgentClient::put(Call& call, bool again) {
    const std::size_t piece = quality_.piece();
    const std::size_t whole = call.argument.size();
    if (call.known && call.state.phase != Phase::collecting) { // a question only: an empty piece
        return put_piece(call, whole, whole, turn_);
    }
    const std::size_t begin = again ? call.accepted : std::max(call.put_until, call.accepted);
    const std::size_t end = put_end(call, begin);
    for (std::size_t at = begin; at < end;) {
        const std::size_t until = std::min(at + piece, end);
        const bool last_but_one = until < end && until + piece >= end;
        const bool answered = !calm() || last_but_one || until == whole || end - begin <= piece;
        if (Status sent = put_piece(call, at, until, answered ? turn_ : 0); !sent) {
            return sent;
        }
        at = until;
    }
    call.put_until = static_cast<std::uint32_t>(end);
    return Nothing{};
}

// Where the pieces end that may be sent now. None is cut short by the window: what the answers to such pieces leave of
// it would be next to nothing, for good (RFC 9293, 3.8.6.2.1).
std::size_t AgentClient::put_end(const Call& call, std::size_t begin) const {
    const std::size_t piece = quality_.piece();
    const std::size_t whole = call.argument.size();
    const std::size_t window = call.accepted + piece * put_window();
    if (window >= whole) {
        return whole;
    }
    return window <= begin ? begin : begin + (window - begin) / piece * piece;
}

Status AgentClient::put_piece(const Call& call, std::size_t at, std::size_t until, unsigned turn) {
    const auto limit = static_cast<std::uint8_t>(std::bit_width(quality_.piece()) - 1);
    const bool last = at < until && until == call.argument.size();
    const auto flags = static_cast<std::uint8_t>(limit << 4 | agent::in_turn(turn) | (last ? agent::kLast : 0));
    const auto bytes = raw(call.argument).subspan(at, until - at);
    return send({frame::Type::put, flags, call.id, static_cast<std::uint32_t>(at), bytes});
}

Status AgentClient::get(Call& call, int stream) {
    const auto piece = static_cast<std::uint32_t>(quality_.piece());
    const auto fill = static_cast<unsigned>(kBurst / piece);
    const unsigned pieces = calm() ? kManyPieces : std::max(kFewPieces, fill);
    const Wanted wanted = call.streams[stream].packed.wanted(call.state.size[stream], piece, pieces);
    call.streams[stream].wanted = wanted;
    call.burst = wanted.pieces > 1;
    std::array<std::uint8_t, 14> payload{};
    frame::put_u32(payload.data(), wanted.until - wanted.from);
    frame::put_u16(&payload[4], piece);
    put_u64(&payload[6], wanted.skip);
    const std::size_t length = wanted.skip != 0 ? payload.size() : 6;
    const bool done = call.state.phase == Phase::done;
    const auto flags = static_cast<std::uint8_t>(stream | agent::in_turn(turn_) | (done ? agent::kDoneKnown : 0));
    return send({frame::Type::get, flags, call.id, wanted.from, std::span(payload).first(length)});
}

Status AgentClient::take(Call& call, const InboundFrame& frame) {
    if (frame.type == frame::Type::welcome && frame.payload.size() >= 20 && get_u64(&frame.payload[4]) != info_.nonce) {
        return Error{"the agent was started anew: whether the request was carried out is unknown"};
    }
    if (frame.id != call.id) {
        return Nothing{}; // late, of an older call
    }
    if (frame.type == frame::Type::state) {
        went_well(frame);
        take_state(call, frame);
    } else if (frame.type == frame::Type::data) {
        went_well(frame);
        take_data(call, frame);
    }
    if (call.known && call.state.phase == Phase::unknown) {
        return Error{
            "the agent does not know the request (it lost the session): whether it was carried out is unknown"};
    }
    return Nothing{};
}

void AgentClient::take_state(Call& call, const InboundFrame& frame) {
    const agent::State state = agent::unpack(frame.payload);
    if (call.known && state.phase < call.state.phase) {
        return; // overtaken by a later one
    }
    call.known = true;
    call.state = state;
    const std::uint32_t accepted = std::min(frame.offset, static_cast<std::uint32_t>(call.argument.size()));
    if (accepted > call.accepted) { // what carried it has arrived well, too
        const std::size_t characters = frame::text_size(accepted - call.accepted, lane_);
        quality_.good(characters);
        learn_pace(call, characters);
        call.accepted = accepted;
    }
    const std::size_t both = std::size_t{state.size[0]} + state.size[1];
    if (state.phase == Phase::done && both > 0 && frame.payload.size() == agent::kStateSize + both) {
        const char* bytes = reinterpret_cast<const char*>(frame.payload.data()) + agent::kStateSize;
        call.streams[0].packed.put(0, {bytes, state.size[0]});
        call.streams[1].packed.put(0, {bytes + state.size[0], state.size[1]});
    }
}

// So many characters of the request have arrived since the last time that any did.
void AgentClient::learn_pace(Call& call, std::size_t characters) {
    const auto now = SteadyClock::now();
    const auto since = std::exchange(call.accepted_at, now);
    if (call.state.phase == Phase::collecting) { // later states come when the command is done
        // What took longer was lost and asked for again: such waits must not make later ones longer still.
        const double took = std::chrono::duration<double, std::milli>(now - since).count();
        pace_ms_ += 0.25 * (std::min(took / static_cast<double>(characters), kUnknownPace) - pace_ms_);
    }
}

void AgentClient::take_data(Call& call, const InboundFrame& frame) {
    const auto* bytes = reinterpret_cast<const char*>(frame.payload.data());
    Stream& stream = call.streams[frame.flags & 1u];
    stream.packed.put(frame.offset, {bytes, frame.payload.size()});
    call.over = call.over || (call.burst && frame.offset == stream.wanted.last);
}

// The pieces that came are right, each by its CRC: what they make up is right too, or one of the two programs is wrong.
Status AgentClient::unpack(Call& call) {
    for (Stream& stream : call.streams) {
        const std::string_view there = stream.packed.bytes();
        if (!stream.unpacker.add(there.substr(stream.unpacked))) {
            return Error{"the answer cannot be unpacked though every piece was right: the agent or this controller has "
                         "a bug"};
        }
        stream.unpacked = there.size();
    }
    return Nothing{};
}

void AgentClient::report_output(Call& call) {
    if (call.command == nullptr || !call.command->on_output) {
        return;
    }
    for (int i = 0; i < 2; ++i) {
        Stream& stream = call.streams[i];
        const std::string_view bytes = stream.unpacker.bytes();
        if (stream.reported < bytes.size()) {
            call.command->on_output(i, bytes.substr(stream.reported));
            stream.reported = bytes.size();
        }
    }
}

Result<AgentAnswer> AgentClient::finish(Call& call) {
    AgentAnswer answer{call.state.ending, static_cast<int>(call.state.code), call.state.truncated,
                       call.streams[0].unpacker.take(), call.streams[1].unpacker.take()};
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
    // A frame begins a line of its own where a console may lose long ones, known to do so or not. Where a shell may
    // still be listening, the line would be a command.
    const bool alone = options_.longest_line != 0 || (!calm() && frame.type != frame::Type::hello);
    const std::size_t ahead = alone ? 1 : 0;
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
    const auto end = SteadyClock::now() + options_.kill_limit;
    while (SteadyClock::now() < end) {
        (void)send({frame::Type::kill, 0, call.id, 0, {}});
        while (const auto frame = console_.next_frame(std::min(end, SteadyClock::now() + kSlice))) {
            const bool ours = !frame->damaged && frame->type == frame::Type::state && frame->id == call.id;
            if (ours && agent::unpack(frame->payload).phase != Phase::running) {
                return;
            }
        }
        if (console_.link().link != Link::open) {
            return;
        }
    }
}

// --- What the line can take ------------------------------------------------------------------------------------------

void AgentClient::went_well(const InboundFrame& frame) {
    quality_.good(frame::text_size(frame.payload.size(), frame.lane, frame.type));
}

// A question without an answer: the line is taken to have harmed it until the answer comes after all.
void AgentClient::doubt() {
    if (doubted_ == SteadyClock::time_point{} && asked_at_[turn_] != SteadyClock::time_point{}) {
        doubted_ = asked_at_[turn_];
    }
    ++doubts_;
    went_badly();
}

void AgentClient::went_badly() {
    quality_.bad();
}

// How long to wait for a sign before asking again.
std::chrono::milliseconds AgentClient::patience(const Call& call) const {
    if (call.known && call.state.phase == Phase::running && satisfied(call)) {
        return options_.heartbeat * 5 / 2;
    }
    double work = outcome_awaited(call) ? static_cast<double>(agent::kFirstState.count()) : 0;
    if (console_.line_rate() == 0 && call.put_until > call.accepted) { // else it is in line_free_
        work += pace_ms_ * static_cast<double>(frame::text_size(call.put_until - call.accepted, lane_));
    }
    const double wait = std::clamp(round_trip_.patience(), 20.0, 2000.0) * (1u << backoff_);
    return std::chrono::milliseconds(static_cast<std::int64_t>(work + std::min(wait, 2000.0)));
}

bool AgentClient::calm() const {
    return quality_.harmed() <= kCalmLine;
}

// The agent takes pieces of a request in order only: one that is lost costs those behind it. Small ones cost less than
// the time until their answers.
std::size_t AgentClient::put_window() const {
    const bool several = calm() ? options_.longest_line == 0 : quality_.piece() <= kSmallPiece;
    return several ? kPutWindow : 1;
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

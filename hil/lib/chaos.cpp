// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/chaos.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace hil {

namespace {

constexpr std::size_t kMaxArriving = 256 * 1024;
constexpr std::size_t kMaxLeaving = 64 * 1024;
constexpr std::chrono::milliseconds kSendAgain{1}; // the inner stream took only a part
// A line with a rate: what a serial port's driver takes ahead of its UART, how often the UART is looked at, and the
// silence that ends a run.
constexpr std::size_t kDriverBuffer = 4096;
constexpr std::chrono::milliseconds kTick{2};
constexpr double kMostTicks = 4; // saved up while nobody looked
constexpr std::chrono::milliseconds kPause{10};

struct Name {
    std::string_view name;
    double ChaosOptions::*rate;
};
constexpr std::array kNames = {
    Name{"drop", &ChaosOptions::drop},
    Name{"duplicate", &ChaosOptions::duplicate},
    Name{"double", &ChaosOptions::duplicate},
    Name{"corrupt", &ChaosOptions::corrupt},
    Name{"splice", &ChaosOptions::splice},
    Name{"delay", &ChaosOptions::delay},
    Name{"delay_ms", &ChaosOptions::delay_ms},
    Name{"flood", &ChaosOptions::flood},
    Name{"disconnect", &ChaosOptions::disconnect},
    Name{"rate", &ChaosOptions::rate},
    Name{"longest", &ChaosOptions::longest},
};

Status set_option(ChaosOptions& options, std::string_view name, std::string_view value) {
    const char* end = value.data() + value.size();
    if (name == "seed") {
        const auto parsed = std::from_chars(value.data(), end, options.seed);
        return parsed.ec == std::errc{} && parsed.ptr == end
                   ? Status(Nothing{})
                   : Status(Error{"chaos: the seed '" + std::string(value) + "' is no number"});
    }
    if (name == "interleave") {
        options.interleave = value == "1";
        return value == "0" || value == "1"
                   ? Status(Nothing{})
                   : Status(Error{"chaos: interleave=" + std::string(value) + " is neither 0 nor 1"});
    }
    for (const Name& known : kNames) {
        if (known.name != name) {
            continue;
        }
        const auto parsed = std::from_chars(value.data(), end, options.*known.rate);
        const double most = name == "delay_ms" ? 60'000 : name == "rate" || name == "longest" ? 1e9 : 1;
        if (parsed.ec != std::errc{} || parsed.ptr != end || !(options.*known.rate >= 0) ||
            options.*known.rate > most) {
            return Error{"chaos: " + std::string(name) + "=" + std::string(value) + " is no number from 0 to " +
                         std::to_string(static_cast<int>(most))};
        }
        return Nothing{};
    }
    return Error{"chaos: unknown fault '" + std::string(name) +
                 "': seed, drop, double, corrupt, splice, interleave, delay, delay_ms, disconnect, flood, rate and "
                 "longest are known"};
}

} // namespace

Result<ChaosOptions> parse_chaos(std::string_view text) {
    ChaosOptions options;
    while (!text.empty()) {
        const std::string_view item = text.substr(0, text.find(','));
        text.remove_prefix(std::min(item.size() + 1, text.size()));
        const std::size_t equals = item.find('=');
        const std::string_view value = equals == std::string_view::npos ? "" : item.substr(equals + 1);
        if (const Status status = set_option(options, item.substr(0, equals), value); !status) {
            return status.error();
        }
    }
    return options;
}

ChaosStream::ChaosStream(std::unique_ptr<Stream> inner, const ChaosOptions& options, Now now)
    : inner_(std::move(inner)), options_(options), now_(std::move(now)), random_(options.seed) {}

bool ChaosStream::chance(double rate) {
    return rate > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < rate;
}

void ChaosStream::begin_splice() {
    std::array<char, 96> line{};
    const int length = std::snprintf(
        line.data(), line.size(), "[%5llu.%06llu] chaos: splice %llu, with ~{words} in it\r\n",
        static_cast<unsigned long long>(counts_.splices / 10), static_cast<unsigned long long>(random_() % 1'000'000),
        static_cast<unsigned long long>(counts_.splices));
    ++counts_.splices;
    foreign_.append(line.data(), static_cast<std::size_t>(length));
}

void ChaosStream::harm(char byte, std::string& out, bool from_machine) {
    ++counts_.bytes;
    if (chance(options_.disconnect)) {
        ++counts_.disconnects;
        cut_ = true;
        return;
    }
    if (from_machine && foreign_.empty() && chance(options_.splice)) {
        begin_splice();
    }
    while (!foreign_.empty() && from_machine && (!options_.interleave || chance(0.5))) {
        out.push_back(foreign_.front());
        foreign_.erase(0, 1);
    }
    if (from_machine && arriving_.size() < kMaxArriving && chance(options_.flood)) {
        ++counts_.floods;
        for (int i = 0; i < 2048; ++i) {
            out += "inmate: still here, counting up and up\r\n";
        }
    }
    if (chance(options_.drop)) {
        ++counts_.dropped;
        return;
    }
    const bool corrupt = chance(options_.corrupt);
    counts_.corrupted += corrupt ? 1 : 0;
    out.push_back(corrupt ? static_cast<char>(random_()) : byte);
    if (chance(options_.duplicate)) {
        ++counts_.doubled;
        out.push_back(out.back());
    }
}

Transfer ChaosStream::read(std::span<char> to) {
    const auto now = now_();
    Transfer got;
    std::array<char, 4096> buffer;
    (void)send_leaving(); // what is wrong with the line is told by the next read or write
    if (!cut_ && arriving_.size() < kMaxArriving) {
        std::size_t room = buffer.size();
        if (options_.rate > 0) {
            room = std::min(room, in_.take(options_.rate, now));
            rests_until_ = now + kTick;
        }
        if (room > 0) {
            got = inner_->read(std::span(buffer).first(room));
            in_.bytes -= static_cast<double>(got.count);
        }
        ended_ = ended_ || got.state != StreamState::open;
    }
    std::string harmed;
    for (std::size_t i = 0; i < got.count && !cut_; ++i) {
        harmed.clear();
        if (chance(options_.delay)) {
            ++counts_.delays;
            const double milliseconds = std::uniform_real_distribution<double>(0, options_.delay_ms)(random_);
            latest_ =
                std::max(latest_, now + std::chrono::microseconds(static_cast<std::int64_t>(milliseconds * 1000)));
        }
        harm(buffer[i], harmed, true);
        for (const char c : harmed) {
            arriving_.push_back({std::max(latest_, now), c});
        }
    }
    Transfer outcome;
    while (outcome.count < to.size() && !arriving_.empty() && arriving_.front().when <= now) {
        to[outcome.count++] = arriving_.front().value;
        arriving_.pop_front();
    }
    if (outcome.count == 0 && arriving_.empty()) {
        outcome.state = cut_ ? StreamState::ended : got.state;
        outcome.why = cut_ ? "chaos: disconnected" : got.why;
    }
    return outcome;
}

Transfer ChaosStream::write(std::span<const char> from) {
    Transfer outcome;
    for (const char byte : from) {
        if (leaving_.size() > (options_.rate > 0 ? kDriverBuffer : kMaxLeaving) || cut_) {
            break;
        }
        harm(byte, leaving_, false);
        ++outcome.count;
    }
    const Transfer sent = send_leaving();
    outcome.state = sent.state;
    outcome.why = sent.why;
    if (cut_) {
        return {outcome.count, StreamState::ended, "chaos: disconnected"};
    }
    return outcome;
}

Transfer ChaosStream::send_leaving() {
    const auto now = now_();
    std::size_t count = leaving_.size();
    if (options_.rate > 0) {
        count = std::min(count, out_.take(options_.rate, now));
    }
    if (count == 0) {
        return {};
    }
    if (options_.longest <= 0) {
        Transfer sent = write_on({leaving_.data(), count});
        leaving_.erase(0, sent.count);
        out_.bytes -= static_cast<double>(sent.count);
        return sent;
    }
    std::string arrives;
    for (const char byte : std::string_view(leaving_).substr(0, count)) {
        if (!lost_in_run(byte, now)) {
            arrives.push_back(byte);
        }
    }
    leaving_.erase(0, count);
    out_.bytes -= static_cast<double>(count);
    return arrives.empty() ? Transfer{} : write_on(arrives); // what it does not take is lost in such a console too
}

Transfer ChaosStream::write_on(std::span<const char> bytes) {
    Transfer sent = inner_->write(bytes);
    ended_ = ended_ || sent.state != StreamState::open;
    return sent;
}

// Whether the machine's console has no room for the byte: its run is too long.
bool ChaosStream::lost_in_run(char byte, Clock::time_point now) {
    run_ = now - sent_at_ > kPause ? 0 : run_;
    sent_at_ = now;
    if (byte == '\n' || byte == '\r') {
        run_ = 0;
        return false;
    }
    const bool lost = static_cast<double>(++run_) > options_.longest;
    counts_.overrun += lost ? 1 : 0;
    return lost;
}

std::size_t ChaosStream::Budget::take(double rate, Clock::time_point now) {
    const double most = std::max(1.0, rate * kMostTicks * std::chrono::duration<double>(kTick).count());
    bytes = std::min(bytes + rate * std::chrono::duration<double>(now - since).count(), most);
    since = now;
    return static_cast<std::size_t>(std::max(0.0, bytes));
}

std::optional<std::chrono::steady_clock::time_point> ChaosStream::due() const {
    if (!arriving_.empty()) {
        return arriving_.front().when;
    }
    if (cut_) {
        return Clock::time_point{}; // the end is to be read at once
    }
    if (!leaving_.empty()) {
        return now_() + (options_.rate > 0 ? kTick : kSendAgain);
    }
    return inner_->due();
}

} // namespace hil

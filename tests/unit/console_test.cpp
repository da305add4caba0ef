// SPDX-License-Identifier: Apache-2.0
// The console over a socket: nothing lost, nothing blocked, everything told.
#include "hil/lib/console.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace {

using namespace hil;
using namespace std::chrono_literals;

struct Directory {
    std::string path = testing::TempDir() + "hil-console-" + std::to_string(getpid());
    Directory() {
        std::filesystem::remove_all(path);
        std::filesystem::create_directories(path);
    }
    ~Directory() { std::filesystem::remove_all(path); }
};

std::string file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

// Offset and nanoseconds of each piece in a console.times, whose form hil/console_times.py tells.
std::vector<std::pair<std::uint64_t, std::uint64_t>> dates(const std::string& content) {
    const std::string_view header = "hil console.times 2\n";
    EXPECT_TRUE(content.starts_with(header));
    std::vector<std::uint64_t> numbers;
    std::uint64_t value = 0;
    int shift = 0;
    for (const char c : std::string_view(content).substr(std::min(header.size(), content.size()))) {
        value |= static_cast<std::uint64_t>(c & 0x7f) << shift;
        shift = (c & 0x80) != 0 ? shift + 7 : 0;
        if (shift == 0) {
            numbers.push_back(std::exchange(value, 0));
        }
    }
    std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
    for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) {
        const bool absolute = numbers[i] == 0;
        i += absolute ? 1 : 0;
        const auto before = absolute ? std::pair<std::uint64_t, std::uint64_t>{} : found.back();
        found.emplace_back(before.first + numbers[i], before.second + numbers.at(i + 1));
    }
    return found;
}

// A console, and the machine's end of its line.
struct Bench {
    FileDescriptor machine;
    std::unique_ptr<Console> console;

    explicit Bench(ConsoleOptions options = {}) {
        std::array<int, 2> ends{};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        machine = FileDescriptor(ends[1]);
        options.stream = "fd:" + std::to_string(ends[0]);
        auto made = Console::create(std::move(options));
        ::close(ends[0]);
        EXPECT_TRUE(made) << made.error().message;
        console = std::move(made).value();
        EXPECT_TRUE(console->wait_open(2s));
    }

    void say(std::string_view text) {
        while (!text.empty()) {
            const ssize_t count = ::write(machine.get(), text.data(), text.size());
            ASSERT_GT(count, 0);
            text.remove_prefix(static_cast<std::size_t>(count));
        }
    }

    template <typename T> std::vector<T> wait_for(std::size_t count, std::chrono::milliseconds limit = 3s) {
        std::vector<T> found;
        const auto end = SteadyClock::now() + limit;
        while (found.size() < count && SteadyClock::now() < end) {
            for (auto& event : console->poll(50ms)) {
                if (auto* what = std::get_if<T>(&event.what)) {
                    found.push_back(std::move(*what));
                }
            }
        }
        return found;
    }
};

std::string drain(int fd) {
    std::string all;
    std::array<char, 65536> buffer{};
    for (ssize_t count = 0; (count = ::read(fd, buffer.data(), buffer.size())) > 0;) {
        all.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return all;
}

std::string a_frame(std::uint32_t id, frame::Lane lane = frame::Lane::high) {
    std::array<char, frame::kMaxText> text{};
    return {text.data(), frame::encode({frame::Type::data, 0, id, 0, {}}, lane, text)};
}

TEST(Console, KeepsEveryRawByteWithItsTime) {
    const Directory directory;
    ConsoleOptions options;
    options.raw_path = directory.path + "/console.raw";
    options.times_path = directory.path + "/console.times";
    Bench bench(options);
    std::mt19937 random(1);
    std::string all;
    for (int i = 0; i < 50; ++i) {
        std::string piece(1 + random() % 5000, '\0');
        for (char& c : piece) {
            c = static_cast<char>(random());
        }
        bench.say(piece);
        all += piece;
        std::this_thread::sleep_for(1ms);
    }
    const auto end = SteadyClock::now() + 3s;
    while (bench.console->counts().bytes < all.size() && SteadyClock::now() < end) {
        std::this_thread::sleep_for(5ms);
    }
    EXPECT_EQ(file(options.raw_path), all) << "on disk while the console is open: a killed controller loses nothing";
    const auto pieces = dates(file(options.times_path));
    ASSERT_GT(pieces.size(), 5U);
    EXPECT_EQ(pieces.front().first, 0U);
    for (std::size_t i = 1; i < pieces.size(); ++i) {
        EXPECT_GT(pieces[i].first, pieces[i - 1].first);
        EXPECT_GE(pieces[i].second, pieces[i - 1].second);
    }
    EXPECT_LT(pieces.back().first, all.size());
    EXPECT_LT(pieces.back().second, static_cast<std::uint64_t>(std::chrono::nanoseconds(10s).count()));
}

// No file may grow beyond so many bytes, as on a full disk.
struct FullDisk {
    rlimit before{};
    explicit FullDisk(rlim_t bytes) {
        (void)std::signal(SIGXFSZ, SIG_IGN);
        (void)getrlimit(RLIMIT_FSIZE, &before);
        const rlimit small{bytes, before.rlim_max};
        (void)setrlimit(RLIMIT_FSIZE, &small);
    }
    ~FullDisk() { (void)setrlimit(RLIMIT_FSIZE, &before); }
};

TEST(ConsoleLog, SaysWhereADiskThatIsFullEndsIt) {
    const Directory directory;
    const std::string raw = directory.path + "/raw";
    const std::string times = directory.path + "/times";
    std::string none;
    {
        const FullDisk full(5);
        none = ConsoleLog::create(raw, times).error().message;
    }
    EXPECT_EQ(none, "cannot write the console's log " + times + ": File too large");
    std::filesystem::remove(times);
    auto log = ConsoleLog::create(raw, times);
    ASSERT_TRUE(log);
    EXPECT_TRUE(log->append(std::string_view("0123456789"), 1s));
    std::string cut;
    {
        const FullDisk full(std::filesystem::file_size(times));
        cut = log->append(std::string_view("abc"), 2s).error().message;
    }
    EXPECT_EQ(cut, "the console's log is incomplete from byte 10 on: File too large");
    EXPECT_TRUE(log->append(std::string_view("def"), 3s)) << "told once";
}

TEST(ConsoleLog, APieceWithoutBytesLeavesNoTrace) {
    const Directory directory;
    const std::string times = directory.path + "/times";
    auto log = ConsoleLog::create(directory.path + "/raw", times);
    ASSERT_TRUE(log);
    for (const auto& [text, when] : {std::pair{"one", 5ns}, std::pair{"", 7ns}, std::pair{"two", 9ns}}) {
        EXPECT_TRUE(log->append(std::string_view(text), when));
    }
    using Piece = std::pair<std::uint64_t, std::uint64_t>;
    EXPECT_EQ(dates(file(times)), (std::vector<Piece>{{0, 5}, {3, 9}}));
}

TEST(ConsoleLog, GoesOnInTheFilesOfAnEarlierOneAndInNoOthers) {
    const Directory directory;
    const std::string raw = directory.path + "/console.raw";
    const std::string times = directory.path + "/console.times";
    for (const auto& [text, when] : {std::pair{"early", 300ns}, std::pair{"late", 70ns}}) {
        auto log = ConsoleLog::create(raw, times);
        ASSERT_TRUE(log) << log.error().message;
        EXPECT_TRUE(log.value().append(std::string_view(text), when));
        EXPECT_TRUE(log.value().append(std::string_view("!"), when + 200ns));
    }
    EXPECT_EQ(file(raw), "early!late!");
    using Piece = std::pair<std::uint64_t, std::uint64_t>;
    EXPECT_EQ(dates(file(times)), (std::vector<Piece>{{0, 300}, {5, 500}, {6, 70}, {10, 270}}));
    std::ofstream(times) << "0 1000000000\n";
    EXPECT_FALSE(ConsoleLog::create(raw, times));
}

TEST(Console, TakesFramesOutOfTheTextAndTellsFacts) {
    ConsoleOptions options;
    options.lines = true;
    Bench bench(options);
    const std::string frame = a_frame(7);
    bench.say("Created c" + frame.substr(0, 9) + "ell \"de" + frame.substr(9) + "mo\"\r\n");
    const auto facts = bench.wait_for<LifecycleEvent>(1);
    ASSERT_EQ(facts.size(), 1u);
    EXPECT_EQ(facts[0].kind, "cell-created");
    EXPECT_EQ(facts[0].cell, "demo");
    const auto inbound = bench.console->next_frame(SteadyClock::now() + 1s);
    ASSERT_TRUE(inbound);
    EXPECT_EQ(inbound->id, 7u);
    EXPECT_EQ(drain(bench.console->tee()), "Created cell \"demo\"\r\n");
}

// The agent's part of what a console counted, and nobody's.
std::pair<std::uint64_t, std::uint64_t> agents_and_nobodys(const Console& console) {
    const auto text = console.counts().text;
    return {text[static_cast<std::size_t>(Writer::agent)], text[static_cast<std::size_t>(Writer::unattributed)]};
}

TEST(Console, RemainsOfDamagedFramesAreTheAgentsAndHideNobodysLine) {
    ConsoleOptions options;
    options.lines = true;
    Bench bench(options);
    const std::string remains = a_frame(8).substr(1); // its start was lost
    bench.say(a_frame(7) + remains + "[   12.345678] cpu 3: on\r\n" + remains + "\r\ninmate: hello\r\n");
    const auto lines = bench.wait_for<LineEvent>(3);
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0].writer, Writer::kernel);
    EXPECT_EQ(lines[0].text, remains + "[   12.345678] cpu 3: on") << "shown as it came";
    EXPECT_EQ(lines[1].writer, Writer::agent);
    EXPECT_EQ(lines[2].writer, Writer::unattributed);
    EXPECT_EQ(agents_and_nobodys(*bench.console), std::pair(2 * remains.size() + 1, sizeof "inmate: hello"));
}

// On a line of seven bits a damaged frame is text, and somebody's "~{" looks like the beginning of one.
TEST(Console, RemainsInSevenBitsAreTheAgentsAsFarAsItSpeaks) {
    std::string damaged = a_frame(8, frame::Lane::plain);
    damaged[10] = '!' == damaged[10] ? '#' : '!';
    for (const bool spoken : {true, false}) {
        Bench bench;
        bench.say((spoken ? a_frame(7, frame::Lane::plain) : std::string()) + damaged + "\r\ninmate: ~{x} hello\r\n");
        EXPECT_TRUE(bench.console->wait_quiet(400ms, 3s));
        const std::size_t theirs = spoken ? 0 : damaged.size();
        const std::size_t remains = spoken ? damaged.size() : 0;
        EXPECT_EQ(agents_and_nobodys(*bench.console),
                  std::pair(remains + 4 * spoken, theirs + 1 + sizeof "inmate: ~{x} hello" - 4 * spoken))
            << "the inmate's \"~{x}\" counts as well: nothing tells it from a frame's remains";
    }
}

TEST(Console, HighCharactersAreNobodysWhereNoAgentSpeaksOrTooMany) {
    const std::string rubbish = a_frame(8).substr(1) + "\n";
    std::string much;
    while (much.size() < 40'000) {
        much += rubbish;
    }
    for (const std::string& frames : {std::string(), a_frame(7), a_frame(7) + a_frame(8) + a_frame(9) + a_frame(10)}) {
        Bench bench;
        bench.say(frames + much);
        EXPECT_TRUE(bench.console->wait_quiet(400ms, 3s));
        const auto [agents, nobodys] = agents_and_nobodys(*bench.console);
        EXPECT_EQ(agents + nobodys, much.size());
        EXPECT_LE(agents, frames.empty() ? 0 : AgentRemains::kAtMost * 21 / 20) << "line ends counted";
        EXPECT_GE(agents, frames.empty() ? 0 : AgentRemains::kPerFrame);
    }
}

TEST(Console, ShowsAPromptThatHasNoLineEnd) {
    ConsoleOptions options;
    options.lines = true;
    Bench bench(options);
    bench.say("hil# ");
    const auto lines = bench.wait_for<LineEvent>(1);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].text, "hil# ");
    EXPECT_FALSE(lines[0].whole);
}

TEST(Console, GivesBackATildeThatBeganNoFrame) {
    Bench bench;
    bench.say("root@board:~{abc");
    EXPECT_TRUE(bench.console->wait_quiet(600ms, 3s));
    EXPECT_EQ(drain(bench.console->tee()), "root@board:~{abc");
}

TEST(Console, DecodesATrapThatAFrameWasSplicedInto) {
    Bench bench;
    const std::string frame = a_frame(1);
    bench.say("Unhandled data read at 0x9000018(4)\r\n\r\nFATAL: unhandled trap (exception class 0x24)\r\n"
              "Cell state before exception:\r\n"
              " pc: 00000000000054c4   lr: 0000000000" +
              frame +
              "0048bc spsr: 60000005     EL1\r\n"
              " sp: 0000000000006e30  elr: 00000000000054c4  esr: 24 1 1810006\r\n\r\n"
              "Parking CPU 1 (Cell: \"inmate-demo\")\r\n");
    const auto traps = bench.wait_for<TrapEvent>(1);
    ASSERT_EQ(traps.size(), 1u);
    EXPECT_EQ(traps[0].address, 0x9000018u);
    EXPECT_EQ(traps[0].cell, "inmate-demo");
    EXPECT_EQ(traps[0].pc, 0x54c4u);
}

TEST(Console, FlushesATrapWhoseEndIsMissing) {
    Bench bench;
    bench.say("Unhandled data write at 0x1c2006c(4)\r\n\r\nFATAL: unhandled trap (exception class 0x24)\r\n");
    const auto end = SteadyClock::now() + 2s;
    while (bench.console->counts().bytes < 80 && SteadyClock::now() < end) {
        std::this_thread::sleep_for(2ms);
    }
    bench.console->flush_traps(2s);
    EXPECT_EQ(bench.wait_for<TrapEvent>(1, 10ms).size(), 1u);
}

TEST(Console, ReadsOnWhenNobodyReadsTheTee) {
    Bench bench;
    const std::string line = "inmate: counting up and up without a delay\r\n";
    std::string flood;
    while (flood.size() < (4u << 20)) {
        flood += line;
    }
    bench.say(flood);
    bench.say("Parking CPU 1 (Cell: \"flood\")\r\n");
    const auto facts = bench.wait_for<LifecycleEvent>(1);
    ASSERT_EQ(facts.size(), 1u) << "the flood hid what came after it";
    EXPECT_GT(bench.console->counts().tee_dropped, 1u << 20);
}

TEST(Console, WritesAllAndSaysWhenItCannot) {
    Bench bench;
    std::string got;
    const std::string much(1u << 20, 'w');
    std::thread machine([&] {
        std::array<char, 65536> buffer{};
        while (got.size() < much.size()) {
            const ssize_t count = ::read(bench.machine.get(), buffer.data(), buffer.size());
            if (count <= 0) {
                break;
            }
            got.append(buffer.data(), static_cast<std::size_t>(count));
        }
    });
    EXPECT_TRUE(bench.console->write(much, 5s));
    machine.join();
    EXPECT_EQ(got, much);

    const Status stuck = bench.console->write(std::string(16u << 20, 'x'), 200ms); // nobody reads now
    ASSERT_FALSE(stuck);
    EXPECT_NE(stuck.error().message.find("left over"), std::string::npos);
    bench.machine.reset();
    (void)bench.wait_for<LinkEvent>(2);
    EXPECT_FALSE(bench.console->write(std::string_view("x"), 1s));
}

TEST(Console, WritesNoFasterThanAsked) {
    ConsoleOptions options;
    options.bytes_per_ms = 10;
    Bench bench(options);
    const auto begin = SteadyClock::now();
    for (int i = 0; i < 10; ++i) { // the machine reads now and then: a socket takes few pieces as small as these
        EXPECT_TRUE(bench.console->write(std::string(200, 'x'), 5s));
        std::array<char, 200> buffer{};
        EXPECT_EQ(::recv(bench.machine.get(), buffer.data(), buffer.size(), MSG_WAITALL), 200);
    }
    EXPECT_GE(SteadyClock::now() - begin, 180ms);
}

TEST(Console, TellsHowTheLineEnded) {
    Bench bench;
    bench.say("last words");
    bench.machine.reset();
    const auto links = bench.wait_for<LinkEvent>(2);
    ASSERT_EQ(links.size(), 2u);
    EXPECT_EQ(links[0].link, Link::open);
    EXPECT_EQ(links[1].link, Link::lost);
    EXPECT_EQ(bench.console->link().link, Link::lost);
    EXPECT_EQ(drain(bench.console->tee()), "last words");
    EXPECT_EQ(bench.console->tail(), "last words");
    bench.console->close();
}

TEST(Console, ComesBackWhenTheLineDoes) {
    const Directory directory;
    ConsoleOptions options;
    options.stream = "unix-listen:" + directory.path + "/line";
    options.reconnect = true;
    auto console = Console::create(options);
    ASSERT_TRUE(console);
    for (int life = 0; life < 3; ++life) {
        auto source = make_stream_source("unix:" + directory.path + "/line");
        auto machine = (*source)->open();
        ASSERT_TRUE(machine);
        ASSERT_TRUE((*console)->wait_open(3s));
        const std::string words = "life " + std::to_string(life);
        (void)(*machine)->write(words);
        const auto end = SteadyClock::now() + 3s;
        while ((*console)->tail().find(words) == std::string::npos && SteadyClock::now() < end) {
            std::this_thread::sleep_for(2ms);
        }
        EXPECT_NE((*console)->tail().find(words), std::string::npos);
        machine = Error{""};
        while ((*console)->link().link == Link::open && SteadyClock::now() < end) {
            std::this_thread::sleep_for(2ms);
        }
    }
}

TEST(Console, GivesUpConnectingAtItsLimit) {
    ConsoleOptions options;
    options.stream = "unix:/nonexistent/line";
    options.connect_limit = 200ms;
    auto console = Console::create(options);
    ASSERT_TRUE(console);
    const Status open = (*console)->wait_open(5s);
    ASSERT_FALSE(open);
    EXPECT_NE(open.error().message.find("/nonexistent/line"), std::string::npos);
}

TEST(Console, FullDiskIsANoteAndReadingGoesOn) {
    ConsoleOptions options;
    options.raw_path = "/dev/full";
    options.times_path = "/dev/null";
    Bench bench(options);
    bench.say("Activating hypervisor\r\n");
    std::vector<NoteEvent> notes;
    std::vector<LifecycleEvent> facts;
    const auto end = SteadyClock::now() + 3s;
    while ((notes.empty() || facts.empty()) && SteadyClock::now() < end) {
        for (auto& event : bench.console->poll(50ms)) {
            if (auto* note = std::get_if<NoteEvent>(&event.what)) {
                notes.push_back(*note);
            } else if (auto* fact = std::get_if<LifecycleEvent>(&event.what)) {
                facts.push_back(*fact);
            }
        }
    }
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].text.find("No space left"), std::string::npos);
    EXPECT_EQ(facts.size(), 1u);
}

TEST(Console, LogThatCannotBeWrittenIsRefused) {
    ConsoleOptions options;
    options.stream = "unix:/x";
    options.raw_path = "/nonexistent/console.raw";
    options.times_path = "/nonexistent/console.times";
    EXPECT_FALSE(Console::create(options));
}

TEST(Console, WaitsForQuiet) {
    Bench bench;
    std::atomic<bool> stop = false;
    std::thread chatter([&] {
        while (!stop) {
            bench.say("busy\r\n");
            std::this_thread::sleep_for(10ms);
        }
    });
    EXPECT_FALSE(bench.console->wait_quiet(150ms, 500ms));
    stop = true;
    chatter.join();
    EXPECT_TRUE(bench.console->wait_quiet(150ms, 3s));
}

TEST(Console, EveryWaitCanBeInterrupted) {
    Bench bench;
    const auto begin = SteadyClock::now();
    const Interrupted now = [] { return true; };
    EXPECT_TRUE(bench.console->poll(1ms).size() <= 1); // the link's event
    EXPECT_TRUE(bench.console->poll(20s, now).empty());
    EXPECT_FALSE(bench.console->wait_quiet(20s, 20s, now));
    EXPECT_FALSE(bench.console->write(std::string(16u << 20, 'x'), 20s, now));
    EXPECT_LT(SteadyClock::now() - begin, 5s);
}

} // namespace

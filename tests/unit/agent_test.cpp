// SPDX-License-Identifier: Apache-2.0
// The agent's client against the real agent, a process on a pty, through a clean line and through chaos.
#include "hil/lib/agent_client.hpp"
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "hil/lib/chaos_proxy.hpp"
#include "tests/unit/random_bytes.hpp"

namespace {

using namespace hil;
using namespace std::chrono_literals;
using agent::Ending;
using test::random_bytes;

struct Directory {
    std::string path = testing::TempDir() + "hil-agent-" + std::to_string(getpid());
    Directory() { std::filesystem::create_directories(path); }
    ~Directory() { std::filesystem::remove_all(path); }
};

std::string content_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

pid_t start_agent(int terminal) {
    const pid_t pid = fork();
    if (pid == 0) {
        setsid();
        dup2(terminal, 0);
        dup2(terminal, 1);
        execl(HIL_AGENT_PATH, "hil-agent", nullptr);
        _exit(126);
    }
    return pid;
}

// The agent on the inner end of a pty whose outer end is the console's line. More agents may follow on the same pty.
struct Bench {
    FileDescriptor terminal; // kept open: the line outlives the agent, as a shell would make it
    std::unique_ptr<Console> console;
    std::unique_ptr<AgentClient> client;
    pid_t pid = -1;

    // `between` takes the terminal's outer end and gives what the console opens instead.
    explicit Bench(
        const std::string& chaos = "", AgentOptions agent_options = {},
        const std::function<int(int)>& between = [](int master) { return master; }) {
        int master = -1;
        int slave = -1;
        EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
        terminal = FileDescriptor(slave);
        ConsoleOptions options;
        options.stream = "fd:" + std::to_string(between(master));
        if (!chaos.empty()) {
            options.chaos = *parse_chaos(chaos);
        }
        start();
        console = std::move(Console::create(options)).value();
        ::close(master);
        EXPECT_TRUE(console->wait_open(2s));
        client = std::make_unique<AgentClient>(*console, agent_options);
    }

    ~Bench() {
        if (pid > 0) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }

    void start() { pid = start_agent(terminal.get()); }

    int wait_for_exit() {
        int status = -1;
        for (int i = 0; i < 400 && ::waitpid(pid, &status, WNOHANG) == 0; ++i) {
            std::this_thread::sleep_for(10ms);
        }
        pid = -1;
        return status;
    }

    AgentAnswer shell(const std::string& line, std::chrono::milliseconds limit = 30s) {
        auto answer = client->run({{line}, true, limit, {}});
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? *answer : AgentAnswer{Ending::refused, -1, false, "", ""};
    }
};

class AgentOnCleanLine : public testing::Test {
  protected:
    Bench bench;
    void SetUp() override {
        const auto info = bench.client->hello(5s);
        ASSERT_TRUE(info) << info.error().message;
        EXPECT_EQ(info->version, agent::kProtocolVersion);
        EXPECT_EQ(info->lane, frame::Lane::high);
    }
};

TEST_F(AgentOnCleanLine, RunsCommandsAndKeepsTheirStreamsApart) {
    const AgentAnswer answer = bench.shell("echo out; echo err >&2; exit 3");
    EXPECT_EQ(answer.ending, Ending::exited);
    EXPECT_EQ(answer.code, 3);
    EXPECT_EQ(answer.out, "out\n");
    EXPECT_EQ(answer.err, "err\n");
    const auto words = bench.client->run({{"printf", "%s|", "a b", "$HOME", ";", ""}, false, 5s, {}});
    ASSERT_TRUE(words);
    EXPECT_EQ(words->out, "a b|$HOME|;||");
    EXPECT_EQ(bench.client->counts().damaged, 0u);
}

TEST_F(AgentOnCleanLine, SaysWhyACommandEnded) {
    EXPECT_EQ(bench.shell("kill -9 $$").ending, Ending::signalled);
    const AgentAnswer late = bench.shell("echo before; sleep 20", 300ms);
    EXPECT_EQ(late.ending, Ending::timed_out);
    EXPECT_EQ(late.out, "before\n");
    const auto begin = SteadyClock::now();
    const AgentAnswer stubborn = bench.shell("trap '' TERM; sleep 20 & wait; wait; sleep 20", 200ms); // takes SIGKILL
    EXPECT_EQ(stubborn.ending, Ending::timed_out);
    EXPECT_EQ(stubborn.code, SIGKILL);
    EXPECT_LT(SteadyClock::now() - begin, 6s);
    const auto missing = bench.client->run({{"/no/such/program"}, false, 5s, {}});
    ASSERT_TRUE(missing);
    EXPECT_EQ(missing->ending, Ending::refused);
    EXPECT_EQ(missing->code, ENOENT);
    EXPECT_NE(missing->err.find("/no/such/program"), std::string::npos);
}

TEST_F(AgentOnCleanLine, IsNotHeldUpByWhatACommandLeavesRunning) {
    const auto begin = SteadyClock::now();
    EXPECT_EQ(bench.shell("echo started; sleep 5 &").out, "started\n");
    EXPECT_LT(SteadyClock::now() - begin, 3s);
}

TEST_F(AgentOnCleanLine, CarriesLongOutputsWhole) {
    const AgentAnswer answer =
        bench.shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo end >&2");
    std::string expected;
    for (int i = 0; i < 20000; ++i) {
        expected += "line " + std::to_string(i) + "\n";
    }
    EXPECT_EQ(answer.out, expected);
    EXPECT_EQ(answer.err, "end\n");
}

TEST_F(AgentOnCleanLine, ShowsOutputWhileTheCommandRuns) {
    std::string live;
    auto first = SteadyClock::time_point::max();
    const AgentCommand command{{"echo early; sleep 2.5; echo late"}, true, 10s, [&](int, std::string_view bytes) {
                                   first = std::min(first, SteadyClock::now());
                                   live += bytes;
                               }};
    const auto answer = bench.client->run(command);
    const auto took = SteadyClock::now() - first;
    ASSERT_TRUE(answer);
    EXPECT_EQ(live, "early\nlate\n");
    EXPECT_EQ(answer->out, live);
    EXPECT_GT(took, 800ms) << "the first bytes came only at the end";
}

TEST_F(AgentOnCleanLine, MovesFilesBothWays) {
    const Directory directory;
    for (const std::size_t size : {0u, 1u, 1023u, 300'000u}) {
        const std::string path = directory.path + "/file";
        const std::string bytes = random_bytes(size, 1);
        ASSERT_TRUE(bench.client->write_file(path, bytes, 0750));
        EXPECT_EQ(content_of(path), bytes);
        EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(path).permissions()), 0750u);
        const auto back = bench.client->read_file(path);
        ASSERT_TRUE(back) << back.error().message;
        EXPECT_EQ(*back, bytes);
    }
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path), {}), 1)
        << "a part file was left behind";
    EXPECT_EQ(*bench.client->read_file("/proc/self/comm"), "hil-agent\n");
    const auto online = bench.client->read_file("/sys/devices/system/cpu/online"); // says 4096 bytes of itself
    ASSERT_TRUE(online);
    EXPECT_EQ(online->back(), '\n');
    for (const char* path : {"/no/such/file", "/", "/dev/zero"}) {
        const auto refused = bench.client->read_file(path);
        ASSERT_FALSE(refused) << path;
        EXPECT_NE(refused.error().message.find(path), std::string::npos);
    }
    EXPECT_FALSE(bench.client->write_file("/no/such/directory/file", "x", 0644));
    EXPECT_TRUE(bench.client->write_file("/dev/null", "x", 0644)) << "a device is written, not replaced";
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(AgentOnCleanLine, GivesTheTerminalBackWithBye) {
    termios settings{};
    ASSERT_EQ(tcgetattr(bench.terminal.get(), &settings), 0);
    EXPECT_EQ(settings.c_lflag & (ECHO | ISIG), 0u) << "nothing is echoed or acted on while the agent is there";
    ASSERT_TRUE(bench.client->bye(3s));
    EXPECT_EQ(bench.wait_for_exit(), 0);
    ASSERT_EQ(tcgetattr(bench.terminal.get(), &settings), 0);
    EXPECT_NE(settings.c_lflag & ICANON, 0u);
    EXPECT_NE(settings.c_lflag & ECHO, 0u);
    EXPECT_EQ(settings.c_cc[VEOL], _POSIX_VDISABLE);
    EXPECT_EQ(fcntl(bench.terminal.get(), F_GETFL) & O_NONBLOCK, 0) << "the shell would read EAGAIN";
    EXPECT_FALSE(bench.client->run({{"true"}, true, 1s, {}})) << "no session any more";
}

TEST_F(AgentOnCleanLine, GivesTheTerminalBackAtCtrlCThreeTimes) {
    ASSERT_TRUE(bench.console->write(std::string_view("\x03\x03"), 1s));
    EXPECT_EQ(bench.shell("echo two are not enough").out, "two are not enough\n");
    ASSERT_TRUE(bench.console->write(std::string_view("\x03\x03\x03"), 1s));
    EXPECT_EQ(bench.wait_for_exit(), 0);
}

TEST_F(AgentOnCleanLine, HearsCtrlCBehindHalfAFrame) {
    ASSERT_TRUE(bench.console->write(std::string_view("\xfe\xfbhalf a frame\x03\x03\x03"), 1s));
    EXPECT_EQ(bench.wait_for_exit(), 0);
}

// What a frame's characters may be, and what a terminal could do to them: each has to arrive as it is.
TEST_F(AgentOnCleanLine, NothingThatIsTypedBetweenFramesHarmsTheNext) {
    std::string everything;
    for (int value = 0; value < 256; ++value) {
        everything += value == '\x03' ? ' ' : static_cast<char>(value);
    }
    const std::string endless(9000, 'x'); // more than a terminal keeps of a line without an end
    for (const std::string& typed : {everything, everything + everything, endless + "\n", endless + "\xfd"}) {
        ASSERT_TRUE(bench.console->write(typed, 1s));
        EXPECT_EQ(bench.shell("echo still right").out, "still right\n");
    }
}

TEST_F(AgentOnCleanLine, GivesTheTerminalBackAtSigterm) {
    ::kill(bench.pid, SIGTERM);
    const int status = bench.wait_for_exit();
    EXPECT_EQ(WEXITSTATUS(status), 128 + SIGTERM);
    termios settings{};
    ASSERT_EQ(tcgetattr(bench.terminal.get(), &settings), 0);
    EXPECT_NE(settings.c_lflag & ICANON, 0u);
}

TEST_F(AgentOnCleanLine, KilledInACommandIsAnErrorAndNeverAnAnswer) {
    AgentOptions options;
    options.silence = 1500ms;
    options.heartbeat = 200ms;
    AgentClient impatient(*bench.console, options);
    ASSERT_TRUE(impatient.hello(3s));
    std::thread killer([&] {
        std::this_thread::sleep_for(300ms);
        ::kill(bench.pid, SIGKILL);
    });
    const auto answer = impatient.run({{"sleep 30"}, true, 60s, {}});
    killer.join();
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message.find("silent"), std::string::npos) << answer.error().message;
}

TEST_F(AgentOnCleanLine, ReplacedInACommandIsAnErrorAndTheCommandIsNotRunAgain) {
    const Directory directory;
    const std::string log = directory.path + "/runs";
    std::thread replacer([&] {
        std::this_thread::sleep_for(400ms);
        ::kill(bench.pid, SIGKILL);
        ::waitpid(bench.pid, nullptr, 0);
        bench.start();
    });
    const auto answer = bench.client->run({{"echo run >>" + log + "; sleep 30"}, true, 60s, {}});
    replacer.join();
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message.find("unknown"), std::string::npos) << answer.error().message;
    std::this_thread::sleep_for(300ms);
    EXPECT_EQ(content_of(log), "run\n");
}

TEST_F(AgentOnCleanLine, InterruptedCommandIsKilled) {
    const Directory directory;
    const std::string mark = directory.path + "/survived";
    const auto begin = SteadyClock::now();
    const auto answer = bench.client->run({{"sleep 1; touch " + mark}, true, 60s, {}},
                                          [&] { return SteadyClock::now() - begin > 300ms; });
    EXPECT_FALSE(answer);
    EXPECT_LT(SteadyClock::now() - begin, 900ms);
    std::this_thread::sleep_for(1200ms);
    EXPECT_FALSE(std::filesystem::exists(mark));
    EXPECT_EQ(bench.shell("echo still there").out, "still there\n");
}

TEST_F(AgentOnCleanLine, NewControllerTakesOver) {
    AgentClient next(*bench.console);
    ASSERT_TRUE(next.hello(3s));
    const auto answer = next.run({{"echo mine"}, true, 5s, {}});
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->out, "mine\n");
    EXPECT_FALSE(bench.client->run({{"echo old"}, true, 5s, {}})) << "the old session is over";
}

// Speaks to an agent frame by frame.
struct ByHand {
    static constexpr std::uint32_t kTag = 0x123u << agent::kCounterBits;
    Console& console;

    void say(frame::Type type, std::uint8_t flags, std::uint32_t id, std::uint32_t offset,
             std::string_view payload) const {
        std::array<char, frame::kMaxText> text{};
        const frame::Frame frame{
            type, flags, id, offset, {reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()}};
        ASSERT_TRUE(console.write({text.data(), frame::encode(frame, frame::Lane::high, text)}, 1s));
    }
    void hello() const {
        std::string payload(12, '\0');
        payload[7] = '\x12'; // a session's tag is the upper twelve bits of its nonce
        payload[6] = '\x30';
        payload[8] = '\x7f';
        say(frame::Type::hello, 0, kTag, 0, payload);
    }
};

// What a line does that doubles everything, minutes later too.
TEST_F(AgentOnCleanLine, RunsARequestOnceHoweverOftenItComes) {
    const Directory directory;
    const std::string log = directory.path + "/runs";
    const ByHand hand{*bench.console};
    constexpr std::uint32_t tag = ByHand::kTag;
    const auto answer = [&](std::uint32_t id, agent::Phase phase) {
        const auto end = SteadyClock::now() + 5s;
        while (const auto frame = bench.console->next_frame(end)) {
            if (!frame->damaged && frame->type == frame::Type::state && frame->id == id &&
                agent::unpack(frame->payload).phase == phase) {
                return true;
            }
        }
        return false;
    };
    const std::string argument =
        std::string("\x01\x00\x00\x00\x00\x01", 6) + "echo run >>" + log + std::string(1, '\0');
    const std::string request = agent::packed(argument, 6);
    hand.hello();
    for (int i = 0; i < 5; ++i) {
        hand.say(frame::Type::put, agent::kLast, tag | 5, 0, request);
    }
    EXPECT_TRUE(answer(tag | 5, agent::Phase::done));
    hand.say(frame::Type::put, agent::kLast, tag | 5, 0, request);
    EXPECT_TRUE(answer(tag | 5, agent::Phase::done)) << "the kept answer";
    hand.hello(); // doubled as well: the same session
    hand.say(frame::Type::drop, 0, tag | 5, 0, "");
    hand.say(frame::Type::put, agent::kLast, tag | 5, 0, request);
    EXPECT_TRUE(answer(tag | 5, agent::Phase::unknown)) << "dropped, yet not run again";
    hand.say(frame::Type::put, agent::kLast, tag | 3, 0, request);
    EXPECT_TRUE(answer(tag | 3, agent::Phase::unknown)) << "older than one that ran";
    hand.say(frame::Type::put, agent::kLast, (0x124u << agent::kCounterBits) | 9, 0, request);
    EXPECT_TRUE(answer((0x124u << agent::kCounterBits) | 9, agent::Phase::unknown)) << "of another session";
    EXPECT_EQ(content_of(log), "run\n");
}

// Pieces grow while the first file is sent: an answer that leaves room for half a piece must not make half pieces for
// good. On a good line two pieces have one answer.
TEST_F(AgentOnCleanLine, SendsTheFirstFileInWholePiecesAndHearsAnAnswerToTwo) {
    const Directory directory;
    const std::string bytes = random_bytes(50'000, 11);
    const std::uint64_t sent = bench.client->counts().sent;
    const std::uint64_t heard = bench.console->counts().frames;
    const Status written = bench.client->write_file(directory.path + "/file", bytes, 0600);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(content_of(directory.path + "/file"), bytes);
    EXPECT_EQ(bench.client->piece(), frame::kMaxPayload);
    EXPECT_LE(bench.client->counts().sent - sent, 60u);
    EXPECT_LE(bench.console->counts().frames - heard, 35u);
}

// A piece in turn 0 is answered where something is amiss, and only there.
TEST_F(AgentOnCleanLine, SaysNothingOfAPieceThatNeedsNoAnswer) {
    const ByHand hand{*bench.console};
    const auto put = [&](std::uint8_t flags, std::uint32_t offset, std::string_view bytes) {
        hand.say(frame::Type::put, flags, ByHand::kTag | 1, offset, bytes);
    };
    const auto heard = [&] {
        std::vector<std::pair<unsigned, std::uint32_t>> states; // turn, bytes that are there
        for (const auto end = SteadyClock::now() + 300ms; const auto frame = bench.console->next_frame(end);) {
            if (frame->type == frame::Type::state) {
                states.emplace_back(agent::turn_of(frame->flags), frame->offset);
            }
        }
        return states;
    };
    using States = std::vector<std::pair<unsigned, std::uint32_t>>;
    hand.hello();
    put(0, 0, "abc");
    EXPECT_EQ(heard(), States{}) << "the next one";
    put(agent::in_turn(4), 3, "de");
    EXPECT_EQ(heard(), (States{{4, 5}})) << "an answer is wanted";
    put(0, 3, "de");
    EXPECT_EQ(heard(), (States{{0, 5}})) << "it was there already";
    put(0, 7, "gh");
    EXPECT_EQ(heard(), (States{{0, 5}})) << "one before it lacks";
    put(agent::kLast, 5, "f");
    EXPECT_FALSE(heard().empty()) << "the last one";
}

// The end of a command is told again until the controller knows it; a question that was said twice is heeded once.
TEST_F(AgentOnCleanLine, TellsTheEndUntilItIsKnownAndAnswersATurnOnce) {
    const ByHand hand{*bench.console};
    constexpr std::uint32_t id = ByHand::kTag | 1;
    struct Heard {
        unsigned ends = 0;   // states of a command that is done
        unsigned pieces = 0; // of its output
        unsigned turns = 0;  // of frames that answer
    };
    const auto hear = [&](std::chrono::milliseconds time) {
        Heard heard;
        for (const auto end = SteadyClock::now() + time; const auto frame = bench.console->next_frame(end);) {
            const bool state = frame->type == frame::Type::state;
            heard.ends += state && agent::unpack(frame->payload).phase == agent::Phase::done ? 1 : 0;
            heard.pieces += frame->type == frame::Type::data ? 1 : 0;
            heard.turns += frame->type == frame::Type::data ? agent::turn_of(frame->flags) : 0;
        }
        return heard;
    };
    const std::string get("\x40\0\0\0\x20\0", 6); // 64 bytes in pieces of 32
    hand.hello();
    const std::string argument = std::string("\x01\0\0\0\0\x01", 6) + "seq 2000" + std::string(1, '\0');
    hand.say(frame::Type::put, agent::kLast, id, 0, agent::packed(argument, 6));
    EXPECT_GE(hear(1200ms).ends, 2u) << "said again, as nobody has answered";
    hand.say(frame::Type::get, agent::in_turn(3), id, 0, get);
    hand.say(frame::Type::get, agent::in_turn(3), id, 0, get);
    const Heard unknown = hear(2500ms);
    EXPECT_EQ(std::pair(unknown.pieces, unknown.turns), std::pair(2u, 6u));
    EXPECT_GE(unknown.ends, 1u) << "asking for output does not mean to know of the end";
    hand.say(frame::Type::get, agent::in_turn(4) | agent::kDoneKnown, id, 0, get);
    const Heard known = hear(2500ms);
    EXPECT_EQ(std::pair(known.pieces, known.ends), std::pair(2u, 0u));
}

enum class Eighth {
    kept,
    cleared,   // bit 7 of each byte is lost
    swallowed, // each byte that has it is lost
};

struct Ways {
    Eighth to;
    Eighth from;
};

// A line that carries seven bits, one way or both ways.
struct SevenBits {
    Ways ways;
    FileDescriptor machine; // the terminal's outer end
    FileDescriptor user;
    FileDescriptor given; // what the console opens
    std::atomic<bool> stop = false;
    std::thread thread;

    SevenBits(int master, Ways how) : ways(how), machine(dup(master)) {
        std::array<int, 2> ends{};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        user = FileDescriptor(ends[0]);
        given = FileDescriptor(ends[1]);
        (void)std::signal(SIGPIPE, SIG_IGN); // the console may close first
        thread = std::thread([this] { carry(); });
    }
    ~SevenBits() {
        stop = true;
        thread.join();
    }

    static void pass_on(int from, int to, Eighth eighth) {
        std::array<char, 4096> bytes{};
        const ssize_t count = ::read(from, bytes.data(), bytes.size());
        std::string carried;
        for (ssize_t i = 0; i < count; ++i) {
            const char byte = bytes[static_cast<std::size_t>(i)];
            if ((byte & 0x80) == 0 || eighth != Eighth::swallowed) {
                carried.push_back(static_cast<char>(eighth == Eighth::kept ? byte : byte & 0x7f));
            }
        }
        for (std::size_t done = 0; done < carried.size();) {
            const ssize_t sent = ::write(to, carried.data() + done, carried.size() - done);
            if (sent <= 0) {
                return;
            }
            done += static_cast<std::size_t>(sent);
        }
    }
    void carry() const {
        while (!stop) {
            std::array<pollfd, 2> polled = {pollfd{machine.get(), POLLIN, 0}, pollfd{user.get(), POLLIN, 0}};
            (void)::poll(polled.data(), polled.size(), 20);
            if ((polled[0].revents & POLLIN) != 0) {
                pass_on(machine.get(), user.get(), ways.from);
            }
            if ((polled[1].revents & POLLIN) != 0) {
                pass_on(user.get(), machine.get(), ways.to);
            }
        }
    }
};

class AgentInSevenBits : public testing::TestWithParam<Ways> {};

TEST_P(AgentInSevenBits, AnswersAndCarriesFilesBothWays) {
    std::unique_ptr<SevenBits> line; // outlives the console
    Bench bench("", {}, [&line](int master) {
        line = std::make_unique<SevenBits>(master, GetParam());
        return line->given.get();
    });
    const auto info = bench.client->hello(20s);
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(info->lane, frame::Lane::plain) << "as it arrives, however it was sent";
    for (int i = 0; i < 20; ++i) {
        const AgentAnswer answer = bench.shell("echo out " + std::to_string(i) + "; echo err >&2; exit 3");
        EXPECT_EQ(std::tuple(answer.code, answer.out, answer.err),
                  std::tuple(3, "out " + std::to_string(i) + "\n", std::string("err\n")));
    }
    const Directory directory;
    const std::string path = directory.path + "/file";
    const std::string bytes = random_bytes(20'000, 7);
    const auto put = bench.client->write_file(path, bytes, 0644);
    ASSERT_TRUE(put) << put.error().message;
    EXPECT_EQ(content_of(path), bytes) << "all eight bits of it";
    const auto got = bench.client->read_file(path);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(*got, bytes);
    EXPECT_EQ(bench.client->counts().damaged, 0u);
}

constexpr std::array kSevenBits = {
    Ways{Eighth::cleared, Eighth::cleared}, Ways{Eighth::swallowed, Eighth::swallowed},
    Ways{Eighth::cleared, Eighth::kept},    Ways{Eighth::kept, Eighth::cleared},
    Ways{Eighth::swallowed, Eighth::kept},  Ways{Eighth::kept, Eighth::swallowed},
};

std::string name_of(const testing::TestParamInfo<Ways>& ways) {
    const std::array names = {"kept", "cleared", "swallowed"};
    return std::string("to_") + names[static_cast<std::size_t>(ways.param.to)] + "_from_" +
           names[static_cast<std::size_t>(ways.param.from)];
}

INSTANTIATE_TEST_SUITE_P(Lines, AgentInSevenBits, testing::ValuesIn(kSevenBits), name_of);

// Answers each hello as an agent of another version would: in the form of hello and welcome, which stays as it is.
struct OtherVersion {
    FileDescriptor line;
    std::uint32_t version;
    frame::Lane lane = frame::Lane::high;

    void text(std::span<const char>) {}
    void damaged(frame::Lane, std::size_t) {}
    void frame(const frame::Frame& frame, frame::Lane) const {
        ASSERT_EQ(frame.type, frame::Type::hello);
        std::array<std::uint8_t, 20> payload{};
        frame::put_u32(payload.data(), version);
        std::copy_n(frame.payload.begin(), 8, payload.begin() + 12);
        std::array<char, frame::kMaxText> text{};
        const std::size_t length = frame::encode({frame::Type::welcome, 0, frame.id, 0, payload}, lane, text);
        ASSERT_EQ(::write(line.get(), text.data(), length), static_cast<ssize_t>(length));
    }
    void serve() {
        frame::Decoder decoder;
        std::array<char, 4096> bytes{};
        for (ssize_t count = 0; (count = ::read(line.get(), bytes.data(), bytes.size())) > 0;) {
            decoder.feed({bytes.data(), static_cast<std::size_t>(count)}, *this);
        }
    }
};

TEST(Agent, OfAnotherVersionIsToldByItsVersion) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    OtherVersion other{FileDescriptor(ends[0]), 1234};
    ConsoleOptions options;
    options.stream = "fd:" + std::to_string(ends[1]);
    auto console = std::move(Console::create(options)).value();
    ::close(ends[1]);
    ASSERT_TRUE(console->wait_open(2s));
    std::thread thread([&] { other.serve(); });
    const auto info = AgentClient(*console).hello(5s);
    console.reset();
    thread.join();
    ASSERT_FALSE(info);
    EXPECT_NE(info.error().message.find("version 1234"), std::string::npos) << info.error().message;
}

TEST(Agent, NobodyThere) {
    int master = -1;
    int slave = -1;
    ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    ConsoleOptions options;
    options.stream = "fd:" + std::to_string(master);
    auto console = std::move(Console::create(options)).value();
    ::close(master);
    ASSERT_TRUE(console->wait_open(2s));
    AgentClient client(*console);
    const auto info = client.hello(500ms);
    ASSERT_FALSE(info);
    EXPECT_NE(info.error().message.find("hil-agent"), std::string::npos);
    EXPECT_FALSE(client.run({{"true"}, true, 1s, {}}));
    ::close(slave);
}

// A thousand commands on a bad line: each answered once, with its own answer, and each run once.
struct Chaos {
    const char* name;
    const char* options;
    int commands;
    unsigned most = 0; // frames that may be sent for them; 0: any number
};
class AgentInChaos : public testing::TestWithParam<Chaos> {};

TEST_P(AgentInChaos, EveryCommandIsAnsweredOnceAndRight) {
    const Directory directory;
    const std::string log = directory.path + "/runs";
    Bench bench(GetParam().options);
    const auto info = bench.client->hello(20s);
    ASSERT_TRUE(info) << info.error().message;
    const auto begin = SteadyClock::now();
    std::string expected;
    for (int i = 0; i < GetParam().commands; ++i) {
        const std::string number = std::to_string(i);
        const std::string command =
            std::string("echo ").append(number).append(" >>").append(log).append(";echo o").append(number);
        const auto answer = bench.client->run({{command}, true, 30s, {}});
        ASSERT_TRUE(answer) << i << ": " << answer.error().message;
        ASSERT_EQ(answer->out, "o" + number + "\n");
        ASSERT_EQ(answer->code, 0);
        expected += number + "\n";
    }
    EXPECT_EQ(content_of(log), expected);
    const auto seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    const std::string bytes = random_bytes(3000, 2);
    const Status written = bench.client->write_file(directory.path + "/file", bytes, 0600);
    ASSERT_TRUE(written) << written.error().message;
    const auto back = bench.client->read_file(directory.path + "/file");
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, bytes);
    const AgentCounts counts = bench.client->counts();
    if (GetParam().most != 0) {
        EXPECT_LT(counts.sent, GetParam().most) << "each damaged answer made a question, to old questions too";
    }
    std::printf("%-12s %5d commands %6.2f s %6llu frames sent %6llu again %6llu damaged\n", GetParam().name,
                GetParam().commands, seconds, static_cast<unsigned long long>(counts.sent),
                static_cast<unsigned long long>(counts.resent), static_cast<unsigned long long>(counts.damaged));
}

// The agent behind a proxy with faults of which the console knows nothing.
struct FarBench {
    Directory directory;
    FileDescriptor terminal;
    FileDescriptor line;
    pid_t pid = -1;
    std::unique_ptr<ChaosProxy> proxy;
    std::atomic<bool> stop = false;
    std::thread thread;
    std::unique_ptr<Console> console;
    std::unique_ptr<AgentClient> client;

    explicit FarBench(const std::string& chaos) {
        int master = -1;
        int slave = -1;
        EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
        line = FileDescriptor(master);
        terminal = FileDescriptor(slave);
        pid = start_agent(slave);
        proxy = std::move(ChaosProxy::create("fd:" + std::to_string(master), "unix:" + directory.path + "/line",
                                             *parse_chaos(chaos)))
                    .value();
        thread = std::thread([this] { EXPECT_TRUE(proxy->serve([this] { return stop.load(); })); });
        ConsoleOptions options;
        options.stream = proxy->where();
        options.reconnect = true;
        console = std::move(Console::create(options)).value();
        EXPECT_TRUE(console->wait_open(2s));
        client = std::make_unique<AgentClient>(*console);
        const auto info = client->hello(10s);
        EXPECT_TRUE(info) << info.error().message;
    }

    ~FarBench() {
        client.reset();
        console.reset();
        stop = true;
        thread.join();
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
};

// The line goes away and comes back in the middle of commands: what was under way is asked for again.
TEST(Agent, OutlivesLinesThatComeBack) {
    FarBench bench("seed=8,disconnect=0.0003");
    const std::string log = bench.directory.path + "/runs";
    std::string expected;
    for (int i = 0; i < 200 && !HasFailure(); ++i) {
        const std::string number = std::to_string(i);
        const std::string command =
            std::string("echo ").append(number).append(" >>").append(log).append(";echo o").append(number);
        const auto answer = bench.client->run({{command}, true, 30s, {}});
        EXPECT_TRUE(answer) << i << ": " << answer.error().message;
        EXPECT_TRUE(!answer || answer->out == "o" + number + "\n");
        expected += number + "\n";
    }
    EXPECT_EQ(content_of(log), expected);
    bench.client.reset();
    bench.console.reset(); // the proxy counts a connection when it has ended
    EXPECT_GT(bench.proxy->counts().disconnects, 3u);
}

// Seconds that this many commands took, each answered right.
double answered(FarBench& bench, int commands) {
    const auto begun = SteadyClock::now();
    for (int i = 0; i < commands && !testing::Test::HasFailure(); ++i) {
        const auto answer = bench.client->run({{"echo o" + std::to_string(i)}, true, 30s, {}});
        EXPECT_TRUE(answer) << i << ": " << answer.error().message;
        EXPECT_TRUE(!answer || answer->out == "o" + std::to_string(i) + "\n");
    }
    return std::chrono::duration<double>(SteadyClock::now() - begun).count();
}

// A line that is lost every hundred bytes. That it was lost is known, and no reason to wait longer each time: such
// waits grew to two seconds, of which each command saw several.
TEST(Agent, AsksAgainAtOnceWhenTheLineWasLost) {
    double command = 0;
    {
        FarBench clean("");
        command = answered(clean, 100) / 100;
    }
    FarBench bench("seed=8,disconnect=0.01");
    const double seconds = answered(bench, 100);
    const auto losses = static_cast<double>(bench.console->losses());
    EXPECT_GT(losses, 100);
    EXPECT_LT(seconds / (losses + 100), command) << losses << " losses, each no dearer than a command";
}

// Nobody has said how slow the line is. What takes its time is not taken for lost: a line that harms nothing gets long
// pieces, and each of them once.
TEST(Agent, TakesASlowLineForSlowAndNotForBad) {
    FarBench bench("rate=8000");
    for (int i = 0; i < 30; ++i) { // small ones teach it short waits
        EXPECT_TRUE(bench.client->run({{"true"}, true, 30s, {}}));
    }
    const AgentCounts before = bench.client->counts();
    const std::string bytes = random_bytes(40'000, 9);
    const Status written = bench.client->write_file(bench.directory.path + "/file", bytes, 0600);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(content_of(bench.directory.path + "/file"), bytes);
    const AgentCounts& after = bench.client->counts();
    std::printf("slow: %llu frames sent, %llu again, pieces of %zu\n",
                static_cast<unsigned long long>(after.sent - before.sent),
                static_cast<unsigned long long>(after.resent - before.resent), bench.client->piece());
    EXPECT_LE(after.resent - before.resent, 2u) << "some, where the host is slow";
    EXPECT_GE(bench.client->piece(), 900u);
}

// A line of 115200 baud, 8N1: 11,520 bytes a second each way, behind a driver that takes 4 KiB at once. Nothing is
// asked for twice because the line is slow, and the line is busy with little but the bytes that have to go over it.
struct Slow {
    const char* name;
    const char* options;
    AgentOptions agent;
};
class AgentOnSlowLine : public testing::TestWithParam<Slow> {};

TEST_P(AgentOnSlowLine, LosesNothingAndWastesLittle) {
    const Directory directory;
    const std::string path = directory.path + "/file";
    const std::string bytes = random_bytes(12'000, 5);
    Bench bench(GetParam().options, GetParam().agent);
    const auto info = bench.client->hello(5s);
    ASSERT_TRUE(info) << info.error().message;
    const auto begin = SteadyClock::now();
    for (int i = 0; i < 20; ++i) {
        const std::string number = std::to_string(i);
        EXPECT_EQ(bench.shell("echo o" + number).out, "o" + number + "\n");
    }
    const AgentCounts small = bench.client->counts();
    ASSERT_TRUE(bench.client->write_file(path, bytes, 0600));
    EXPECT_EQ(content_of(path), bytes);
    const auto back = bench.client->read_file(path);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, bytes);
    const AgentAnswer output = bench.shell("i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done");
    EXPECT_EQ(output.out.size(), 8890u);
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    const AgentCounts counts = bench.client->counts();
    const ConsoleCounts line = bench.console->counts();
    std::printf("%-12s %6.2f s, %llu + %llu characters, %llu frames sent, %llu again (%llu small), %llu damaged\n",
                GetParam().name, seconds, static_cast<unsigned long long>(line.written),
                static_cast<unsigned long long>(line.bytes), static_cast<unsigned long long>(counts.sent),
                static_cast<unsigned long long>(counts.resent), static_cast<unsigned long long>(small.resent),
                static_cast<unsigned long long>(counts.damaged));
    EXPECT_EQ(counts.damaged, 0u);
    EXPECT_LE(counts.resent, 5u) << "some, where the host is slow; dozens, where the line's time is forgotten";
    EXPECT_LT(line.written, 30'000u);
    EXPECT_LT(line.bytes, 45'000u);
}

INSTANTIATE_TEST_SUITE_P(Lines, AgentOnSlowLine,
                         testing::Values(Slow{"baud_115200", "rate=11520", {}},
                                         Slow{"short_lines", "rate=11520,longest=200", {.longest_line = 200}}),
                         [](const auto& about) { return about.param.name; });

// Where nobody has said that the console drops long lines, the agent finds out.
TEST(Agent, LearnsThatTheConsoleDropsLongLines) {
    const Directory directory;
    Bench bench("rate=11520,longest=200");
    const auto info = bench.client->hello(5s);
    ASSERT_TRUE(info) << info.error().message;
    const std::string bytes = random_bytes(8'000, 6);
    const auto begin = SteadyClock::now();
    const Status written = bench.client->write_file(directory.path + "/file", bytes, 0600);
    ASSERT_TRUE(written) << written.error().message;
    EXPECT_EQ(content_of(directory.path + "/file"), bytes);
    std::printf("learning: %.2f s, %llu frames sent, %llu again, %llu damaged, %llu characters\n",
                std::chrono::duration<double>(SteadyClock::now() - begin).count(),
                static_cast<unsigned long long>(bench.client->counts().sent),
                static_cast<unsigned long long>(bench.client->counts().resent),
                static_cast<unsigned long long>(bench.client->counts().damaged),
                static_cast<unsigned long long>(bench.console->counts().written));
    EXPECT_LT(bench.client->counts().damaged, bench.client->counts().sent / 2);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, AgentInChaos,
    testing::Values(Chaos{"clean", "", 1000}, Chaos{"corrupt", "seed=1,corrupt=0.01", 1000},
                    Chaos{"splice", "seed=2,corrupt=0.01,splice=0.01,interleave=1", 1000},
                    Chaos{"drop", "seed=3,drop=0.01", 300}, Chaos{"double", "seed=4,duplicate=0.01", 300},
                    Chaos{"delay", "seed=5,delay=0.002,delay_ms=60", 300},
                    Chaos{"flood", "seed=6,flood=0.0003,splice=0.003", 300},
                    Chaos{"late", "seed=8,corrupt=0.01,splice=0.002,delay=0.02,delay_ms=150", 60, 2300},
                    Chaos{"all", "seed=7,drop=0.004,duplicate=0.004,corrupt=0.004,splice=0.004,delay=0.001", 300}),
    [](const auto& about) { return about.param.name; });

} // namespace

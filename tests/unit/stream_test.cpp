// SPDX-License-Identifier: Apache-2.0
// Streams over real sockets and ptys: bytes both ways, and how each one ends.
#include "hil/lib/stream.hpp"

#include <arpa/inet.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "hil/lib/chaos_proxy.hpp"
#include "hil/lib/file_descriptor.hpp"
#include "hil/lib/stream_descriptor.hpp"
#include "hil/lib/stream_rfc2217.hpp"

namespace {

using namespace hil;
using namespace std::chrono_literals;

std::unique_ptr<Stream> open_or_fail(const std::string& spec) {
    auto source = make_stream_source(spec);
    EXPECT_TRUE(source) << source.error().message;
    auto stream = (*source)->open();
    EXPECT_TRUE(stream) << stream.error().message;
    return stream ? std::move(stream).value() : nullptr;
}

bool wait_readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return poll(&polled, 1, 2000) == 1;
}

std::string read_some(Stream& stream) {
    std::array<char, 256> buffer{};
    EXPECT_TRUE(wait_readable(stream.descriptor()));
    const Transfer got = stream.read(buffer);
    return {buffer.data(), got.count};
}

std::string read_fd(int fd) {
    std::array<char, 4096> buffer{};
    EXPECT_TRUE(wait_readable(fd));
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

// Bytes go both ways; then the other side closes, which is an end and no failure.
void check(Stream& stream, FileDescriptor other) {
    std::array<char, 16> buffer{};
    const Transfer nothing = stream.read(buffer);
    EXPECT_EQ(nothing.count, 0u);
    EXPECT_EQ(nothing.state, StreamState::open);
    ASSERT_EQ(::write(other.get(), "to\r\n\xff", 5), 5);
    EXPECT_EQ(read_some(stream), "to\r\n\xff");
    EXPECT_EQ(stream.write(std::string_view("fro\n\x03")).count, 5u);
    EXPECT_EQ(read_fd(other.get()), "fro\n\x03");
    other.reset();
    ASSERT_TRUE(wait_readable(stream.descriptor()));
    EXPECT_EQ(stream.read(buffer).state, StreamState::ended);
}

struct Directory {
    std::string path = testing::TempDir() + "hil-stream-" + std::to_string(getpid());
    Directory() { std::filesystem::create_directories(path); }
    ~Directory() { std::filesystem::remove_all(path); }
};

TEST(Stream, UnixSocketBothSides) {
    const Directory directory;
    const std::string path = directory.path + "/s";
    auto listener = make_stream_source("unix-listen:" + path);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_FALSE(make_stream_source("unix-listen:" + path)) << "two listeners on one path";
    EXPECT_FALSE((*listener)->open()) << "nobody connected";
    for (int life = 0; life < 2; ++life) { // the second one: connect again after a loss
        auto client = open_or_fail("unix:" + path);
        auto server = (*listener)->open();
        ASSERT_TRUE(server);
        EXPECT_EQ(client->write(std::string_view("hello")).count, 5u);
        EXPECT_EQ(read_some(**server), "hello");
        client.reset();
        std::array<char, 8> buffer{};
        ASSERT_TRUE(wait_readable((*server)->descriptor()));
        EXPECT_EQ((*server)->read(buffer).state, StreamState::ended);
    }
    *listener = nullptr;
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Stream, UnixSocketThatIsNotThere) {
    auto source = make_stream_source("unix:/nonexistent/socket");
    ASSERT_TRUE(source);
    const auto stream = (*source)->open();
    ASSERT_FALSE(stream);
    EXPECT_NE(stream.error().message.find("/nonexistent/socket"), std::string::npos);
}

TEST(Stream, Tcp) {
    const FileDescriptor server(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(server.get(), 1), 0);
    ASSERT_EQ(getsockname(server.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    auto stream = open_or_fail("tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
    ASSERT_NE(stream, nullptr);
    check(*stream, FileDescriptor(accept(server.get(), nullptr, nullptr)));
}

TEST(Stream, Pty) {
    int master = -1;
    int slave = -1;
    std::array<char, 128> name{};
    ASSERT_EQ(openpty(&master, &slave, name.data(), nullptr, nullptr), 0);
    auto stream = open_or_fail(std::string("pty:") + name.data());
    ::close(slave);
    ASSERT_NE(stream, nullptr);
    check(*stream, FileDescriptor(master)); // raw: no echo, CR and Ctrl-C stay what they are
}

TEST(Stream, Descriptor) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    auto stream = open_or_fail("fd:" + std::to_string(ends[0]));
    ::close(ends[0]);
    ASSERT_NE(stream, nullptr);
    check(*stream, FileDescriptor(ends[1]));
}

TEST(Stream, PartialWritesAreSaid) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    const FileDescriptor other(ends[1]);
    DescriptorStream stream{FileDescriptor(ends[0])};
    const std::string much(16u << 20, 'x');
    const Transfer first = stream.write(much);
    EXPECT_GT(first.count, 0u);
    EXPECT_LT(first.count, much.size());
    EXPECT_EQ(first.state, StreamState::open);
    const Transfer second = stream.write(much);
    EXPECT_EQ(second.count, 0u);
    EXPECT_EQ(second.state, StreamState::open);
}

TEST(Stream, BadNamesAreExplained) {
    for (const char* spec : {"", "unix", "unix:", "carrier-pigeon:x", "tcp:host", "tcp:host:", "serial:/dev/x@fast",
                             "fd:abc", "fd:9999", "fd:-0", "rfc2217:h:1@-5", "serial:@9600"}) {
        const auto source = make_stream_source(spec);
        EXPECT_FALSE(source) << spec;
    }
    EXPECT_FALSE(make_stream_source(std::string_view("unix:/run/a\0b", 12))) << "the system would open /run/a";
    EXPECT_NE(make_stream_source("usb:1").error().message.find("usb-serial"), std::string::npos);
    EXPECT_FALSE(make_stream_source("unix-listen:" + std::string(200, 'x')));
}

TEST(Stream, APortThatDoesNotExistIsNotTakenForAnother) { // the resolver makes 34463 of 99999
    for (const char* port : {"99999", "65536", "0", "-1", "+80", " 80", "4294967297"}) {
        const auto source = make_stream_source(std::string("tcp:127.0.0.1:") + port);
        ASSERT_FALSE(source) << port;
        EXPECT_EQ(source.error().message, "'tcp:127.0.0.1:" + std::string(port) + "' names no stream: the port '" +
                                              port + "' is not from 1 to 65535");
    }
    for (const char* name : {"tcp:board:65535", "tcp:board:telnet", "rfc2217:board:00080@9600"}) {
        EXPECT_TRUE(make_stream_source(name)) << name;
    }
}

TEST(Stream, ARateThatNoLineHasIsRefused) { // 0 hangs a modem up, and would count as a line without a limit
    for (const char* name : {"serial:/dev/ttyS0@0", "usb-serial:A1@9", "rfc2217:board:2000@49"}) {
        const auto source = make_stream_source(name);
        ASSERT_FALSE(source) << name;
        EXPECT_NE(source.error().message.find("is less than 50"), std::string::npos) << source.error().message;
        EXPECT_EQ(stream_rate(name), 0u);
    }
    EXPECT_EQ(stream_rate("serial:/dev/ttyS0@50"), 5u);
    EXPECT_EQ(stream_rate("rfc2217:board:2000"), 11520u);
}

TEST(Stream, SerialPortsThatAreNotThere) {
    auto by_path = make_stream_source("serial:/dev/serial/by-id/none@9600");
    ASSERT_TRUE(by_path);
    const auto stream = (*by_path)->open();
    ASSERT_FALSE(stream);
    EXPECT_NE(stream.error().message.find("by-id/none"), std::string::npos);
    auto by_number = make_stream_source("usb-serial:NO-SUCH-NUMBER");
    ASSERT_TRUE(by_number);
    const auto other = (*by_number)->open();
    ASSERT_FALSE(other);
    EXPECT_NE(other.error().message.find("NO-SUCH-NUMBER"), std::string::npos);
}

TEST(Stream, ASerialPortThatOneMayNotOpenNamesItsGroup) {
    const std::string path = "/tmp/hil-port-" + std::to_string(getpid());
    std::ofstream(path) << "";
    const bool root = geteuid() == 0;
    const gid_t group = root ? 5 : getegid(); // 5: Debian's tty
    ASSERT_EQ(chown(path.c_str(), static_cast<uid_t>(-1), group), 0);
    for (const auto& [mode, said] :
         {std::pair{0060, "it belongs to the group '"}, std::pair{0040, "not even its group '"}}) {
        ASSERT_EQ(chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
        if (root) {
            ASSERT_EQ(seteuid(65534), 0);
        }
        const auto port = make_stream_source("serial:" + path).value()->open();
        if (root) {
            ASSERT_EQ(seteuid(0), 0);
        }
        ASSERT_FALSE(port);
        EXPECT_NE(port.error().message.find(std::string(said) + getgrgid(group)->gr_name), std::string::npos)
            << port.error().message;
    }
    unlink(path.c_str());
}

TEST(Stream, SerialPortsAreFoundBehindTheirByIdLinks) {
    // Any device that the kernel lists among its terminals does; this one may be opened by everybody.
    const std::string link = testing::TempDir() + "hil-by-id-" + std::to_string(getpid());
    std::filesystem::create_symlink("/dev/ptmx", link);
    auto source = make_stream_source("serial:" + link + "@115200");
    ASSERT_TRUE(source);
    const auto stream = (*source)->open();
    std::filesystem::remove(link);
    if (!stream) {
        EXPECT_EQ(stream.error().message.find("no serial port"), std::string::npos) << stream.error().message;
    }
    const auto gone = (*source)->open();
    ASSERT_FALSE(gone);
    EXPECT_NE(gone.error().message.find("no serial port " + link), std::string::npos) << gone.error().message;
}

TEST(Rfc2217, NegotiatesEscapesAndSetsTheBaudRate) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    const FileDescriptor server(ends[1]);
    Rfc2217Stream stream(std::make_unique<DescriptorStream>(FileDescriptor(ends[0])), 115200);
    const std::string opening = read_fd(server.get());
    EXPECT_NE(opening.find("\xff\xfb\x2c"), std::string::npos) << "WILL COM-PORT-OPTION";

    const std::string bytes = std::string("\xff\xfd\x2c"
                                          "a\xff\xff"
                                          "b",
                                          7) +
                              std::string("\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0", 10) + "c\xff\xfd\x18";
    ASSERT_EQ(::write(server.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(read_some(stream), "a\xff"
                                 "bc");
    const std::string answer = read_fd(server.get());
    EXPECT_NE(answer.find(std::string("\xff\xfa\x2c\x01\x00\x01\xc2\x00\xff\xf0", 10)), std::string::npos)
        << "SET-BAUDRATE 115200";
    EXPECT_NE(answer.find("\xff\xfc\x18"), std::string::npos) << "WONT terminal type";

    EXPECT_EQ(stream.write(std::string_view("x\xffy")).count, 3u);
    EXPECT_EQ(read_fd(server.get()), "x\xff\xffy");
}

std::string through_chaos(const std::string& options, const std::string& text) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    FileDescriptor other(ends[1]);
    ChaosStream stream(std::make_unique<DescriptorStream>(FileDescriptor(ends[0])), *parse_chaos(options));
    EXPECT_EQ(::write(other.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    other.reset();
    std::string all;
    std::array<char, 4096> buffer{};
    for (const auto end = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < end;) {
        const Transfer got = stream.read(buffer);
        all.append(buffer.data(), got.count);
        if (got.state != StreamState::open) {
            return all;
        }
    }
    ADD_FAILURE() << "the stream did not end";
    return all;
}

TEST(Chaos, DoesWhatItSaysAndCanBeRepeated) {
    const std::string text(20'000, 'a');
    EXPECT_EQ(through_chaos("", text), text);
    const std::string dropped = through_chaos("seed=5,drop=0.01", text);
    EXPECT_NEAR(static_cast<double>(dropped.size()), 19'800, 60);
    EXPECT_EQ(through_chaos("seed=5,drop=0.01", text), dropped);
    EXPECT_NE(through_chaos("seed=6,drop=0.01", text), dropped);
    EXPECT_NEAR(static_cast<double>(through_chaos("duplicate=0.01", text).size()), 20'200, 60);
    const std::string corrupt = through_chaos("corrupt=0.01", text);
    EXPECT_EQ(corrupt.size(), text.size());
    EXPECT_NEAR(static_cast<double>(std::count(corrupt.begin(), corrupt.end(), 'a')), 19'800, 60);
    EXPECT_NE(through_chaos("splice=0.001", text).find("chaos: splice"), std::string::npos);
    EXPECT_GT(through_chaos("flood=0.0005", text).size(), 60'000u);
    EXPECT_EQ(through_chaos("delay=0.001,delay_ms=5", text), text) << "late, but whole and in order";
    EXPECT_LT(through_chaos("disconnect=0.01", text).size(), 19'000u);
}

TEST(Chaos, CountsWhatItDoes) {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    const FileDescriptor other(ends[1]);
    ChaosStream stream(std::make_unique<DescriptorStream>(FileDescriptor(ends[0])),
                       *parse_chaos("seed=3,drop=0.02,double=0.01,corrupt=0.01"));
    EXPECT_EQ(stream.write(std::string(10'000, 'a')).count, 10'000u);
    const ChaosCounts& counts = stream.counts();
    EXPECT_EQ(counts.bytes, 10'000u);
    EXPECT_NEAR(static_cast<double>(counts.dropped), 200, 60);
    EXPECT_NEAR(static_cast<double>(counts.corrupted), 100, 40);
    std::string all;
    while (all.size() < 10'000 - counts.dropped + counts.doubled) {
        all += read_fd(other.get());
    }
    EXPECT_EQ(all.size(), 10'000 - counts.dropped + counts.doubled);
    EXPECT_GE(static_cast<std::uint64_t>(std::count_if(all.begin(), all.end(), [](char c) { return c != 'a'; })) + 5,
              counts.corrupted)
        << "a random byte may be the same";
}

// The proxy in a thread of its own, until the object goes away.
struct Serving {
    std::unique_ptr<ChaosProxy> proxy;
    std::atomic<bool> stop = false;
    std::thread thread;

    Serving(const std::string& stream, const std::string& offer, const std::string& chaos) {
        auto made = ChaosProxy::create(stream, offer, *parse_chaos(chaos));
        EXPECT_TRUE(made) << made.error().message;
        proxy = std::move(made).value();
        thread = std::thread([this] { EXPECT_TRUE(proxy->serve([this] { return stop.load(); })); });
    }
    ~Serving() {
        stop = true;
        thread.join();
    }
};

TEST(ChaosProxy, CarriesBothWaysAndOutlivesItsUsers) {
    const Directory directory;
    for (const std::string& offer : {"unix:" + directory.path + "/p", std::string("pty")}) {
        std::array<int, 2> ends{};
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        const FileDescriptor line(ends[0]);
        const FileDescriptor machine(ends[1]);
        const Serving serving("fd:" + std::to_string(line.get()), offer, "");
        for (int user = 0; user < 2; ++user) {
            const auto stream = open_or_fail(serving.proxy->where());
            ASSERT_EQ(stream->write(std::string_view("hello")).count, 5u);
            EXPECT_EQ(read_fd(machine.get()), "hello");
            ASSERT_EQ(::write(machine.get(), "world", 5), 5);
            EXPECT_EQ(read_some(*stream), "world");
        }
    }
}

// A side that ends has often just said the most important thing: a panic, or the one command of a script.
TEST(ChaosProxy, LosesNoLastWordsOfASideThatEnds) {
    const Directory directory;
    const std::string offer = "unix:" + directory.path + "/p";
    const std::string text(300'000, 'x');
    for (const bool machine_ends : {true, false}) {
        std::array<int, 2> ends{};
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        FileDescriptor line(ends[0]);
        FileDescriptor machine(ends[1]);
        const Serving serving("fd:" + std::to_string(line.get()), offer, machine_ends ? "" : "rate=1000000");
        line.reset(); // the proxy has its own
        auto user = open_or_fail(serving.proxy->where());
        std::string got;
        std::thread speaks([&] {
            for (std::size_t at = 0; at < text.size();) {
                const std::string_view rest = std::string_view(text).substr(at);
                const ssize_t count =
                    machine_ends ? ::write(machine.get(), rest.data(), rest.size())
                                 : static_cast<ssize_t>(user->write(std::span(rest.data(), rest.size())).count);
                at += count > 0 ? static_cast<std::size_t>(count) : 0;
            }
            machine_ends ? machine.reset() : user.reset();
        });
        std::array<char, 1000> buffer{};
        for (const auto end = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < end;) {
            if (machine_ends) {
                const Transfer read = user->read(buffer);
                got.append(buffer.data(), read.count);
                if (read.state != StreamState::open) {
                    break;
                }
            } else if (const ssize_t count = recv(machine.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
                       count > 0) {
                got.append(buffer.data(), static_cast<std::size_t>(count));
            }
            if (got.size() >= text.size()) {
                break;
            }
            std::this_thread::sleep_for(100us);
        }
        speaks.join();
        EXPECT_EQ(got.size(), text.size()) << (machine_ends ? "the machine ended" : "the user ended");
    }
}

TEST(ChaosProxy, RefusesWhatItCannotOffer) {
    EXPECT_FALSE(ChaosProxy::create("unix:/x", "tcp:1", {}));
    EXPECT_FALSE(ChaosProxy::create("typo:/x", "pty", {}));
    EXPECT_FALSE(ChaosProxy::create("unix:/x", "unix:/no/such/directory/s", {}));
}

TEST(Chaos, RefusesNonsense) {
    for (const char* options :
         {"drop", "drop=x", "drop=2", "drop=-1", "drop=nan", "typo=0.1", "seed=x", "delay_ms=1e9"}) {
        EXPECT_FALSE(parse_chaos(options)) << options;
    }
}

} // namespace

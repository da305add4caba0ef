// SPDX-License-Identifier: Apache-2.0
// One request of the agent, its commands real ones, its clock the test's.
#include "driver/agent/job.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <string>
#include <vector>

namespace hil::agent {
namespace {

using namespace std::chrono_literals;

// A job that runs a shell line.
Job running(const std::string& line) {
    std::vector<std::uint8_t> argument = {static_cast<std::uint8_t>(Operation::run), 0, 0, 0, 0, 1};
    argument.insert(argument.end(), line.begin(), line.end());
    argument.push_back(0);
    const std::string travels = packed({reinterpret_cast<const char*>(argument.data()), argument.size()}, 6);
    Job job(1);
    job.put(0, {reinterpret_cast<const std::uint8_t*>(travels.data()), travels.size()}, true);
    return job;
}

// What a stream of the job holds, of the bytes that its state tells of.
std::string unpacked(const Job& job, int which) {
    Unpacker unpacker(kMaxStream);
    EXPECT_TRUE(unpacker.add(std::string_view(job.stream(which)).substr(0, job.state().size[which])));
    EXPECT_EQ(unpacker.ended(), job.state().phase == Phase::done);
    return unpacker.take();
}

// Waits for the end of the job's process, and reads nothing meanwhile.
void wait_for_end(Job& job, Clock::time_point now) {
    int status = 0;
    ASSERT_EQ(waitpid(job.child()->pid(), &status, 0), job.child()->pid());
    job.child()->ended(status, now);
}

TEST(Job, KeepsAllThatACommandWroteHoweverLateItIsRead) {
    Job job = running("head -c 50000 /dev/zero | tr '\\0' x; printf trouble >&2; exit 3");
    ASSERT_NE(job.child(), nullptr);
    const Clock::time_point end = Clock::now();
    wait_for_end(job, end);
    ASSERT_TRUE(job.settle(end + 1h)); // the machine stood still for so long
    EXPECT_EQ(unpacked(job, 0), std::string(50000, 'x'));
    EXPECT_EQ(unpacked(job, 1), "trouble");
    EXPECT_EQ(job.state().size[0], job.stream(0).size());
    const std::string all = std::string(50000, 'x') + "trouble";
    EXPECT_EQ(job.state().crc, frame::crc32({reinterpret_cast<const std::uint8_t*>(all.data()), all.size()}));
    EXPECT_EQ(job.state().code, 3u);
    EXPECT_FALSE(job.state().truncated);
}

TEST(Job, EndsWhileAProcessInTheBackgroundWritesOn) {
    Job job = running("echo mine; while :; do echo more; done & exit 0");
    ASSERT_NE(job.child(), nullptr);
    const Clock::time_point end = Clock::now();
    wait_for_end(job, end);
    EXPECT_FALSE(job.settle(end + 1ms)); // its output may still come
    ASSERT_TRUE(job.settle(end + 1s));
    EXPECT_EQ(unpacked(job, 0).substr(0, 5), "mine\n");
    EXPECT_EQ(job.state().phase, Phase::done);
}

TEST(Job, TellsWhatACommandHasWrittenSoFar) {
    Job job = running("echo first; sleep 60");
    ASSERT_NE(job.child(), nullptr);
    while (job.child()->waiting(0) == 0) {
    }
    EXPECT_EQ(job.read(0), 6u);
    job.update();
    EXPECT_EQ(unpacked(job, 0), "first\n");
}

TEST(Job, RefusesWhatCannotBeUnpacked) {
    Job job(1);
    const std::vector<std::uint8_t> noise = {0xff, 0xff, 0xff};
    job.put(0, noise, true);
    EXPECT_EQ(job.state().ending, Ending::refused);
    EXPECT_EQ(unpacked(job, 1).substr(0, 21), "unpacking the request");
    Job cut(2);
    const std::string whole = packed(std::string(1, static_cast<char>(Operation::read_file)) + "/proc/version", 6);
    cut.put(0, {reinterpret_cast<const std::uint8_t*>(whole.data()), whole.size() - 1}, true);
    EXPECT_EQ(cut.state().code, static_cast<std::uint32_t>(EBADMSG));
}

} // namespace
} // namespace hil::agent

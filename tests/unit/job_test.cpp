// SPDX-License-Identifier: Apache-2.0
// One request of the agent, its commands real ones, its clock the test's.
#include "driver/agent/job.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

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
    Job job(1);
    job.put(0, argument, true);
    return job;
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
    EXPECT_EQ(job.stream(0), std::string(50000, 'x'));
    EXPECT_EQ(job.stream(1), "trouble");
    EXPECT_EQ(job.state().size[0], 50000u);
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
    EXPECT_EQ(job.stream(0).substr(0, 5), "mine\n");
    EXPECT_EQ(job.state().phase, Phase::done);
}

} // namespace
} // namespace hil::agent

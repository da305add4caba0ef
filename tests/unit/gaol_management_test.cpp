// SPDX-License-Identifier: Apache-2.0
// gaol: the life of a cell through the hypercalls, messages and refusals included.
#include "hypervisor/core/comm_region.hpp"
#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

namespace gaol::test {
namespace {

ConfigBuilder plain(const std::string& name, uint32_t id, uint8_t cpus, uint64_t phys) {
    ConfigBuilder config(name, id, cpus);
    config.memory = {ram(phys, 0, 0x10000, JH_MEM_LOADABLE),
                     {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION}};
    return config;
}

class GaolManagement : public testing::Test {
  protected:
    FakeMachine machine;
    Hypervisor& hv = hypervisor();

    int64_t call(uint64_t number, uint64_t first = 0, uint64_t second = 0) {
        return hypercall(*hv.cpus[0], number, first, second);
    }
    Cell& create(const ConfigBuilder& config) {
        EXPECT_EQ(machine.create(config), 0) << machine.console();
        return *hv.find_cell(config.cell.id);
    }
    /// The cell answers every message with `reply`.
    void answer(Cell& cell, jh_reply reply) {
        machine.on_relax = [&cell, reply] {
            if (cell.comm != nullptr && cell.comm->generic.msg_to_cell != JH_MSG_NONE) {
                cell.comm->generic.msg_to_cell = JH_MSG_NONE;
                cell.comm->generic.reply_from_cell = reply;
            }
        };
    }
};

TEST_F(GaolManagement, Lifecycle) {
    const int64_t used = call(JH_HC_HYPERVISOR_INFO, JH_INFO_MEM_POOL_USED);
    Cell& cell = create(plain("cell", 1, 0x6, 0x70000000));
    EXPECT_EQ(call(JH_HC_CELL_STATE, 1), JH_CELL_SHUT_DOWN);
    EXPECT_EQ(call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS), 2);
    EXPECT_EQ(call(JH_HC_CELL_SET_LOADABLE, 1), 0);
    EXPECT_EQ(call(JH_HC_CELL_START, 1), 0);
    arch::relax();
    EXPECT_EQ(call(JH_HC_CELL_STATE, 1), JH_CELL_RUNNING);
    EXPECT_EQ(hv.cpus[1]->state.load(), CpuState::running);
    EXPECT_EQ(hv.cpus[2]->state.load(), CpuState::off); // only the first CPU starts
    EXPECT_EQ(std::string(cell.comm->generic.signature, 6), "JHCOMM");
    answer(cell, JH_REPLY_REQUEST_APPROVED);
    EXPECT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(call(JH_HC_CELL_STATE, 1), -JH_ENOENT);
    EXPECT_EQ(call(JH_HC_HYPERVISOR_INFO, JH_INFO_MEM_POOL_USED), used);
    const std::string console = machine.console();
    for (const char* line :
         {"Created cell \"cell\"\n", "Page pool usage after cell creation: mem ", "Cell \"cell\" can be loaded\n",
          "Started cell \"cell\"\n", "Closing cell \"cell\"\n", "Page pool usage after cell destruction: mem "}) {
        EXPECT_NE(console.find(line), std::string::npos) << line;
    }
}

TEST_F(GaolManagement, NobodyIsHeldWhileACellsMemoryIsCleanedAndNobodyReachesIt) {
    ConfigBuilder config = plain("cell", 1, 0x6, 0x70000000);
    config.cell.flags |= JH_CELL_PASSIVE_COMMREG;
    create(config);
    EXPECT_TRUE(machine.cleaned.empty()) << "it cannot run before it is started";
    EXPECT_EQ(call(JH_HC_CELL_SET_LOADABLE, 1), 0);
    EXPECT_EQ(machine.translate(hv.root, 0x70000000), 0x70000000) << "the root loads it";
    EXPECT_EQ(call(JH_HC_CELL_START, 1), 0);
    arch::relax();
    EXPECT_EQ(hv.cpus[1]->state.load(), CpuState::running);
    EXPECT_EQ(call(JH_HC_CELL_START, 1), 0) << "again, while it runs";
    arch::relax();
    EXPECT_EQ(call(JH_HC_CELL_DESTROY, 1), 0);
    ASSERT_EQ(machine.cleaned.size(), 3) << "its RAM, and not the communication region";
    for (const Cleaned& cleaned : machine.cleaned) {
        EXPECT_EQ(cleaned.range.start.value, 0x70000000);
        EXPECT_EQ(cleaned.range.size, 0x10000);
        EXPECT_FALSE(cleaned.roots);
        EXPECT_EQ(cleaned.held, CpuSet{});
        EXPECT_EQ(cleaned.running, CpuSet{});
    }
}

TEST_F(GaolManagement, ACellMayRefuseToShutDown) {
    Cell& cell = create(plain("cell", 1, 0x2, 0x70000000));
    ASSERT_EQ(finish(cell_start, 1), 0);
    answer(cell, JH_REPLY_REQUEST_DENIED);
    EXPECT_EQ(finish(cell_set_loadable, 1), -JH_EPERM);
    EXPECT_EQ(finish(cell_destroy, 1), -JH_EPERM);
    EXPECT_EQ(finish(cell_start, 1), -JH_EPERM);
    EXPECT_EQ(comm_state(cell), JH_CELL_RUNNING);
    answer(cell, JH_REPLY_REQUEST_APPROVED);
    EXPECT_EQ(finish(cell_set_loadable, 1), 0);
    EXPECT_EQ(comm_state(cell), JH_CELL_SHUT_DOWN);
}

TEST_F(GaolManagement, SilenceEndsWithTheTimeout) {
    ConfigBuilder config = plain("cell", 1, 0x2, 0x70000000);
    config.cell.msg_reply_timeout = 500;
    create(config);
    ASSERT_EQ(finish(cell_start, 1), 0);
    machine.console();
    const uint64_t begin = machine.clock;
    EXPECT_EQ(finish(cell_destroy, 1), -JH_EPERM);
    EXPECT_GE(machine.clock - begin, 500u);
    EXPECT_EQ(machine.console(), "Timeout expired while waiting for reply from target cell\n");
}

TEST_F(GaolManagement, ACallThatWaitsComesBackAndKeepsItsPlace) {
    Cell& cell = create(plain("cell", 1, 0x2, 0x70000000));
    Cell& other = create(plain("other", 2, 0x4, 0x71000000));
    ASSERT_EQ(cell_start(1), 0);
    EXPECT_EQ(cell_destroy(1), -JH_EAGAIN); // the cell is silent: the root's CPU is free meanwhile
    EXPECT_EQ(cell.comm->generic.msg_to_cell, JH_MSG_SHUTDOWN_REQUEST);
    cell.comm->generic.msg_to_cell = JH_MSG_NONE; // heard
    EXPECT_EQ(cell_destroy(1), -JH_EAGAIN);
    EXPECT_EQ(cell.comm->generic.msg_to_cell, JH_MSG_NONE) << "asked once";
    EXPECT_EQ(cell_start(1), -JH_EBUSY); // nobody comes between
    EXPECT_EQ(cell_start(2), -JH_EBUSY);
    EXPECT_EQ(cell_create(GuestAddr{0x48000000}), -JH_EBUSY);
    EXPECT_EQ(call(JH_HC_CELL_STATE, 1), JH_CELL_RUNNING); // but asking is free
    cell.comm->generic.reply_from_cell = JH_REPLY_REQUEST_DENIED;
    EXPECT_EQ(cell_destroy(1), -JH_EPERM);
    EXPECT_EQ(cell_start(2), 0); // and the way is free again
    arch::relax();
    EXPECT_EQ(cell_destroy(1), -JH_EAGAIN);
    cell.comm->generic.reply_from_cell = JH_REPLY_REQUEST_APPROVED;
    EXPECT_EQ(cell_destroy(1), -JH_EAGAIN); // gone; the other is being told, and takes its time
    EXPECT_EQ(call(JH_HC_CELL_STATE, 1), -JH_ENOENT);
    EXPECT_EQ(other.comm->generic.msg_to_cell, JH_MSG_RECONFIG_COMPLETED);
    EXPECT_EQ(cell_destroy(2), -JH_EBUSY);
    other.comm->generic.reply_from_cell = JH_REPLY_RECEIVED;
    EXPECT_EQ(cell_destroy(1), 0);
    EXPECT_EQ(cell_destroy(1), -JH_ENOENT);
}

TEST_F(GaolManagement, ACreateThatWaitsIsNotDoneTwice) {
    Cell& cell = create(plain("cell", 1, 0x2, 0x70000000));
    ASSERT_EQ(cell_start(1), 0);
    arch::relax();
    machine.write(0x48000000, plain("other", 2, 0x4, 0x71000000).bytes());
    FakeMachine::offline(2);
    EXPECT_EQ(cell_create(GuestAddr{0x48000000}), -JH_EAGAIN);
    EXPECT_EQ(call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS), 3);
    EXPECT_EQ(cell_create(GuestAddr{0x48000000}), -JH_EAGAIN);
    EXPECT_EQ(cell_create(GuestAddr{0x48002000}), -JH_EBUSY);
    cell.comm->generic.reply_from_cell = JH_REPLY_RECEIVED;
    EXPECT_EQ(cell_create(GuestAddr{0x48000000}), 0);
    EXPECT_EQ(call(JH_HC_HYPERVISOR_INFO, JH_INFO_NUM_CELLS), 3);
}

TEST_F(GaolManagement, ALockedConfigurationIsLeftAlone) {
    Cell& cell = create(plain("cell", 1, 0x2, 0x70000000));
    ASSERT_EQ(finish(cell_start, 1), 0);
    comm_set_state(cell, JH_CELL_RUNNING_LOCKED);
    EXPECT_EQ(machine.create(plain("other", 2, 0x4, 0x71000000)), -JH_EPERM);
    comm_set_state(cell, JH_CELL_RUNNING);
    answer(cell, JH_REPLY_RECEIVED);
    EXPECT_EQ(machine.create(plain("other", 2, 0x4, 0x71000000)), 0);
}

TEST_F(GaolManagement, WrongTargets) {
    EXPECT_EQ(finish(cell_start, 5), -JH_ENOENT);
    EXPECT_EQ(finish(cell_set_loadable, 5), -JH_ENOENT);
    EXPECT_EQ(finish(cell_destroy, 5), -JH_ENOENT);
    EXPECT_EQ(finish(cell_start, 0), -JH_EINVAL);
    EXPECT_EQ(finish(cell_destroy, 0), -JH_EINVAL);
    EXPECT_EQ(call(99), -JH_ENOSYS);
    EXPECT_EQ(call(JH_HC_CPU_INFO, 17, 0), -JH_EINVAL);
    EXPECT_EQ(call(JH_HC_CPU_INFO, 0, 1010), -JH_EINVAL);
    EXPECT_EQ(call(JH_HC_HYPERVISOR_INFO, 5), -JH_EINVAL);
    EXPECT_EQ(cell_create(GuestAddr{0x09000000}), -JH_EINVAL); // no RAM of the root
    EXPECT_EQ(cell_create(GuestAddr{~uint64_t{0} - 8}), -JH_EINVAL);
}

TEST_F(GaolManagement, ACellMayCallAlmostNothing) {
    ConfigBuilder config = plain("cell", 1, 0x2, 0x70000000);
    config.cell.flags = JH_CELL_VIRTUAL_CONSOLE_PERMITTED;
    create(config);
    machine.console();
    for (uint64_t number = 1; number <= 7; ++number) {
        EXPECT_EQ(hypercall(*hv.cpus[1], number, 1, 0), -JH_EPERM);
    }
    EXPECT_EQ(hypercall(*hv.cpus[1], JH_HC_CONSOLE_PUTC, 'x', 0), 0);
    EXPECT_EQ(machine.console(), "x");
    EXPECT_EQ(call(JH_HC_CONSOLE_PUTC, 'y'), -JH_EPERM); // the root's config does not permit it
}

TEST_F(GaolManagement, ACellFailsWithItsLastCpu) {
    Cell& cell = create(plain("cell", 1, 0x6, 0x70000000));
    ASSERT_EQ(finish(cell_start, 1), 0);
    arch::relax();
    hv.cpus[2]->state = CpuState::running; // the cell has started its second one
    cpu_stopped(*hv.cpus[1], CpuState::failed);
    EXPECT_EQ(call(JH_HC_CPU_INFO, 1, 0), JH_CPU_FAILED);
    EXPECT_EQ(comm_state(cell), JH_CELL_RUNNING);
    cpu_stopped(*hv.cpus[2], CpuState::failed);
    EXPECT_EQ(comm_state(cell), JH_CELL_FAILED);
    EXPECT_EQ(finish(cell_set_loadable, 1), 0); // a failed cell is not asked
    EXPECT_EQ(finish(cell_start, 1), 0);
    arch::relax();
    EXPECT_EQ(call(JH_HC_CPU_INFO, 1, 0), JH_CPU_RUNNING);
}

TEST_F(GaolManagement, ACellWithoutARunningCpuFailsWhenOneOfThemDid) {
    Cell& cell = create(plain("cell", 1, 0x6, 0x70000000));
    ASSERT_EQ(finish(cell_start, 1), 0);
    arch::relax();
    cpu_stopped(*hv.cpus[1], CpuState::off);
    EXPECT_EQ(comm_state(cell), JH_CELL_RUNNING); // both are off by their own will: nobody failed
    hv.cpus[1]->state = CpuState::running;
    cpu_stopped(*hv.cpus[1], CpuState::failed); // the other is off: nobody is left to start it
    EXPECT_EQ(comm_state(cell), JH_CELL_FAILED);

    ASSERT_EQ(finish(cell_start, 1), 0);
    arch::relax();
    hv.cpus[2]->start = true; // on its way
    cpu_stopped(*hv.cpus[1], CpuState::failed);
    EXPECT_EQ(comm_state(cell), JH_CELL_RUNNING);
}

TEST_F(GaolManagement, DisableWaitsForCellsAndCpus) {
    EXPECT_EQ(check_disable(), 0);
    ConfigBuilder config = plain("cell", 1, 0x2, 0x70000000);
    config.cell.flags = JH_CELL_PASSIVE_COMMREG;
    create(config);
    EXPECT_EQ(check_disable(), -JH_EBUSY);
    ASSERT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(check_disable(), -JH_EBUSY); // CPU 1 is still offline
    hv.cpus[1]->state = CpuState::running;
    EXPECT_EQ(check_disable(), 0);
}

} // namespace
} // namespace gaol::test

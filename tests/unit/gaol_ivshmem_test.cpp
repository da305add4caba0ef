// SPDX-License-Identifier: Apache-2.0
// gaol: the virtual PCI bus and its ivshmem devices as a guest sees them.
#include "abi/ivshmem.h"
#include "hypervisor/core/management.hpp"
#include "hypervisor/core/vpci.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

namespace gaol::test {
namespace {

constexpr uint64_t ecam = 0x0f000000;
constexpr uint64_t bar = 0x0f100000;

class GaolIvshmem : public testing::Test {
  protected:
    void SetUp() override {
        ConfigBuilder config("peer", 1, 0x2);
        config.cell.flags = JH_CELL_PASSIVE_COMMREG;
        config.cell.vpci_irq_base = 100;
        add_link(config, 0x7fa00000, 1, 0);
        ASSERT_EQ(machine.create(config), 0) << machine.console();
        created = machine.console();
        peer = hypervisor().find_cell(1);
        for (Cell* cell : {&hypervisor().root, peer}) {
            write(*cell, ecam + 0x10, 4, bar);
            write(*cell, ecam + 0x04, 2, 0x2);
        }
    }

    static uint32_t read(Cell& cell, uint64_t address, unsigned size = 4) {
        MmioAccess access{address, size, false, 0};
        EXPECT_EQ(vpci_access(cell, access), MmioResult::done);
        return static_cast<uint32_t>(access.value);
    }
    static MmioResult write(Cell& cell, uint64_t address, unsigned size, uint64_t value) {
        MmioAccess access{address, size, true, value};
        return vpci_access(cell, access);
    }
    static void doorbell(Cell& from, uint32_t target, uint32_t vector = 0) {
        write(from, bar + IVSHMEM_REG_DOORBELL, 4, target << 16 | vector);
    }

    FakeMachine machine;
    Cell& root = hypervisor().root;
    Cell* peer = nullptr;
    std::string created;
};

TEST_F(GaolIvshmem, ConfigSpaceHasTheLayoutOfTheRealOne) {
    EXPECT_EQ(read(root, ecam), 0x4106110au);
    EXPECT_EQ(read(root, ecam + 0x04), 0x00100002u);
    EXPECT_EQ(read(root, ecam + 0x08), 0xff400000u);
    EXPECT_EQ(read(root, ecam + 0x2c), 0x4106110au);
    EXPECT_EQ(read(root, ecam + 0x34), 0x40u);
    EXPECT_EQ(read(root, ecam + 0x3d, 1), 1u);
    EXPECT_EQ(read(root, ecam + 0x40), 0x00200009u);
    EXPECT_EQ(read(root, ecam + 0x44), 0x1000u);
    EXPECT_EQ(read(root, ecam + 0x48), 0x2000u);
    EXPECT_EQ(read(root, ecam + 0x50), 0x1000u);
    EXPECT_EQ(read(root, ecam + 0x58), 0x7fa00000u);
    EXPECT_EQ(read(root, ecam + 0x5c), 0u);
}

TEST_F(GaolIvshmem, AbsentFunctionsReadAllOnes) {
    EXPECT_EQ(read(root, ecam + 0x1000), 0xffffffffu);
    EXPECT_EQ(read(root, ecam + 0x8000, 2) & 0xffff, 0xffffu);
    EXPECT_EQ(write(root, ecam + 0x8000, 4, 0), MmioResult::done);
}

TEST_F(GaolIvshmem, NoAccessReachesTwoFunctions) {
    for (const unsigned size : {2u, 4u, 8u}) {
        for (const uint64_t from : {ecam + 0x2000 - size + 1, ecam + 0xfffff}) {
            MmioAccess access{from, size, false, 0};
            EXPECT_EQ(vpci_access(root, access), MmioResult::forbidden) << size;
            EXPECT_EQ(write(root, from, size, 0), MmioResult::forbidden);
        }
    }
    MmioAccess inside{ecam + 0x1ff7, 8, false, 0};
    EXPECT_EQ(vpci_access(root, inside), MmioResult::done);
    EXPECT_EQ(inside.value, ~uint64_t{0});
}

TEST_F(GaolIvshmem, RegistersHaveByteLanes) {
    write(root, bar + IVSHMEM_REG_STATE, 4, 0x81828384);
    EXPECT_EQ(read(root, bar + IVSHMEM_REG_STATE + 1, 1), 0x83u);
    EXPECT_EQ(read(root, bar + IVSHMEM_REG_STATE + 2, 2), 0x8182u);
    write(root, bar + IVSHMEM_REG_STATE + 3, 1, 0x55);
    EXPECT_EQ(read(root, bar + IVSHMEM_REG_STATE), 0x55828384u);
    MmioAccess pair{bar, 8, false, 0};
    EXPECT_EQ(vpci_access(*peer, pair), MmioResult::done);
    EXPECT_EQ(pair.value, 0x2'0000'0001u); // id 1 of 2 peers
    write(*peer, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    write(root, bar + IVSHMEM_REG_DOORBELL + 2, 1, 1); // the target alone
    EXPECT_EQ(machine.raised.size(), 1u);
    write(root, bar + IVSHMEM_REG_INT_CONTROL, 8, uint64_t{1} << 48 | 1);
    EXPECT_EQ(machine.raised.size(), 2u);
    EXPECT_EQ(read(root, bar + IVSHMEM_REG_INT_CONTROL), 1u);
    for (const unsigned size : {2u, 4u, 8u}) {
        EXPECT_EQ(write(root, bar + IVSHMEM_REG_STATE + 1, size, 0), MmioResult::unclaimed) << size;
    }
}

TEST_F(GaolIvshmem, BarTellsItsSizeAndMoves) {
    write(root, ecam + 0x10, 4, 0xffffffff);
    EXPECT_EQ(read(root, ecam + 0x10), 0xfffff000u);
    write(root, ecam + 0x10, 4, 0x0f104000);
    EXPECT_EQ(read(root, 0x0f104000 + IVSHMEM_REG_MAX_PEERS), 2u);
    MmioAccess old{bar, 4, false, 0};
    EXPECT_EQ(vpci_access(root, old), MmioResult::unclaimed);
    write(root, ecam + 0x04, 2, 0);
    MmioAccess off{0x0f104000, 4, false, 0};
    EXPECT_EQ(vpci_access(root, off), MmioResult::unclaimed);
}

TEST_F(GaolIvshmem, WritesToIdentityAreForbidden) {
    EXPECT_EQ(write(root, ecam, 4, 0), MmioResult::forbidden);
    EXPECT_EQ(write(root, ecam + 0x44, 4, 0), MmioResult::forbidden);
    EXPECT_EQ(write(root, ecam + 0x3c, 1, 5), MmioResult::done); // interrupt line: ignored
    MmioAccess access{ecam, 4, true, 0};
    {
        ConsoleOut out;
        vpci_describe(out, access);
    }
    EXPECT_NE(machine.console().find("FATAL: Invalid PCI MMCONFIG write, device 00:00.0, reg: 0x0, size: 4\n"),
              std::string::npos);
}

TEST_F(GaolIvshmem, TheDoorbellReachesAnEnabledPeerOnly) {
    doorbell(root, 1);
    EXPECT_TRUE(machine.raised.empty());
    write(*peer, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    doorbell(root, 1);
    EXPECT_EQ(machine.raised, std::vector<uint32_t>{132});
    doorbell(root, 1, 1); // no such vector with INTx
    doorbell(root, 2);
    doorbell(root, 0xffff);
    EXPECT_EQ(machine.raised.size(), 1u);
    write(root, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    doorbell(*peer, 0);
    EXPECT_EQ(machine.raised.back(), 128u);
}

TEST_F(GaolIvshmem, OneShotDisarmsItself) {
    write(*peer, ecam + 0x43, 1, IVSHMEM_CONTROL_ONE_SHOT);
    write(*peer, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    doorbell(root, 1);
    doorbell(root, 1);
    EXPECT_EQ(machine.raised.size(), 1u);
    EXPECT_EQ(read(*peer, bar + IVSHMEM_REG_INT_CONTROL), 0u);
    write(*peer, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    doorbell(root, 1);
    EXPECT_EQ(machine.raised.size(), 2u);
}

TEST_F(GaolIvshmem, IntxDisableSilences) {
    write(*peer, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    write(*peer, ecam + 0x04, 2, 0x402);
    doorbell(root, 1);
    EXPECT_TRUE(machine.raised.empty());
}

TEST_F(GaolIvshmem, StateGoesToTheTableAndToThePeer) {
    write(root, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
    write(*peer, bar + IVSHMEM_REG_STATE, 4, 7);
    EXPECT_EQ(machine.read32(0x7fa00004), 7u);
    EXPECT_EQ(machine.raised, std::vector<uint32_t>{128});
    EXPECT_EQ(read(*peer, bar + IVSHMEM_REG_STATE), 7u);
    ASSERT_EQ(finish(cell_destroy, 1), 0);
    EXPECT_EQ(machine.read32(0x7fa00004), 0u);
    EXPECT_EQ(machine.raised.size(), 2u);
    doorbell(root, 1); // nobody there any more
    EXPECT_EQ(machine.raised.size(), 2u);
}

TEST_F(GaolIvshmem, ConnectionIsAnnounced) {
    EXPECT_NE(created.find("Adding virtual PCI device 00:00.0 to cell \"peer\"\n"
                           "Shared memory connection established, peer cells:\n \"root\"\n"),
              std::string::npos)
        << created;
}

TEST_F(GaolIvshmem, AnIdIsGivenOnce) {
    ConfigBuilder config("second", 2, 0x4);
    add_link(config, 0x7fa00000, 1, 0);
    config.cell.vpci_irq_base = 104;
    const size_t used = hypervisor().pool.used();
    EXPECT_EQ(machine.create(config), -JH_EBUSY);
    EXPECT_NE(machine.console().find("shmem_dev_id 1 of device 00:00.0 is taken by cell \"peer\""), std::string::npos);
    EXPECT_EQ(hypervisor().pool.used(), used);
}

/// Sixteen peers, nothing but states and doorbells: both sections are empty.
ConfigBuilder one_of_sixteen(uint32_t id, uint8_t cpus, uint8_t peer) {
    ConfigBuilder config(id == 2 ? "second" : "third", id, cpus);
    config.cell.flags = JH_CELL_PASSIVE_COMMREG;
    config.cell.vpci_irq_base = 100 + 4 * id;
    constexpr uint64_t base = 0x78000000;
    config.memory.push_back({base, base, 0x1000, JH_MEM_READ | JH_MEM_ROOTSHARED});
    for (int section = 0; section < 17; ++section) {
        config.memory.push_back({0, 0, 0, JH_MEM_READ | JH_MEM_ROOTSHARED});
    }
    jh_pci_device device = {};
    device.type = JH_PCI_IVSHMEM;
    device.domain = 1;
    device.bdf = 0x10;
    device.bar_mask[0] = 0xfffff000;
    device.shmem_dev_id = peer;
    device.shmem_peers = 16;
    config.devices = {device};
    return config;
}

TEST_F(GaolIvshmem, SixteenPeersWithEmptySections) {
    ASSERT_EQ(machine.create(one_of_sixteen(2, 0x4, 0)), 0) << machine.console();
    ASSERT_EQ(machine.create(one_of_sixteen(3, 0x8, 15)), 0) << machine.console();
    Cell& first = *hypervisor().find_cell(2);
    Cell& last = *hypervisor().find_cell(3);
    constexpr uint64_t config = ecam + (0x10 << 12);
    for (Cell* cell : {&first, &last}) {
        write(*cell, config + 0x10, 4, bar);
        write(*cell, config + 0x04, 2, 0x2);
        write(*cell, bar + IVSHMEM_REG_INT_CONTROL, 4, 1);
        EXPECT_EQ(read(*cell, config + 0x40 + IVSHMEM_CAP_RW_SECTION_SIZE), 0u);
        EXPECT_EQ(read(*cell, config + 0x40 + IVSHMEM_CAP_OUTPUT_SECTION_SIZE), 0u);
    }
    EXPECT_EQ(read(last, bar + IVSHMEM_REG_ID), 15u);
    EXPECT_EQ(read(last, bar + IVSHMEM_REG_MAX_PEERS), 16u);
    machine.raised.clear();
    doorbell(first, 15);
    doorbell(first, 7);  // nobody is there
    doorbell(first, 16); // nor could be
    EXPECT_EQ(machine.raised.size(), 1u);
    write(last, bar + IVSHMEM_REG_STATE, 4, 0x55);
    EXPECT_EQ(machine.read32(0x78000000 + 15 * 4), 0x55u);
    EXPECT_EQ(machine.raised.size(), 2u); // the change interrupts the other
    ASSERT_EQ(finish(cell_destroy, 3), 0);
    EXPECT_EQ(machine.read32(0x78000000 + 15 * 4), 0u);
    EXPECT_EQ(machine.raised.size(), 3u); // and so does its end
}

} // namespace
} // namespace gaol::test

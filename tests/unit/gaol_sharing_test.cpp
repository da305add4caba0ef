// SPDX-License-Identifier: Apache-2.0
// gaol: configs that are right by themselves and wrong beside the cells that there are.
#include "hypervisor/core/management.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

namespace gaol::test {
namespace {

constexpr uint64_t both = JH_MEM_READ | JH_MEM_WRITE | JH_MEM_ROOTSHARED;
constexpr uint64_t far_link = 0x79000000; // of cells alone: the root has the memory, but no end

ConfigBuilder plain(const std::string& name, uint32_t id, uint8_t cpus) {
    ConfigBuilder config(name, id, cpus);
    config.cell.flags = JH_CELL_PASSIVE_COMMREG;
    config.cell.vpci_irq_base = 100 + 4 * id;
    return config;
}

class GaolSharing : public testing::Test {
  protected:
    FakeMachine machine;

    void refuses(const ConfigBuilder& config, int error, const char* line) {
        const size_t used = hypervisor().pool.used();
        EXPECT_EQ(machine.create(config), error);
        const std::string said = machine.console();
        EXPECT_NE(said.find(line), std::string::npos) << said;
        EXPECT_EQ(hypervisor().pool.used(), used);
    }
};

TEST_F(GaolSharing, TheRootsLinkIsNotWrittenByAStranger) {
    ConfigBuilder config = plain("stranger", 1, 0x2);
    config.memory = {{0x7fa00000, 0x10000000, 0x1000, both}};
    refuses(config, -JH_EINVAL, "memory region 0: would write the state table of device 00:00.0 of cell \"root\"");
    config.memory = {{0x7fa03000, 0x10000000, 0x1000, both}};
    refuses(config, -JH_EINVAL, "memory region 0: would write the output section of peer 0 of device 00:00.0");
    config.memory = {{0x7fa00000, 0x10000000, 0x1000, both & ~uint64_t{JH_MEM_WRITE}},
                     {0x7fa01000, 0x20000000, 0x1000, both}};
    EXPECT_EQ(machine.create(config), 0) << machine.console(); // seen by whom the config lets see it
}

TEST_F(GaolSharing, AnEndOfTheLinkIsWelcome) {
    ConfigBuilder config = plain("peer", 1, 0x2);
    add_link(config, 0x7fa00000, 1, 0);
    EXPECT_EQ(machine.create(config), 0) << machine.console();
}

TEST_F(GaolSharing, EndsOfALinkAgree) {
    const char* const line = "device 00:0";
    for (const auto change :
         {+[](ConfigBuilder& config) { config.devices[0].bdf = 0x10; },
          +[](ConfigBuilder& config) {
              config.memory[1].size = 0x1000;
              config.memory[2].phys_start = config.memory[2].virt_start = 0x7fa02000;
              config.memory[3].phys_start = config.memory[3].virt_start = 0x7fa03000;
              config.memory[3].flags &= ~uint64_t{JH_MEM_WRITE};
          },
          +[](ConfigBuilder& config) {
              config.devices[0].shmem_peers = 3;
              config.memory.push_back({far_link, 0x7fa05000, 0x1000, JH_MEM_READ | JH_MEM_ROOTSHARED});
          }}) {
        ConfigBuilder config = plain("peer", 1, 0x2);
        add_link(config, 0x7fa00000, 1, 0);
        change(config);
        refuses(config, -JH_EINVAL, line);
    }
    const std::string said = "shares its state table with 00:00.0 of cell \"root\"";
    ConfigBuilder config = plain("peer", 1, 0x2);
    add_link(config, 0x7fa00000, 1, 0x10);
    refuses(config, -JH_EINVAL, ("device 00:02.0 " + said).c_str());
}

TEST_F(GaolSharing, WhoWasThereFirstDoesNotMatter) {
    ConfigBuilder first = plain("first", 1, 0x2);
    first.memory = {{far_link + 0x4000, 0x10000000, 0x1000, both}};
    ASSERT_EQ(machine.create(first), 0) << machine.console();
    ConfigBuilder linked = plain("linked", 2, 0x4);
    add_link(linked, far_link, 1, 0x8);
    refuses(linked, -JH_EBUSY, "the output section of peer 1 of device 00:01.0 could be written by cell \"first\"");
}

TEST_F(GaolSharing, TheSectionOfAPeerThatIsNotThereIsNobodys) {
    ConfigBuilder first = plain("first", 1, 0x2); // an inmate's regions without its device
    first.memory = {{0x7fa04000, 0x10000000, 0x1000, both}};
    ASSERT_EQ(machine.create(first), 0) << machine.console();
    ConfigBuilder peer = plain("peer", 2, 0x4);
    add_link(peer, 0x7fa00000, 1, 0);
    refuses(peer, -JH_EBUSY, "the output section of peer 1 of device 00:00.0 could be written by cell \"first\"");
    EXPECT_EQ(cell_destroy(1), 0);
    EXPECT_EQ(machine.create(peer), 0) << machine.console();
}

TEST_F(GaolSharing, WhatAnotherCellReachesIsNobodysAlone) {
    ConfigBuilder first = plain("first", 1, 0x2);
    first.memory = {{0x70000000, 0, 0x2000, both}};
    ASSERT_EQ(machine.create(first), 0) << machine.console();
    ConfigBuilder second = plain("second", 2, 0x4);
    second.memory = {ram(0x70001000, 0, 0x1000)};
    refuses(second, -JH_EBUSY,
            "memory region 0: phys_start 0x70001000: without ROOTSHARED, but cell \"first\" reaches it");
    second.memory = {ram(0x70002000, 0, 0x1000)};
    EXPECT_EQ(machine.create(second), 0) << machine.console();
}

} // namespace
} // namespace gaol::test

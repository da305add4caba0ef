// SPDX-License-Identifier: Apache-2.0
// gaol: bad configs are refused with the right errno and a line that names the field; nothing has changed then.
#include "hypervisor/core/config_check.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace gaol::test {
namespace {

ConfigBuilder good() {
    ConfigBuilder config("good", 1, 0x2);
    config.cell.flags = JH_CELL_PASSIVE_COMMREG;
    config.cell.vpci_irq_base = 100;
    config.memory = {ram(0x70000000, 0, 0x10000, JH_MEM_LOADABLE),
                     {0, 0x80000000, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_COMM_REGION}};
    add_link(config, 0x7fa00000, 1, 0);
    config.irqchips = {{0x08000000, 0, 32, {1u << 5, 0, 0, 0}}};
    return config;
}

struct Bad {
    const char* field; ///< that the line must name
    int error;
    std::function<void(ConfigBuilder&)> spoil;
};

class GaolConfig : public testing::TestWithParam<Bad> {};

TEST(GaolConfigGood, IsAccepted) {
    FakeMachine machine;
    EXPECT_EQ(machine.create(good()), 0) << machine.console();
}

TEST_P(GaolConfig, IsRefusedByName) {
    FakeMachine machine;
    ConfigBuilder config = good();
    GetParam().spoil(config);
    const size_t used = hypervisor().pool.used();
    EXPECT_EQ(machine.create(config), -GetParam().error);
    const std::string said = machine.console();
    EXPECT_NE(said.find(GetParam().field), std::string::npos) << said;
    EXPECT_NE(said.find("refused"), std::string::npos) << said;
    EXPECT_EQ(hypervisor().pool.used(), used);
    EXPECT_EQ(hypervisor().cell_count(), 1u);
    EXPECT_EQ(machine.translate(hypervisor().root, 0x70000000), 0x70000000u);
    EXPECT_EQ(machine.create(good()), 0) << machine.console();
}

INSTANTIATE_TEST_SUITE_P(
    Fields, GaolConfig,
    testing::Values(
        Bad{"signature", JH_EINVAL, [](auto& c) { c.cell.signature[0] = 'X'; }},
        Bad{"revision", JH_EINVAL, [](auto& c) { c.cell.revision = 13; }},
        Bad{"architecture", JH_EINVAL, [](auto& c) { c.cell.architecture = JH_ARCH_X86; }},
        Bad{"name", JH_EINVAL, [](auto& c) { c.cell.name[0] = '\0'; }},
        Bad{"name", JH_EINVAL, [](auto& c) { std::fill_n(c.cell.name, 32, 'n'); }},
        Bad{"name", JH_EINVAL, [](auto& c) { c.cell.name[0] = '\n'; }},
        Bad{"name", JH_EEXIST, [](auto& c) { std::copy_n("root", 5, c.cell.name); }},
        Bad{"id", JH_EEXIST, [](auto& c) { c.cell.id = 0; }},
        Bad{"AARCH32", JH_EINVAL, [](auto& c) { c.cell.flags |= JH_CELL_AARCH32; }},
        Bad{"TEST_DEVICE", JH_EINVAL, [](auto& c) { c.cell.flags |= JH_CELL_TEST_DEVICE; }},
        Bad{"flags", JH_EINVAL, [](auto& c) { c.cell.flags |= 0x100; }},
        Bad{"cpu set", JH_EINVAL, [](auto& c) { c.cpus = {0}; }},
        Bad{"cpu set", JH_EINVAL, [](auto& c) { c.cpus = {}; }},
        Bad{"cpu set", JH_EBUSY, [](auto& c) { c.cpus = {0x10}; }},
        Bad{"cpu set", JH_EBUSY,
            [](auto& c) {
                c.cpus = {2, 0, 0, 0x80};
            }},
        Bad{"cpu_set_size", JH_EINVAL, [](auto& c) { c.cpus.resize(65); }},
        Bad{"num_memory_regions", JH_EINVAL,
            [](auto& c) {
                c.memory.resize(1025, {0, 0x90000000, 0, JH_MEM_READ});
            }},
        Bad{"num_cache_regions", JH_EINVAL, [](auto& c) { c.cell.num_cache_regions = 1; }},
        Bad{"num_pio_regions", JH_EINVAL, [](auto& c) { c.cell.num_pio_regions = 1; }},
        Bad{"num_pci_caps", JH_EINVAL, [](auto& c) { c.cell.num_pci_caps = 1; }},
        Bad{"num_stream_ids", JH_EINVAL, [](auto& c) { c.cell.num_stream_ids = 1; }},
        Bad{"size", JH_E2BIG, [](auto& c) { c.cell.num_stream_ids = ~0u; }},
        Bad{"flags", JH_EINVAL, [](auto& c) { c.memory[0].flags |= 1ull << 40; }},
        Bad{"virt_start", JH_EINVAL, [](auto& c) { c.memory[0].virt_start = 1ull << 40; }},
        Bad{"virt_start", JH_EINVAL, [](auto& c) { c.memory[0].virt_start = ~0xfffull; }},
        Bad{"phys_start", JH_EINVAL, [](auto& c) { c.memory[0].phys_start = ~0xfffull; }},
        Bad{"phys_start", JH_EBUSY, [](auto& c) { c.memory[0].phys_start = hypervisor_base; }},
        Bad{"phys_start", JH_EBUSY, [](auto& c) { c.memory[0].phys_start = 0x08000000; }},
        Bad{"memory of the root", JH_EINVAL, [](auto& c) { c.memory[0].phys_start = 0x30000000; }},
        Bad{"page aligned", JH_EINVAL, [](auto& c) { c.memory[0].size = 0x10001; }},
        Bad{"overlaps memory region", JH_EINVAL, [](auto& c) { c.memory.push_back(ram(0x71000000, 0x8000, 0x1000)); }},
        Bad{"COMM_REGION", JH_EINVAL, [](auto& c) { c.memory[1].size = 0x2000; }},
        Bad{"COMM_REGION", JH_EINVAL,
            [](auto& c) {
                c.memory.push_back({0, 0x90000000, 0x1000, JH_MEM_READ | JH_MEM_COMM_REGION});
            }},
        Bad{"irqchip 0: address", JH_EINVAL, [](auto& c) { c.irqchips[0].address = 0x1000; }},
        Bad{"irqchip 0: pin_base", JH_EINVAL, [](auto& c) { c.irqchips[0].pin_base = 16; }},
        Bad{"irqchip 0: pin_bitmap", JH_EINVAL, [](auto& c) { c.irqchips[0].pin_base = 256; }},
        Bad{"pci device 0: type", JH_EINVAL, [](auto& c) { c.devices[0].type = JH_PCI_DEVICE; }},
        Bad{"pci device 0: bdf", JH_EINVAL, [](auto& c) { c.devices[0].bdf = 0x100; }},
        Bad{"pci device 0: bdf", JH_EINVAL, [](auto& c) { c.devices[0].domain = 0; }},
        Bad{"pci device 1: bdf", JH_EINVAL, [](auto& c) { c.devices.push_back(c.devices[0]); }},
        Bad{"shmem_peers", JH_EINVAL, [](auto& c) { c.devices[0].shmem_peers = 17; }},
        Bad{"shmem_dev_id", JH_EINVAL, [](auto& c) { c.devices[0].shmem_dev_id = 2; }},
        Bad{"shmem_dev_id", JH_EBUSY,
            [](auto& c) {
                c.devices[0].shmem_dev_id = 0;
                c.memory[4].flags |= JH_MEM_WRITE;
                c.memory[5].flags &= ~uint64_t{JH_MEM_WRITE};
            }},
        Bad{"shmem_regions_start", JH_EINVAL, [](auto& c) { c.devices[0].shmem_regions_start = 3; }},
        Bad{"shmem_regions_start", JH_EINVAL, [](auto& c) { c.devices[0].shmem_regions_start = 0xfffffffe; }},
        Bad{"state table", JH_EINVAL, [](auto& c) { c.memory[2].flags |= JH_MEM_WRITE; }},
        Bad{"state table (memory region 2): must be read-only, but memory region 0", JH_EINVAL,
            [](auto& c) {
                c.memory[0] = {0x7fa00000, 0, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_ROOTSHARED};
            }},
        Bad{"section (memory region 4): read-only, but memory region 0", JH_EINVAL,
            [](auto& c) {
                c.memory[0] = {0x7fa03000, 0, 0x1000, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_ROOTSHARED};
            }},
        Bad{"memory region 2: phys_start", JH_EINVAL, [](auto& c) { c.memory[2].phys_start = 0x8000000000; }},
        Bad{"state table of device 00:00.0: no memory answers", JH_EINVAL,
            [](auto& c) {
                c.memory[2].phys_start = 0x8000000000;
                c.memory[2].flags |= JH_MEM_IO;
            }},
        Bad{"output section of peer 0", JH_EINVAL, [](auto& c) { c.memory[4].flags |= JH_MEM_WRITE; }},
        Bad{"bar_mask[0]", JH_EINVAL, [](auto& c) { c.devices[0].bar_mask[0] = 0xfffff00f; }},
        Bad{"num_msix_vectors", JH_EINVAL, [](auto& c) { c.devices[0].num_msix_vectors = 2; }},
        Bad{"vpci_irq_base", JH_EINVAL, [](auto& c) { c.cell.vpci_irq_base = 221; }},
        Bad{"cpu_reset_address", JH_EINVAL, [](auto& c) { c.cell.cpu_reset_address = 2; }}));

TEST(GaolConfigClaims, WhatACellHasAnotherCannotGet) {
    FakeMachine machine;
    ASSERT_EQ(machine.create(good()), 0);
    machine.console();
    ConfigBuilder other("other", 2, 0x4);
    other.memory = {ram(0x70008000, 0, 0x1000)};
    EXPECT_EQ(machine.create(other), -JH_EBUSY);
    EXPECT_NE(machine.console().find("overlaps memory of cell \"good\""), std::string::npos);
    other.memory = {ram(0x71000000, 0, 0x1000)};
    other.cpus = {0x2};
    EXPECT_EQ(machine.create(other), -JH_EBUSY);
    EXPECT_NE(machine.console().find("CPU 1 is taken"), std::string::npos);
    other.cpus = {0x4};
    other.irqchips = {{0x08000000, 0, 32, {1u << 5, 0, 0, 0}}};
    EXPECT_EQ(machine.create(other), -JH_EBUSY);
    EXPECT_NE(machine.console().find("an interrupt belongs to another cell"), std::string::npos);
    other.irqchips = {};
    EXPECT_EQ(machine.create(other), 0) << machine.console();
}

TEST(GaolConfigClaims, AnOnlineCpuIsNotTaken) {
    FakeMachine machine;
    const auto bytes = good().bytes();
    machine.write(0x48000000, bytes);
    EXPECT_EQ(cell_create(GuestAddr{0x48000000}), -JH_EBUSY);
    EXPECT_NE(machine.console().find("CPU 1 is online in the root cell"), std::string::npos);
}

TEST(GaolConfigTruncated, EveryLengthIsRefused) {
    FakeMachine machine;
    const auto bytes = good().bytes();
    for (size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        std::vector<uint8_t> padded = part;
        padded.resize(sizeof(jh_cell));
        EXPECT_EQ(check_cell(*reinterpret_cast<const jh_cell*>(padded.data()), size), -JH_EINVAL) << size;
    }
}

} // namespace
} // namespace gaol::test

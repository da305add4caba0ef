// SPDX-License-Identifier: Apache-2.0
// gaol: bad configs are refused with the right errno and a line that names the field; nothing has changed then.
#include "hypervisor/core/config_check.hpp"
#include "hypervisor/core/hypercall.hpp"
#include "hypervisor/core/management.hpp"
#include "hypervisor/host/fake_machine.hpp"

#include <gtest/gtest.h>

#include <cstring>
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
        Bad{"irqchip 0: id", JH_EINVAL, [](auto& c) { c.irqchips[0].id = 1; }},
        Bad{"irqchip 0: pin_base", JH_EINVAL, [](auto& c) { c.irqchips[0].pin_base = 256; }},
        Bad{"irqchip 0: pin_base", JH_EINVAL,
            [](auto& c) {
                c.irqchips[0] = {0x08000000, 0, ~31u, {}};
            }},
        Bad{"irqchip 0: pin_bitmap", JH_EINVAL,
            [](auto& c) {
                c.irqchips[0] = {0x08000000, 0, 224, {0, 1, 0, 0}};
            }},
        Bad{"pci device 0: type", JH_EINVAL, [](auto& c) { c.devices[0].type = JH_PCI_DEVICE; }},
        Bad{"pci device 0: bdf", JH_EINVAL, [](auto& c) { c.devices[0].bdf = 0x100; }},
        Bad{"pci device 0: domain", JH_EINVAL, [](auto& c) { c.devices[0].domain = 0; }},
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
        Bad{"bar_mask[1]", JH_EINVAL, [](auto& c) { c.devices[0].bar_mask[1] = 0xfffffe00; }},
        Bad{"bar_mask[2]", JH_EINVAL, [](auto& c) { c.devices[0].bar_mask[2] = 0xfffff000; }},
        Bad{"bar_mask[3]", JH_EINVAL, [](auto& c) { c.devices[0].bar_mask[3] = 0xffffffe0; }},
        Bad{"bar_mask[4]", JH_EINVAL, [](auto& c) { c.devices[0].bar_mask[4] = 1; }},
        Bad{"bar_mask[5]", JH_EINVAL, [](auto& c) { c.devices[0].bar_mask[5] = ~0u; }},
        Bad{"iommu", JH_EINVAL, [](auto& c) { c.devices[0].iommu = 1; }},
        Bad{"caps_start", JH_EINVAL, [](auto& c) { c.devices[0].caps_start = 1; }},
        Bad{"num_caps", JH_EINVAL, [](auto& c) { c.devices[0].num_caps = 1; }},
        Bad{"num_msi_vectors", JH_EINVAL, [](auto& c) { c.devices[0].num_msi_vectors = 1; }},
        Bad{"msi_flags", JH_EINVAL, [](auto& c) { c.devices[0].msi_flags = 1; }},
        Bad{"num_msix_vectors", JH_EINVAL, [](auto& c) { c.devices[0].num_msix_vectors = 2; }},
        Bad{"msix_region_size", JH_EINVAL, [](auto& c) { c.devices[0].msix_region_size = 0x1000; }},
        Bad{"msix_address", JH_EINVAL, [](auto& c) { c.devices[0].msix_address = 0x10000000; }},
        Bad{"pci device 0: type", JH_EINVAL, [](auto& c) { c.devices[0].type = JH_PCI_BRIDGE; }},
        Bad{"shmem_peers", JH_EINVAL, [](auto& c) { c.devices[0].shmem_peers = 1; }},
        // The page's phys_start is not judged: were it a state table, gaol would write where the cell likes.
        Bad{"section (memory region 1): is COMM_REGION", JH_EINVAL,
            [](auto& c) {
                c.memory[1] = {hypervisor_base, c.memory[2].virt_start - 0x1000, 0x1000, JH_MEM_READ | JH_MEM_COMM_REGION};
                c.devices[0].shmem_regions_start = 1;
            }},
        Bad{"console: type", JH_EINVAL, [](auto& c) { c.cell.console.type = JH_CONSOLE_SCIF + 1; }},
        Bad{"console: flags", JH_EINVAL, [](auto& c) { c.cell.console.flags = 0x4; }},
        Bad{"id", JH_EINVAL, [](auto& c) { c.cell.id = ~0u; }},
        Bad{"with COMM_REGION", JH_EINVAL, [](auto& c) { c.memory[1].flags |= JH_MEM_LOADABLE; }},
        Bad{"with COMM_REGION", JH_EINVAL, [](auto& c) { c.memory[1].flags |= JH_MEM_IO | JH_MEM_IO_32; }},
        Bad{"COMM_REGION", JH_EINVAL, [](auto& c) { c.memory[1].virt_start += 0x10; }},
        Bad{"no EXECUTE", JH_EINVAL,
            [](auto& c) {
                c.memory.push_back({0x78000100, 0x90000100, 0x100, JH_MEM_READ | JH_MEM_EXECUTE | JH_MEM_IO_32});
            }},
        Bad{"keep its alignment", JH_EINVAL,
            [](auto& c) {
                c.memory.push_back({0x78000100, 0x90000104, 0x100, JH_MEM_READ | JH_MEM_IO_32});
            }},
        Bad{"vpci_irq_base", JH_EINVAL, [](auto& c) { c.cell.vpci_irq_base = 221; }},
        Bad{"cpu_reset_address", JH_EINVAL, [](auto& c) { c.cell.cpu_reset_address = 2; }}));

/// A system config, one field of which is wrong.
struct BadSystem {
    const char* field;
    std::function<void(jh_system&)> spoil;
};

class GaolSystemConfig : public testing::TestWithParam<BadSystem> {};

TEST_P(GaolSystemConfig, IsRefusedByName) {
    std::vector<uint8_t> config = good_system();
    auto& system = *reinterpret_cast<jh_system*>(config.data());
    system.debug_console = {0x09000000, 0x1000, JH_CONSOLE_8250, JH_CONSOLE_MMIO, 0, 0, 0};
    EXPECT_EQ(FakeMachine(config).error, 0);
    GetParam().spoil(system);
    FakeMachine machine(config);
    EXPECT_EQ(machine.error, -JH_EINVAL);
    const std::string said = machine.console();
    EXPECT_NE(said.find(GetParam().field), std::string::npos) << said;
    EXPECT_NE(said.find("refused"), std::string::npos) << said;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, GaolSystemConfig,
    testing::Values(
        BadSystem{"signature", [](auto& s) { s.signature[4] = 'x'; }},
        BadSystem{"revision", [](auto& s) { s.revision = 15; }},
        BadSystem{"architecture", [](auto& s) { s.architecture = JH_ARCH_ARM; }},
        BadSystem{"system flags", [](auto& s) { s.flags = 2; }},
        BadSystem{"hypervisor_memory: phys_start", [](auto& s) { s.hypervisor_memory.phys_start += 0x1000; }},
        BadSystem{"hypervisor_memory: flags", [](auto& s) { s.hypervisor_memory.flags = 0x200; }},
        BadSystem{"debug_console: type", [](auto& s) { s.debug_console.type = JH_CONSOLE_IMX; }},
        BadSystem{"debug_console: flags", [](auto& s) { s.debug_console.flags = 0; }},
        BadSystem{"debug_console: flags", [](auto& s) { s.debug_console.flags |= JH_CONSOLE_INVERTED_GATE; }},
        BadSystem{"debug_console: clock_reg", [](auto& s) { s.debug_console.clock_reg = 0x01c2006c; }},
        BadSystem{"debug_console: gate_nr", [](auto& s) { s.debug_console.gate_nr = 16; }},
        BadSystem{"debug_console: divider", [](auto& s) { s.debug_console.divider = 0x10000; }},
        BadSystem{"debug_console: divider",
                  [](auto& s) {
                      s.debug_console.type = JH_CONSOLE_PL011;
                      s.debug_console.divider = 1;
                  }},
        BadSystem{"debug_console: size", [](auto& s) { s.debug_console.size = 7; }},
        BadSystem{"debug_console: size", [](auto& s) { s.debug_console.size = ~0u; }},
        BadSystem{"debug_console: address", [](auto& s) { s.debug_console.address = hypervisor_base + 0x1000; }},
        BadSystem{"debug_console: address", [](auto& s) { s.debug_console.address = ~0xfffull; }},
        BadSystem{"iommu unit 0", [](auto& s) { s.platform.iommu_units[0].type = JH_IOMMU_SMMUV3; }},
        BadSystem{"iommu unit 7", [](auto& s) { s.platform.iommu_units[7].base = 0x1000; }},
        BadSystem{"pci_is_virtual", [](auto& s) { s.platform.pci_is_virtual = 2; }},
        BadSystem{"pci_mmconfig_base", [](auto& s) { s.platform.pci_mmconfig_base = 0x0f000800; }},
        BadSystem{"pci_mmconfig_base", [](auto& s) { s.platform.pci_mmconfig_base = hypervisor_base - 0x1000; }},
        BadSystem{"pci_mmconfig_base", [](auto& s) { s.platform.pci_mmconfig_base = (1ull << 40) - 0x1000; }},
        BadSystem{"pci device 0: type", [](auto& s) { s.platform.pci_is_virtual = 0; }},
        BadSystem{"pci device 0: domain", [](auto& s) { s.platform.pci_domain = 0; }},
        BadSystem{"gic_version", [](auto& s) { s.platform.arm.gic_version = 2; }},
        BadSystem{"gicd_base", [](auto& s) { s.platform.arm.gicd_base = 0; }},
        BadSystem{"gicr_base", [](auto& s) { s.platform.arm.gicr_base |= 1; }},
        BadSystem{"maintenance_irq", [](auto& s) { s.platform.arm.maintenance_irq = 32; }},
        BadSystem{"padding", [](auto& s) { s.platform.arm.padding[1] = 1; }},
        BadSystem{"num_stream_ids", [](auto& s) { s.root_cell.num_stream_ids = 1; }},
        BadSystem{"cpu_set_size", [](auto& s) { s.root_cell.cpu_set_size = 65; }},
        BadSystem{"name", [](auto& s) { s.root_cell.name[0] = '\0'; }}));

TEST(GaolSystemConfigSize, EveryLengthIsRefused) {
    const std::vector<uint8_t> config = good_system();
    for (size_t size = 0; size < config.size(); ++size) {
        std::vector<uint8_t> part(config.begin(), config.begin() + static_cast<std::ptrdiff_t>(size));
        part.reserve(config.size()); // the check is told the size; what is behind it is not to be read
        FakeMachine machine(part);
        EXPECT_EQ(machine.error, -JH_EINVAL) << size;
        EXPECT_NE(machine.console().find("size"), std::string::npos) << size;
    }
}

TEST(GaolConsole, TheDividerOfAn8250IsSet) {
    jh_console console = {0, 8, JH_CONSOLE_8250, JH_CONSOLE_MMIO, 0x1a5, 0, 0};
    uint8_t bytes[8] = {};
    const Uart near_registers(console, bytes);
    EXPECT_EQ(bytes[0], 0xa5);
    EXPECT_EQ(bytes[1], 0x01);
    EXPECT_EQ(bytes[3], 0x03) << "8N1, and the divider is out of reach again";
    alignas(4) uint8_t words[32] = {};
    console.flags |= JH_CONSOLE_REGDIST_4;
    const Uart far_registers(console, words);
    EXPECT_EQ(words[0], 0xa5);
    EXPECT_EQ(words[4], 0x01);
    EXPECT_EQ(words[12], 0x03);
    console.divider = 0;
    const uint8_t untouched[8] = {};
    std::fill_n(bytes, 8, uint8_t{0});
    const Uart left_alone(console, bytes);
    EXPECT_EQ(std::memcmp(bytes, untouched, 8), 0) << "as Linux has set it up";
}

TEST(GaolHypercall, IdsAreTakenWhole) {
    FakeMachine machine;
    ASSERT_EQ(machine.create(good()), 0);
    Cpu& root = *hypervisor().cpus[0];
    constexpr uint64_t not_cell_1 = 0x100000001;
    EXPECT_EQ(hypercall(root, JH_HC_CELL_STATE, 1, 0), JH_CELL_SHUT_DOWN);
    for (const int call : {JH_HC_CELL_START, JH_HC_CELL_SET_LOADABLE, JH_HC_CELL_DESTROY, JH_HC_CELL_STATE}) {
        EXPECT_EQ(hypercall(root, static_cast<uint64_t>(call), not_cell_1, 0), -JH_ENOENT) << call;
    }
    EXPECT_EQ(hypercall(root, 0x100000000 + JH_HC_CELL_STATE, 1, 0), -JH_ENOSYS);
}

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

// SPDX-License-Identifier: Apache-2.0
// Each rule: a set of configs without findings, and the edit that makes the rule speak, with what it predicts.
#include "hil/lib/cell_check.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cell_sample.hpp"

namespace hil {
namespace {

using test::edited;

CellFile file_of(const std::string& name, const std::string& yaml, const DeviceTable& devices) {
    auto named = cell_config_from_yaml(yaml, devices);
    if (!named) {
        throw std::logic_error(name + ": " + named.error().message);
    }
    return {.path = name, .named = std::move(*named), .devices = devices};
}

struct Sample {
    std::string root = test::sample_root;
    std::vector<std::string> cells{test::sample_cell};
    std::string devices = test::sample_devices;
    std::optional<CellImage> image;
    Board board;

    Sample& in_root(const std::string& from, const std::string& to) {
        root = edited(root, from, to);
        return *this;
    }
    Sample& in_cell(const std::string& from, const std::string& to, size_t index = 0) {
        cells.at(index) = edited(cells.at(index), from, to);
        return *this;
    }
    /// A second cell that fits beside the first: its own name, CPU, RAM, interrupts; no link.
    Sample& with_second() {
        std::string second = test::sample_cell;
        second.erase(second.find("irqchips:"));
        second.erase(second.find("  - {name: link0-state"));
        second = edited(second, "name: demo", "name: second");
        second = edited(second, "cpus: [1]", "cpus: [2]");
        second = edited(second, "physical: 0x50000000", "physical: 0x51000000");
        cells.push_back(second + "irqchips:\n  - {device: gicd, pin-base: 32, interrupts: [136-139]}\n");
        return *this;
    }
    [[nodiscard]] std::vector<Finding> check() const {
        CheckInput input;
        input.board = board;
        input.board.table = parse_device_table(devices).value();
        input.system = file_of("root.yaml", root, input.board.table);
        for (size_t index = 0; index < cells.size(); ++index) {
            input.cells.push_back(file_of("cell" + std::to_string(index) + ".yaml", cells[index], input.board.table));
        }
        input.image = image;
        return check_cells(input);
    }
};

std::string all_text(const std::vector<Finding>& findings) {
    std::string text;
    for (const Finding& finding : findings) {
        text += finding_text(finding);
    }
    return text;
}

/// The finding of the rule, which must be there and be complete.
Finding expect_rule(const Sample& sample, const std::string& rule) {
    const auto findings = sample.check();
    for (const Finding& finding : findings) {
        if (finding.rule == rule) {
            EXPECT_FALSE(finding.file.empty());
            EXPECT_FALSE(finding.region.empty());
            EXPECT_FALSE(finding.message.empty());
            EXPECT_FALSE(finding.fix.empty());
            return finding;
        }
    }
    ADD_FAILURE() << "no " << rule << " in:\n" << all_text(findings);
    return {};
}

void expect_trap(const Finding& finding, PredictedTrap::Kind kind, uint64_t address, const std::string& cell) {
    ASSERT_TRUE(finding.trap.has_value()) << finding_text(finding);
    EXPECT_EQ(finding.trap->kind, kind);
    EXPECT_TRUE(finding.trap->addresses.contains(address)) << finding.trap->addresses.text();
    EXPECT_EQ(finding.trap->cell, cell);
    EXPECT_NE(finding.console.find("(Cell: \"" + cell + "\")"), std::string::npos) << finding.console;
}

constexpr auto data_read = PredictedTrap::Kind::data_read;
constexpr auto data_write = PredictedTrap::Kind::data_write;
constexpr auto instruction = PredictedTrap::Kind::instruction;

TEST(CellCheck, SoundConfigsHaveNoFindings) {
    EXPECT_EQ(all_text(Sample().check()), "");
    EXPECT_EQ(all_text(Sample().with_second().check()), "");
    Sample with_image;
    with_image.image = CellImage{1u << 20, 0};
    EXPECT_EQ(all_text(with_image.check()), "");
}

// Identity

TEST(CellCheck, Names) {
    expect_rule(Sample().with_second().in_cell("name: second", "name: demo", 1), "name-twice");
    expect_rule(Sample().in_cell("name: demo", "name: root"), "name-twice");
    expect_rule(Sample().in_cell("name: demo", "name: \"\""), "name-empty");
    expect_rule(Sample().in_cell("name: demo", "name: demo\nname-bytes: " + std::string(64, '7')), "name-unterminated");
}

TEST(CellCheck, KindsAndArchitectures) {
    const auto finding = expect_rule(Sample().in_cell("architecture: arm64", "architecture: arm"), "architecture");
    EXPECT_NE(finding.console.find("exit code 0"), std::string::npos);
    Sample swapped;
    std::swap(swapped.root, swapped.cells[0]);
    expect_rule(swapped, "kind");
    expect_rule(Sample().in_cell("passive-comm-region", "passive-comm-region virtual-console-active"),
                "virtual-console");
}

// Regions

TEST(CellCheck, RegionsByThemselves) {
    expect_rule(Sample().in_cell("virtual: 0, size: 1M", "virtual: 0, size: 0"), "region-empty");
    expect_rule(Sample().in_cell("size: 1M", "size: 0x1000000000000"), "region-too-large");
    expect_rule(Sample().in_cell("physical: 0x50000000", "physical: 0xfffffffffffff000"), "region-too-large");
    expect_rule(Sample().in_cell("physical: 0x50000000", "physical: 0x50000800"), "region-misaligned");
    expect_rule(Sample().in_cell("size: 1M", "size: 0xfffff"), "region-misaligned");
    expect_rule(Sample().in_cell("  - {device: uart0",
                                 "  - {physical: 0x09020008, virtual: 0x09020000, size: 8, flags: "
                                 "read io io-32}\n  - {device: uart0"),
                "region-misaligned");
    expect_rule(Sample().in_cell("io io-32 root-shared", "io-32 root-shared"), "io-flag-missing");
    expect_rule(Sample().in_cell("io io-32 root-shared", "io root-shared"), "io-width-whole-page");
    expect_trap(
        expect_rule(Sample().in_cell("flags: read write io io-32 root", "flags: io io-32 root"), "region-no-rights"),
        data_read, 0x09000018, "demo");
}

TEST(CellCheck, PartPagesNeedAnAccessWidth) {
    const auto finding = expect_rule(Sample().in_cell("device: uart0, flags: read write io io-32",
                                                      "physical: 0x09000000, size: 0x40, flags: read write io"),
                                     "io-width-missing");
    expect_trap(finding, data_read, 0x09000018, "demo");
}

TEST(CellCheck, OverlapsInsideACell) {
    expect_rule(Sample().in_cell("virtual: 0x80000000", "virtual: 0x80000"), "comm-region-overlap");
    expect_rule(Sample().in_cell("physical: 0x5f004000", "physical: 0x5f004000, virtual: 0x5f003000"),
                "virtual-overlap");
}

// Ownership

TEST(CellCheck, MemoryThatTheRootNeverHad) {
    const auto finding =
        expect_rule(Sample().in_cell("physical: 0x50000000", "physical: 0x5a000000"), "not-root-memory");
    expect_trap(finding, data_write, 0x5a000000, "root");
    EXPECT_EQ(finding.console.find("Unhandled data write at 0x5a000000(1)"), 0u) << finding.console;
    expect_trap(expect_rule(Sample().in_cell("physical: 0x50000000", "physical: 0x57f80000"), "not-root-memory"),
                data_write, 0x58000000, "root");
    expect_rule(Sample()
                    .in_root("  - device: uart1\n", "")
                    .in_cell("  - {device: uart0", "  - {device: ccu}\n  - {device: uart1}\n  - {device: uart0"),
                "not-root-device");
}

TEST(CellCheck, MemoryThatTheRootMayNotWrite) {
    const auto finding =
        expect_rule(Sample().in_root("name: cells-ram, physical: 0x50000000, size: 128M, flags: read write execute dma",
                                     "name: cells-ram, physical: 0x50000000, size: 128M, flags: read"),
                    "not-root-memory");
    expect_trap(finding, data_write, 0x50000000, "root");
}

TEST(CellCheck, MemoryOfTwoCells) {
    const auto ram = expect_rule(Sample().with_second().in_cell("0x51000000", "0x50080000", 1), "memory-overlap");
    expect_trap(ram, data_write, 0x50080000, "root");
    EXPECT_EQ(ram.file, "cell1.yaml");
    const auto device = expect_rule(
        Sample().with_second().in_cell("io-32 root-shared", "io-32", 0).in_cell("io-32 root-shared", "io-32", 1),
        "memory-overlap");
    EXPECT_FALSE(device.trap.has_value());
}

TEST(CellCheck, HypervisorMemory) {
    expect_rule(Sample().in_root("0x5fc00000", "0x57c00000"), "hypervisor-memory");
    expect_rule(Sample().in_root("0x5fc00000, size: 4M", "0x5fc00000, size: 0xfff"), "hypervisor-memory");
    expect_rule(Sample().in_root("0x5fc00000", "0x4fc00000"), "hypervisor-memory");
    Sample outside;
    outside.board.ram = {AddressRange::of(0x40000000, 0x10000000)};
    expect_rule(outside, "hypervisor-memory");
}

TEST(CellCheck, RamThatLinuxUses) {
    const auto finding = expect_rule(
        Sample().in_root("physical: 0x40000000, size: 256M", "physical: 0x40000000, size: 128M"), "root-ram-short");
    expect_trap(finding, instruction, 0x48000000, "root");
    EXPECT_EQ(finding.region, "memory region \"ram\"");
}

// Loading

TEST(CellCheck, Images) {
    Sample too_large;
    too_large.image = CellImage{(1u << 20) + 1, 0};
    EXPECT_NE(expect_rule(too_large, "image-outside-ram").console.find("JAILHOUSE_CELL_LOAD: Invalid argument"),
              std::string::npos);
    Sample too_high;
    too_high.image = CellImage{4096, 0xff001};
    expect_rule(too_high, "image-outside-ram");
    Sample wrapping;
    wrapping.image = CellImage{4096, 0xfffffffffffff800};
    expect_rule(wrapping, "image-outside-ram");
    expect_rule(Sample().in_cell("execute loadable", "execute"), "no-loadable-memory");
}

TEST(CellCheck, ResetAddress) {
    const auto elsewhere =
        expect_rule(Sample().in_cell("cpus: [1]", "cpus: [1]\nreset-address: 0x200000"), "reset-unmapped");
    expect_trap(elsewhere, instruction, 0x200000, "demo");
    EXPECT_EQ(elsewhere.trap->cpu, 1u);
    expect_rule(Sample().in_cell("read write execute loadable", "read write loadable"), "reset-unmapped");
}

// Registers

TEST(CellCheck, Consoles) {
    const auto missing = expect_rule(
        Sample().in_cell("  - {device: uart0, flags: read write io io-32 root-shared}\n", ""), "console-unmapped");
    expect_trap(missing, data_read, 0x09000018, "demo");
    EXPECT_EQ(missing.console.find("Unhandled data read at 0x9000018(4)"), 0u) << missing.console;
    EXPECT_NE(missing.fix.find("device: uart0"), std::string::npos);
    expect_rule(Sample().in_cell("device: uart0, flags: read write", "device: uart0, flags: read"), "console-unmapped");
    expect_rule(Sample().in_cell("console: {type: pl011, device: uart0", "console: {type: pl011, address: 0x09010000"),
                "console-unmapped");
    const auto clock = expect_rule(Sample().in_cell("flags: mmio register-distance-4",
                                                    "flags: mmio register-distance-4, clock-register: 0x0902006c"),
                                   "console-clock-unmapped");
    expect_trap(clock, data_read, 0x0902006c, "demo");
    expect_rule(Sample().in_cell("flags: mmio register-distance-4", "flags: mmio, clock-register: 0x0902006d"),
                "console-clock-misaligned");
    expect_rule(Sample().in_cell("flags: mmio register-distance-4", "flags: register-distance-4"), "console-port-io");
    expect_trap(expect_rule(Sample().in_root("  - device: uart0\n", ""), "debug-console-unmapped"), data_read,
                0x09000018, "root");
}

TEST(CellCheck, PortConsoles) {
    Sample sample;
    const std::string console = "console: {type: 8250, address: 0x3f8}";
    sample.root = edited(sample.root, "architecture: arm64", "architecture: x86");
    sample.root = edited(sample.root,
                         "  arm: {maintenance-irq: 25, gic-version: 3, gicd-base: 0x08000000, gicr-base: "
                         "0x080a0000}\n",
                         "");
    sample.in_cell("architecture: arm64", "architecture: x86");
    sample.in_cell("console: {type: pl011, device: uart0, flags: mmio register-distance-4}", console);
    EXPECT_EQ(expect_rule(sample, "console-unmapped").console, "FATAL: Invalid PIO read, port: 3fd size: 1");
    sample.cells[0] += "pio:\n  - {base: 0x3f8, length: 8}\n";
    for (const Finding& finding : sample.check()) {
        EXPECT_NE(finding.rule, "console-unmapped");
    }
}

TEST(CellCheck, CommunicationRegion) {
    const auto moved = expect_rule(Sample().in_cell("virtual: 0x80000000", "virtual: 0x90000000"), "comm-region-moved");
    expect_trap(moved, data_read, 0x80000000, "demo");
    expect_rule(Sample().in_cell("read write comm-region", "read comm-region"), "comm-region-shape");
    expect_rule(Sample().in_cell("virtual: 0x80000000, size: 4K", "virtual: 0x80000000, size: 8K"),
                "comm-region-shape");
    const std::string comm =
        "  - {name: comm, physical: 0, virtual: 0x80000000, size: 4K, flags: read write comm-region}\n";
    expect_trap(expect_rule(Sample().in_cell(comm, ""), "comm-region-missing"), data_read, 0x80000000, "demo");
    expect_rule(Sample().in_cell(comm, comm + edited(comm, "0x80000000", "0x90000000")), "comm-region-twice");
    EXPECT_EQ(expect_rule(Sample().in_cell("flags: passive-comm-region\n", ""), "message-timeout").severity,
              FindingSeverity::note);
}

TEST(CellCheck, EmulatedRegisters) {
    expect_rule(Sample().in_cell("  - {device: uart0", "  - {device: gicd}\n  - {device: uart0"), "gic-mapped");
    expect_rule(Sample().in_root("  - device: uart0\n",
                                 "  - device: uart0\n  - {physical: 0x080c0000, size: 64K, flags: "
                                 "read write io io-32}\n"),
                "gic-mapped");
}

TEST(CellCheck, DevicesOfTheRoot) {
    const auto lost = expect_rule(Sample().in_cell("io-32 root-shared", "io-32"), "root-device-lost");
    expect_trap(lost, data_read, 0x09000018, "root");
    EXPECT_EQ(lost.severity, FindingSeverity::error);
    Sample tree;
    CellDevice clock;
    clock.name = "rtc@9010000";
    clock.description = "arm,pl031";
    clock.address = 0x09010000;
    clock.size = 0x1000;
    tree.board.devices.push_back(clock);
    const auto missing = expect_rule(tree, "root-device-missing");
    expect_trap(missing, data_read, 0x09010000, "root");
    EXPECT_EQ(missing.severity, FindingSeverity::warning);
    expect_trap(
        expect_rule(Sample().in_cell("  - {device: uart0", "  - {device: uart1}\n  - {device: uart0"), "device-needs"),
        data_read, 0x09020000, "demo");
}

// Shared memory

TEST(CellCheck, LinksThatDoNotMatch) {
    expect_rule(Sample().in_cell("peers: 2", "peers: 1"), "shmem-id");
    expect_rule(Sample().in_cell("peer-id: 1", "peer-id: 2"), "shmem-id");
    expect_rule(Sample().in_cell("peer-id: 1, peers: 2", "peer-id: 1, peers: 3"), "shmem-regions");
    EXPECT_NE(expect_rule(Sample().in_cell("peer-id: 1", "peer-id: 0"), "shmem-id-twice").console.find("busy"),
              std::string::npos);
    expect_rule(Sample().in_cell("peers: 2}", "peers: 2, protocol: ethernet}"), "shmem-protocol");
    expect_rule(Sample().in_cell("physical: 0x5f004000", "physical: 0x5f006000, virtual: 0x5f004000"),
                "shmem-sections");
    expect_rule(Sample().in_cell("first-region: link0-state", "first-region: 2"), "shmem-sections");
    Sample more = Sample().in_root("peer-id: 0, peers: 2", "peer-id: 0, peers: 3");
    more.in_root("irqchips:", "  - {name: link0-out2, physical: 0x5f006000, size: 8K, flags: read}\nirqchips:");
    expect_rule(more, "shmem-peers");
}

TEST(CellCheck, SectionsOfALink) {
    expect_trap(expect_rule(Sample().in_cell("size: 8K, flags: read write", "size: 8K, flags: read"), "shmem-rights"),
                data_write, 0x5f004000, "demo");
    EXPECT_EQ(
        expect_rule(Sample().in_cell("size: 4K, flags: read root", "size: 4K, flags: read write root"), "shmem-rights")
            .severity,
        FindingSeverity::warning);
    expect_rule(Sample().in_cell("physical: 0x5f004000", "physical: 0x5f004000, virtual: 0x5f008000"), "shmem-layout");
    expect_rule(Sample().in_cell("physical: 0x5f004000, size: 8K", "physical: 0x5f004000, size: 4K"), "shmem-sections");
    expect_trap(expect_rule(Sample().in_cell("size: 4K, flags: read write root-shared", "size: 4K, flags: read write"),
                            "shmem-not-root-shared"),
                data_read, 0x5f001000, "root");
}

TEST(CellCheck, IvshmemDevices) {
    expect_rule(Sample().in_cell("peers: 2}", "peers: 2, bars: [0xffffff00, 0, 0, 0, 0, 0]}"), "shmem-bars");
    expect_rule(Sample().in_cell("peers: 2}", "peers: 2, msix-vectors: 2}"), "shmem-msix");
    expect_rule(Sample().in_cell("bdf: \"00:00.0\"", "bdf: \"00:04.0\""), "shmem-slot");
    expect_rule(Sample().in_cell("interrupts: [132-135]", "interrupts: [133-135]"), "shmem-irq-missing");
    Sample alone;
    alone.root.erase(alone.root.find("pci:\n"));
    expect_rule(alone, "shmem-alone");
    Sample twice = Sample().in_cell("pci:\n", "pci:\n  - {type: ivshmem, domain: 1, bdf: \"00:01.0\", first-region: "
                                              "link0-state, peer-id: 1, peers: 2}\n");
    expect_rule(twice, "shmem-overlap");
}

// PCI, CPUs, interrupts, platform

TEST(CellCheck, Pci) {
    expect_rule(Sample().in_root("0x0f000000", "0x08f80000"), "vpci-window");
    expect_rule(Sample().in_root("0x0f000000", "0x07f00000"), "vpci-window");
    Sample tree;
    tree.board.gic =
        BoardGic{3, "arm,gic-v3", {AddressRange::of(0x08000000, 0x10000), AddressRange::of(0x080a0000, 0xf60000)}, 25};
    tree.in_root("0x0f000000", "0x08e00000");
    EXPECT_NE(expect_rule(tree, "vpci-window").console.find("probe -12"), std::string::npos);
    expect_rule(Sample().in_cell("domain: 1", "domain: 0"), "pci-domain");
    expect_rule(Sample().in_cell("bdf: \"00:00.0\"", "bdf: \"01:00.0\""), "pci-bus");
    expect_rule(Sample().in_cell("peers: 2}", "peers: 2, first-capability: 0, capabilities: 1}"), "pci-capabilities");
    const std::string device = "  - {type: device, domain: 0, bdf: \"00:03.0\"}\n";
    expect_rule(Sample().in_cell("pci:\n", "pci:\n" + device + device), "bdf-twice");
    Sample both = Sample().with_second().in_cell("pci:\n", "pci:\n" + device);
    both.cells[1] += "pci:\n" + device;
    expect_rule(both, "bdf-twice");
}

TEST(CellCheck, Cpus) {
    expect_rule(Sample().in_cell("cpus: [1]", "cpus: []"), "cpu-none");
    expect_rule(Sample().in_root("cpus: [0-3]", "cpus: []"), "cpu-none");
    EXPECT_NE(expect_rule(Sample().in_cell("cpus: [1]", "cpus: [4]"), "cpu-not-root").console.find("busy"),
              std::string::npos);
    expect_rule(Sample().with_second().in_cell("cpus: [2]", "cpus: [1]", 1), "cpu-twice");
    expect_rule(Sample().in_cell("cpus: [1]", "cpus: [0-3]"), "cpu-all-taken");
    Sample tree;
    tree.board.cpus = 2;
    expect_rule(tree, "cpu-count");
}

TEST(CellCheck, Interrupts) {
    expect_rule(Sample().with_second().in_cell("[136-139]", "[135-139]", 1), "irq-twice");
    expect_rule(Sample().in_root("interrupts: [32-159]", "interrupts: [32-131]"), "irq-not-root");
    expect_rule(Sample().in_cell("interrupts: [132-135]", "interrupts: [33, 132-135]"), "irq-of-root-device");
    expect_rule(Sample().in_cell("device: gicd, pin-base", "address: 0x1000, pin-base"), "irqchip-address");
    expect_rule(Sample().in_cell("pin-base: 32", "pin-base: 33"), "irqchip-pin-base");
}

TEST(CellCheck, Gic) {
    expect_rule(Sample().in_root("gic-version: 3", "gic-version: 4"), "gic");
    expect_rule(Sample().in_root("gic-version: 3", "gic-version: 2"), "gic");
    expect_rule(Sample().in_root(", gicr-base: 0x080a0000", ""), "gic");
    expect_rule(Sample().in_root("maintenance-irq: 25", "maintenance-irq: 33"), "gic");
    Sample tree;
    tree.board.gic =
        BoardGic{3, "arm,gic-v3", {AddressRange::of(0x08000000, 0x10000), AddressRange::of(0x080a0000, 0xf60000)}, 25};
    EXPECT_EQ(all_text(tree.check()), "");
    tree.board.gic->registers[1] = AddressRange::of(0x08100000, 0x80000);
    expect_rule(tree, "gic");
    tree.board.gic = BoardGic{2, "arm,gic-400", {AddressRange::of(0x08000000, 0x1000)}, 25};
    expect_rule(tree, "gic");
}

TEST(CellCheck, Iommu) {
    const auto with = [](const std::string& unit) {
        return Sample().in_root("  pci-domain: 1\n", "  pci-domain: 1\n  iommu: [" + unit + "]\n");
    };
    expect_rule(with("{type: intel, base: 0xfed90000, size: 4K}"), "iommu");
    expect_rule(with("{type: 9, base: 0xfed90000, size: 4K}"), "iommu");
    expect_rule(with("{type: smmuv3}"), "iommu");
    EXPECT_EQ(all_text(with("{type: smmuv3, base: 0x09050000, size: 128K}").check()), "");
}

TEST(CellCheck, SurvivesAnyConfig) {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        test::RandomConfig random(seed);
        CheckInput input;
        input.board.table = parse_device_table(test::sample_devices).value();
        for (int count = 0; count < 3; ++count) {
            CellFile file{.path = "random", .named = {random.make(), {}}, .devices = {}};
            count == 0 ? void(input.system = std::move(file)) : input.cells.push_back(std::move(file));
        }
        input.image = CellImage{random.below(1u << 20), random.below(1u << 20)};
        for (const Finding& finding : check_cells(input)) {
            EXPECT_FALSE(finding.rule.empty());
        }
    }
}

} // namespace
} // namespace hil

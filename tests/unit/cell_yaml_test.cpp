// SPDX-License-Identifier: Apache-2.0
// The YAML form: byte-identical round trips, and errors that name line and key.
#include "hil/lib/cell_yaml.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "hil/lib/cell_names.hpp"
#include "tests/unit/cell_sample.hpp"

namespace hil {
namespace {

using test::edited;
using test::RandomConfig;

DeviceTable devices() {
    return parse_device_table(test::sample_devices).value();
}

CellConfig compiled(const std::string& yaml) {
    auto named = cell_config_from_yaml(yaml, devices());
    EXPECT_TRUE(named.ok()) << (named.ok() ? "" : named.error().message);
    return named.ok() ? named->config : CellConfig{};
}

std::string refusal(const std::string& yaml) {
    const auto named = cell_config_from_yaml(yaml, devices());
    return named ? "accepted" : named.error().message;
}

TEST(CellYaml, CompilesWhatItSays) {
    const CellConfig config = compiled(test::sample_cell);
    EXPECT_EQ(config.name(), "demo");
    EXPECT_EQ(config.cpus(), std::vector<uint32_t>{1});
    EXPECT_EQ(config.cell.flags, JH_CELL_PASSIVE_COMMREG);
    EXPECT_EQ(config.cell.console.address, 0x09000000u);
    EXPECT_EQ(config.cell.console.type, JH_CONSOLE_PL011);
    ASSERT_EQ(config.memory.size(), 7u);
    EXPECT_EQ(config.memory[0].phys_start, 0x50000000u);
    EXPECT_EQ(config.memory[0].virt_start, 0u);
    EXPECT_EQ(config.memory[0].size, 1u << 20);
    EXPECT_EQ(config.memory[0].flags, JH_MEM_READ | JH_MEM_WRITE | JH_MEM_EXECUTE | JH_MEM_LOADABLE);
    EXPECT_EQ(config.memory[2].virt_start, 0x09000000u);
    ASSERT_EQ(config.irqchips.size(), 1u);
    EXPECT_EQ(config.irqchips[0].pin_bitmap[3], 0xf0u); // 132 = 32 + 100: bits 4 to 7 of the last word
    ASSERT_EQ(config.pci_devices.size(), 1u);
    EXPECT_EQ(config.pci_devices[0].shmem_regions_start, 3u);
    EXPECT_EQ(config.pci_devices[0].bar_mask[0], 0xfffff000u);
}

TEST(CellYaml, RootDescriptorOfASystemHasNoSignature) {
    const auto bytes = serialise_cell_config(compiled(test::sample_root));
    const auto* system = reinterpret_cast<const jh_system*>(bytes.data());
    EXPECT_EQ(std::string(system->signature, 5), "JHSYS");
    EXPECT_EQ(std::string(system->root_cell.signature, 5), std::string(5, '\0'));
    EXPECT_EQ(system->platform.arm.gicr_base, 0x080a0000u);
    EXPECT_EQ(system->root_cell.num_memory_regions, 9u);
}

void expect_round_trip(const CellConfig& config, const DeviceTable& table, uint64_t seed) {
    const auto bytes = serialise_cell_config(config);
    const std::string yaml = cell_config_to_yaml(config, table);
    const auto again = cell_config_from_yaml(yaml, table);
    ASSERT_TRUE(again.ok()) << seed << ": " << again.error().message << "\n" << yaml;
    ASSERT_EQ(serialise_cell_config(again->config), bytes) << seed << "\n" << yaml;
}

TEST(CellYaml, RandomFilesSurviveTheRoundTrip) {
    const DeviceTable table = devices();
    for (uint64_t seed = 0; seed < 3000; ++seed) {
        expect_round_trip(RandomConfig(seed).make(), seed % 2 == 0 ? table : DeviceTable{}, seed);
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST(CellYaml, OddNamesSurviveTheRoundTrip) {
    for (const char* name : {"",         "~",         "null",
                             "Null",     "NULL",      "yes",
                             "true",     "0x10",      "1e3",
                             ".inf",     " lead",     "trail ",
                             "# x",      "- a",       "---",
                             "...",      "a: b",      "'q'",
                             "\"q\"",    "\\n",       "{a}",
                             "[a]",      "&a",        "*a",
                             "!a",       "%a",        "@a",
                             "`a",       "=",         "<<",
                             "|",        ">",         "?",
                             "a\nb",     "a\tb",      "\r",
                             "\xff\xfe", "\xc3\xa9",  "\xef\xbb\xbfx",
                             "\x7f\x01", "2001-01-01"}) {
        CellConfig config = compiled(test::sample_cell);
        std::memset(config.cell.name, 0, sizeof(config.cell.name));
        std::memcpy(config.cell.name, name, std::strlen(name));
        expect_round_trip(config, {}, 0);
    }
}

TEST(CellYaml, LongArraysSurviveTheRoundTrip) {
    CellConfig config = compiled(test::sample_cell);
    config.memory.resize(3000, config.memory.front());
    config.pci_devices.resize(300, config.pci_devices.front());
    config.stream_ids.resize(5000, 0xffffffff);
    config.cpu_set.assign(4096, 0xa5);
    expect_round_trip(config, devices(), 0);
}

TEST(CellYaml, SamplesSurviveTheRoundTrip) {
    expect_round_trip(compiled(test::sample_root), devices(), 0);
    expect_round_trip(compiled(test::sample_cell), {}, 1);
}

TEST(CellYaml, DecompiledTextNamesWhatItKnows) {
    const std::string yaml = cell_config_to_yaml(compiled(test::sample_cell), devices());
    for (const char* expected : {"name: ram\n", "name: comm\n", "device: uart0\n", "# PL011 UART\n",
                                 "name: link0-out1\n", "flags: read write execute loadable\n", "size: 1M\n",
                                 "interrupts: [132-135]\n", "first-region: link0-state\n", "type: pl011"}) {
        EXPECT_NE(yaml.find(expected), std::string::npos) << expected << "\n" << yaml;
    }
}

TEST(CellYaml, ErrorsNameLineAndKey) {
    const std::string cell = test::sample_cell;
    EXPECT_EQ(refusal(edited(cell, "size: 1M", "size: 1X")).find("line 10: memory[0]: size: \"1X\" is not a number"),
              0u);
    EXPECT_EQ(
        refusal(edited(cell, "read write execute", "read wirte execute")).find("line 10: memory[0]: flags: \"wirte\""),
        0u);
    EXPECT_EQ(refusal(edited(cell, "cpus:", "cpu:")).find("line 6: config: unknown key \"cpu\""), 0u)
        << refusal(edited(cell, "cpus:", "cpu:"));
    EXPECT_NE(refusal(edited(cell, "device: uart0, flags: read", "device: uart9, flags: read"))
                  .find("\"uart9\" is not in the device table"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "interrupts: [132-135]", "interrupts: [31]")).find("31 is below pin-base 32"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "interrupts: [132-135]", "interrupts: [160]")).find("must be below 160"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "cpus: [1]", "cpus: [64]")).find("64 is too large"), std::string::npos);
    EXPECT_NE(refusal(edited(cell, "name: demo", "name: a-name-of-thirty-two-characters-")).find("longer than 31"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "peers: 2", "peers: 256")).find("does not fit into 8 bits"), std::string::npos);
    EXPECT_NE(refusal(edited(cell, "first-region: link0-state", "first-region: link1-state")).find("first-region"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "name: demo", "name: demo\nname: demo")).find("is there twice"), std::string::npos);
    // What was meant, and the typing error itself before what follows from it.
    EXPECT_NE(refusal(edited(cell, "virtual: 0,", "virtul: 0,")).find("did you mean \"virtual\"?"), std::string::npos);
    EXPECT_NE(refusal(edited(cell, "read write execute", "read wirte execute")).find("did you mean \"write\"?"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "\nmemory:", "\nmemery:")).find("unknown key \"memery\"; did you mean \"memory\"?"),
              std::string::npos);
    EXPECT_NE(refusal(edited(cell, "virtual: 0,", "va: 0,")).find("; known are "), std::string::npos);
    EXPECT_NE(refusal(edited(cell, "cpus: [1]", "cpus: [3-1]")).find("ends before it begins"), std::string::npos);
    EXPECT_NE(refusal("kind: [").find("line "), std::string::npos);
    EXPECT_NE(refusal("- a\n").find("expected keys"), std::string::npos);
    EXPECT_NE(refusal("").find("expected keys"), std::string::npos);
}

TEST(CellYaml, NumbersMayBeWrittenInManyWays) {
    EXPECT_EQ(number_from_text("16M").value(), 16u << 20);
    EXPECT_EQ(number_from_text("4KiB").value(), 4096u);
    EXPECT_EQ(number_from_text("0x7fa00000").value(), 0x7fa00000u);
    EXPECT_EQ(number_from_text("0xffffffffffffffff").value(), ~uint64_t{0});
    for (const char* wrong : {"", "-1", "0x", "1MB", "1 M", "0x10000000000000000", "16777216T", "1.5M"}) {
        EXPECT_FALSE(number_from_text(wrong).ok()) << wrong;
    }
}

TEST(CellYaml, NamesTheDevicesFile) {
    EXPECT_EQ(devices_file_of("kind: cell\ndevices: ../devices.yaml\n"), "../devices.yaml");
    EXPECT_EQ(devices_file_of("kind: cell\n"), "");
    EXPECT_EQ(devices_file_of("{"), "");
}

TEST(CellYaml, DeviceTableErrorsNameTheLine) {
    const auto wrong = parse_device_table("devices:\n  - {name: a, address: 0, size: zero}\n");
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.error().message.find("line 2: devices[0]: size"), 0u) << wrong.error().message;
    EXPECT_FALSE(
        parse_device_table("devices:\n  - {name: a, address: 0, size: 1}\n  - {name: a, address: 1, size: 1}\n").ok());
}

} // namespace
} // namespace hil

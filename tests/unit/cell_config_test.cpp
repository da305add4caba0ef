// SPDX-License-Identifier: Apache-2.0
// The binary form: what is refused, with which words, and that nothing is lost.
#include "hil/lib/cell_config.hpp"

#include <gtest/gtest.h>

#include <cstddef>

#include "tests/unit/cell_sample.hpp"

namespace hil {
namespace {

using test::RandomConfig;

std::string refusal(const std::vector<uint8_t>& bytes) {
    const auto config = parse_cell_config(bytes);
    return config ? "accepted" : config.error().message;
}

std::vector<uint8_t> sample_bytes() {
    CellConfig config = empty_cell_config(false, JH_ARCH_ARM64);
    config.memory.resize(2);
    config.pci_devices.resize(1);
    return serialise_cell_config(config);
}

TEST(CellConfig, SizesAreThoseOfTheFormat) {
    EXPECT_EQ(serialise_cell_config(empty_cell_config(false, JH_ARCH_ARM)).size(), 132u + 8);
    EXPECT_EQ(serialise_cell_config(empty_cell_config(true, JH_ARCH_ARM)).size(), 12u + 32 + 32 + 280 + 132 + 8);
    EXPECT_EQ(sample_bytes().size(), 132u + 8 + 2 * 32 + 56);
}

TEST(CellConfig, ArraysFollowInTheirOrder) {
    CellConfig config = empty_cell_config(false, JH_ARCH_X86);
    config.cpu_set = {0x5};
    config.memory.resize(1);
    config.memory[0].phys_start = 0x1122334455667788;
    config.pio.push_back({0x3f8, 8});
    config.stream_ids = {0xaabbccdd};
    const auto bytes = serialise_cell_config(config);
    ASSERT_EQ(bytes.size(), 132u + 1 + 32 + 4 + 4);
    EXPECT_EQ(bytes[132], 0x5);
    EXPECT_EQ(bytes[133], 0x88);
    EXPECT_EQ(bytes[133 + 32], 0xf8);
    EXPECT_EQ(bytes[133 + 36], 0xdd);
    EXPECT_EQ(bytes[8 + 32 + 4 + 4], 1) << "cpu_set_size is in bytes";
    EXPECT_EQ(config.cpus(), (std::vector<uint32_t>{0, 2}));
}

TEST(CellConfig, RefusesAWrongSignature) {
    auto bytes = sample_bytes();
    bytes[2] = 'X';
    EXPECT_EQ(refusal(bytes).find("signature at offset 0x0 is \"JHXLL\""), 0u) << refusal(bytes);
}

TEST(CellConfig, RefusesOtherRevisionsByNumber) {
    auto bytes = sample_bytes();
    for (const unsigned revision : {0u, 12u, 13u, 15u}) {
        bytes[6] = static_cast<uint8_t>(revision);
        EXPECT_EQ(refusal(bytes).find("revision at offset 0x6 is " + std::to_string(revision) + ","), 0u);
    }
}

TEST(CellConfig, RefusesUnknownArchitectures) {
    auto bytes = sample_bytes();
    bytes[5] = 3;
    EXPECT_EQ(refusal(bytes).find("architecture at offset 0x5 is 3"), 0u) << refusal(bytes);
}

TEST(CellConfig, EveryTruncationNamesFieldAndOffset) {
    const auto bytes = sample_bytes();
    for (size_t size = 0; size < bytes.size(); ++size) {
        const std::string message = refusal({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
        EXPECT_EQ(message.find("truncated: "), 0u) << size << ": " << message;
        EXPECT_NE(message.find(" offset 0x"), std::string::npos) << size << ": " << message;
    }
    EXPECT_NE(
        refusal({bytes.begin(), bytes.begin() + 150}).find("memory regions (2 entries of 32 bytes) at offset 0x8c"),
        std::string::npos);
}

TEST(CellConfig, RefusesTrailingBytes) {
    auto bytes = sample_bytes();
    bytes.push_back(0);
    EXPECT_EQ(refusal(bytes).find("oversized: the last array ends at offset 0x104, 1 bytes follow"), 0u)
        << refusal(bytes);
}

TEST(CellConfig, RefusesCountsBeyondTheFileWithoutAllocating) {
    auto bytes = sample_bytes();
    for (size_t offset = offsetof(jh_cell, cpu_set_size); offset < offsetof(jh_cell, vpci_irq_base); offset += 4) {
        auto hostile = bytes;
        hostile[offset] = hostile[offset + 1] = hostile[offset + 2] = hostile[offset + 3] = 0xff;
        EXPECT_EQ(refusal(hostile).find("truncated: "), 0u) << offset;
    }
}

TEST(CellConfig, NamesMayFillAllBytes) {
    CellConfig config = empty_cell_config(false, JH_ARCH_ARM64);
    std::memset(config.cell.name, 'n', sizeof(config.cell.name));
    EXPECT_EQ(config.name(), std::string(32, 'n'));
}

TEST(CellConfig, RandomFilesSurviveParsing) {
    for (uint64_t seed = 0; seed < 2000; ++seed) {
        const auto bytes = serialise_cell_config(RandomConfig(seed).make());
        const auto config = parse_cell_config(bytes);
        ASSERT_TRUE(config.ok()) << seed << ": " << config.error().message;
        ASSERT_EQ(serialise_cell_config(*config), bytes) << seed;
    }
}

} // namespace
} // namespace hil

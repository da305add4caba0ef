// SPDX-License-Identifier: Apache-2.0
// The targets' own configs, and the failures that a Banana Pi's configs were seen to cause: each is reproduced by an
// edit of the target's config, and the check must predict address, access and cell of the trap that the board printed.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "hil/lib/cell_check.hpp"
#include "tests/unit/cell_sample.hpp"

namespace hil {
namespace {

using test::edited;

std::string read(const std::string& path) {
    std::ifstream stream(std::string(HIL_TARGETS "/") + path);
    EXPECT_TRUE(stream.good()) << path;
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

struct BananaPi {
    std::string root = read("bananapi/cells/bananapi-root.yaml");
    std::string cell =
        edited(read("bananapi/cells/ivshmem-demo.yaml"), "name: ivshmem-demo", "name: bananapi-gic-demo");

    [[nodiscard]] std::vector<Finding> check() const {
        CheckInput input;
        input.board.table = parse_device_table(read("bananapi/devices.yaml")).value();
        auto system = cell_config_from_yaml(root, input.board.table);
        auto inmate = cell_config_from_yaml(cell, input.board.table);
        EXPECT_TRUE(system.ok() && inmate.ok());
        input.system = {.path = "bananapi.yaml", .named = std::move(*system), .devices = {}};
        input.cells.push_back({.path = "gic-demo.yaml", .named = std::move(*inmate), .devices = {}});
        return check_cells(input);
    }
    /// Is there an error that predicts such a trap? The message lists what there is when not.
    [[nodiscard]] testing::AssertionResult predicts(PredictedTrap::Kind kind, uint64_t address, unsigned size,
                                                    const std::string& parked) const {
        std::string all;
        for (const Finding& finding : check()) {
            all += finding_text(finding);
            if (finding.severity == FindingSeverity::error && finding.trap && finding.trap->kind == kind &&
                finding.trap->addresses.contains(address) && finding.trap->size == size &&
                finding.trap->cell == parked) {
                return testing::AssertionSuccess();
            }
        }
        return testing::AssertionFailure() << "predicted were:\n" << all;
    }
    [[nodiscard]] std::vector<std::string> rules() const {
        std::vector<std::string> rules;
        for (const Finding& finding : check()) {
            rules.push_back(finding.rule);
        }
        return rules;
    }
};

constexpr auto data_read = PredictedTrap::Kind::data_read;
constexpr auto data_write = PredictedTrap::Kind::data_write;
constexpr auto instruction = PredictedTrap::Kind::instruction;

const std::string hdmi = "  - {name: hdmi, physical: 0x01c16000, size: 4K, flags: read write io io-32}\n";
const std::string touch_panel = "  - {name: rtp, physical: 0x01c25000, size: 1K, flags: read write io io-32}\n";
const std::string cell_ram = "physical: 0x7a400000\n    virtual: 0x00000000\n    size: 16M";

TEST(BananaPi, ItsOwnConfigsAreSound) {
    EXPECT_EQ(BananaPi().rules(), std::vector<std::string>{});
}

TEST(BananaPi, RegionsAddedToTheCellAreTakenFromTheRoot) {
    BananaPi board;
    board.cell = edited(board.cell, "  - device: uart7\n", hdmi + touch_panel + "  - device: uart7\n");
    EXPECT_TRUE(board.predicts(data_read, 0x01c25014, 4, "Banana-Pi"));
    EXPECT_TRUE(board.predicts(data_read, 0x01c1600c, 4, "Banana-Pi"));
}

TEST(BananaPi, TheHdmiRegionWithoutItsWidth) {
    BananaPi board;
    board.cell = edited(board.cell, "  - device: uart7\n", edited(hdmi, " io-32", "") + "  - device: uart7\n");
    EXPECT_TRUE(board.predicts(data_read, 0x01c1600c, 4, "Banana-Pi"));
}

TEST(BananaPi, ClockGatesAbsentInTheRoot) {
    BananaPi board;
    board.root = edited(board.root, "  - device: ccu-gates\n", "");
    EXPECT_TRUE(board.predicts(data_read, 0x01c20060, 4, "Banana-Pi"));
}

TEST(BananaPi, ModuleClocksAbsentInTheRoot) {
    BananaPi board;
    board.root = edited(board.root, "  - device: ccu-clocks\n", "");
    EXPECT_TRUE(board.predicts(data_read, 0x01c20088, 4, "Banana-Pi"));
}

TEST(BananaPi, CellRamInsideTheSharedMemory) {
    BananaPi board;
    board.cell = edited(board.cell, cell_ram, "physical: 0x7bfe0000\n    virtual: 0x00000000\n    size: 64K");
    EXPECT_TRUE(board.predicts(data_write, 0x7bfe0000, 1, "Banana-Pi"));
}

TEST(BananaPi, RootRamCutAndCellRamBehindIt) {
    // As the report tells it: the root's RAM loses all behind 0x5d1ffffe, and the cell's begins there.
    BananaPi board;
    board.root = edited(board.root, "size: 959M", "size: 0x1d1fffff");
    board.cell = edited(board.cell, cell_ram, "physical: 0x5d1fffff\n    virtual: 0x00000000\n    size: 0x1d1ffffe");
    EXPECT_TRUE(board.predicts(data_write, 0x5d1fffff, 1, "Banana-Pi"));
    EXPECT_TRUE(board.predicts(instruction, 0x5df6e9a4, 4, "Banana-Pi"));
    const auto rules = board.rules();
    EXPECT_GE(std::count(rules.begin(), rules.end(), "region-misaligned"), 2);
}

TEST(BananaPi, CellRamWhereTheRootsEnds) {
    // The address that the report shows, 0x7bf00000, is the first byte behind the root's RAM.
    BananaPi board;
    board.cell = edited(board.cell, cell_ram, "physical: 0x7bf00000\n    virtual: 0x00000000\n    size: 64K");
    EXPECT_TRUE(board.predicts(data_write, 0x7bf00000, 1, "Banana-Pi"));
}

TEST(BananaPi, CellRamMisplacedByOneByte) {
    BananaPi board;
    board.root = edited(board.root, "size: 959M", "size: 0x1d1fffff");
    board.cell = edited(board.cell, cell_ram, "physical: 0x7a3effff\n    virtual: 0x00000000\n    size: 64K");
    EXPECT_TRUE(board.predicts(instruction, 0x5df6e9a4, 4, "Banana-Pi"));
    const auto rules = board.rules();
    EXPECT_NE(std::find(rules.begin(), rules.end(), "region-misaligned"), rules.end());
}

TEST(BananaPi, ClockRegionOfTheCellMoved) {
    BananaPi board;
    board.cell = edited(board.cell, "  - device: ccu-gates\n    flags: read write io root-shared io-32\n",
                        "  - {name: ccu, physical: 0x01c1fc00, size: 0x400, flags: read write io io-32 root-shared}\n");
    EXPECT_TRUE(board.predicts(data_read, 0x01c2006c, 4, "bananapi-gic-demo"));
    for (const Finding& finding : board.check()) {
        if (finding.rule == "console-clock-unmapped") {
            EXPECT_EQ(finding.console.find("Unhandled data read at 0x1c2006c(4)"), 0u) << finding.console;
            EXPECT_NE(finding.console.find("Parking CPU 1 (Cell: \"bananapi-gic-demo\")"), std::string::npos);
            EXPECT_NE(finding.fix.find("ccu-gates"), std::string::npos) << finding.fix;
            return;
        }
    }
    FAIL() << "no finding about the clock register";
}

} // namespace
} // namespace hil

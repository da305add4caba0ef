// SPDX-License-Identifier: Apache-2.0
// Lines and the facts in them.
#include "hil/lib/lifecycle.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "hil/lib/line_assembler.hpp"

namespace {

using hil::LifecycleParser;
using hil::Writer;

std::vector<std::string> lines(std::string_view text, std::size_t step = 1000) {
    std::vector<std::string> out;
    hil::LineAssembler assembler(
        [&](std::string_view line, bool whole) { out.push_back((whole ? "" : "…") + std::string(line)); });
    for (std::size_t i = 0; i < text.size(); i += step) {
        assembler.feed(text.substr(i, step));
    }
    assembler.flush();
    return out;
}

TEST(LineAssembler, KnowsEveryLineEnd) {
    for (const std::size_t step : {1u, 2u, 3u, 100u}) {
        EXPECT_EQ(lines("a\nb\r\nc\r\r\n\r\nd\re\n", step), (std::vector<std::string>{"a", "b", "c", "", "d\re"}));
    }
}

TEST(LineAssembler, BoundsALineAndFlushesAPrompt) {
    const auto out = lines(std::string(3 * hil::LineAssembler::kMaxLine + 1, 'x') + "\nhil# ", 777);
    ASSERT_EQ(out.size(), 5u);
    EXPECT_EQ(out[0].size(), hil::LineAssembler::kMaxLine + std::string("…").size());
    EXPECT_EQ(out[3], "x");
    EXPECT_EQ(out[4], "…hil# ");
}

TEST(Escapes, AreTakenOut) {
    EXPECT_EQ(hil::without_escapes("\x1b[6nhil# \x1b[1;31mred\x1b[0m\x1b]0;title\a!\x1b]2;t\x1b\\?\x1b"), "hil# red!?");
    EXPECT_EQ(hil::without_escapes("a\x01\tb\x7f"), "a\tb");
}

struct Case {
    const char* line;
    const char* kind;
    const char* cell;
    int cpu;
};

TEST(Lifecycle, KnowsTheFields) {
    const std::vector<Case> cases = {
        {"Initializing Jailhouse hypervisor v0.12 (1-gabc) on CPU 0", "hypervisor-start", "", -1},
        {"Page pool usage after cell creation: mem 62/994, remap 144/131072", "page-pool", "", -1},
        {"Adding virtual PCI device 00:00.0 to cell \"qemu-arm64\"", "virtual-pci-device", "", -1},
        {"Activating hypervisor", "hypervisor-active", "", -1},
        {"[    3.123456] The Jailhouse is opening.", "jailhouse-opened", "", -1},
        {"Created cell \"inmate-demo\"", "cell-created", "inmate-demo", -1},
        {"Cell \"inmate-demo\" can be loaded", "cell-loadable", "inmate-demo", -1},
        {"Started cell \"a cell with 31 characters in it!\"", "cell-started", "a cell with 31 characters in it!", -1},
        {"Closing cell \"x\"", "cell-closed", "x", -1},
        {"Parking CPU 12 (Cell: \"inmate-demo\")", "cpu-parked", "inmate-demo", 12},
        {"Stopping CPU 1 (Cell: \"RootCell\")", "cpu-stopped", "RootCell", 1},
        {"Parking CPU 3 (Ce", "cpu-parked", "", 3},
        {"Timeout expired while waiting for reply from target cell", "reply-timeout", "", -1},
        {"Shutting down hypervisor", "hypervisor-stop", "", -1},
        {"[   10.000001] The Jailhouse was closed.", "jailhouse-closed", "", -1},
        {"[    1.0] Kernel panic - not syncing: Attempted to kill init!", "kernel-panic", "", -1},
        {"[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x411fd070]", "kernel-boot", "", -1},
    };
    for (const Case& c : cases) {
        for (const std::string& around : {std::string(), std::string("hil# ")}) { // the shell's prompt before it
            const auto fact = LifecycleParser().feed(around + c.line);
            if (std::string_view(c.cell).size() > 31) {
                EXPECT_FALSE(fact) << c.line;
                continue;
            }
            ASSERT_TRUE(fact) << c.line;
            EXPECT_EQ(fact->kind, c.kind);
            EXPECT_EQ(fact->cell, c.cell);
            EXPECT_EQ(fact->cpu, c.cpu);
        }
    }
}

TEST(Lifecycle, BridgesALineEndOfAnotherWriter) {
    LifecycleParser parser;
    EXPECT_FALSE(parser.feed("[    5.5] Created ce"));
    const auto fact = parser.feed("ll \"demo\"");
    ASSERT_TRUE(fact);
    EXPECT_EQ(fact->cell, "demo");
    EXPECT_FALSE(parser.feed("ll \"demo\"")) << "the seam counts once";
}

TEST(Lifecycle, SaysNothingAboutOrdinaryLines) {
    LifecycleParser parser;
    for (const char* line :
         {"", "hello", "Cell \"x\" has a problem", "Parking CPU of the house", "Created cell without a name",
          "[    1.234567] random: crng init done", "Created cell \"a name that is far longer than thirty-one\""}) {
        EXPECT_FALSE(parser.feed(line)) << line;
    }
}

TEST(Lifecycle, NamesTheWriter) {
    LifecycleParser parser;
    (void)parser.feed("[    1.234567] random: crng init done");
    EXPECT_EQ(parser.writer(), Writer::kernel);
    (void)parser.feed("Activating hypervisor");
    EXPECT_EQ(parser.writer(), Writer::hypervisor);
    (void)parser.feed("[1] + Done   sleep 1");
    EXPECT_EQ(parser.writer(), Writer::unattributed);
}

} // namespace

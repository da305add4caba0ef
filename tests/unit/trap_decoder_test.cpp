// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_decoder.hpp"

#include "hil/lib/trap_json.hpp"
#include "hil/lib/trap_prefilter.hpp"
#include "hil/lib/trap_text.hpp"
#include "tests/unit/trap_generator.hpp"

#include <gtest/gtest.h>

namespace hil {
namespace {

using generator::Random;

std::string arm_dump() {
    return "pc=0x00001000 cpsr=0x600001d3 hsr=0x93850007\nr0=0x00000000 r1=0x00000001 r2=0x00000002 r3=0x00000003\n"
           "r4=0x00000004 r5=0x00000005 r6=0x00000006 r7=0x00000007\nr8=0x00000008 r9=0x00000009 r10=0x0000000a "
           "r11=0x0000000b\n"
           "r12=0x0000000c r13=0x0000000d r14=0x0000000e\n";
}

const std::string arm_head = "Unhandled data read at 0x1c00004(4)\nFATAL: unhandled trap (exception class 0x24)\n";

TEST(TrapDecoder, NothingInNothing) {
    EXPECT_TRUE(decode_traps("").empty());
    EXPECT_TRUE(decode_traps("\n\n\r\n").empty());
    EXPECT_TRUE(decode_traps(std::string(100000, 'x')).empty());
    EXPECT_TRUE(decode_traps(std::string(1000, '\0')).empty());
}

TEST(TrapDecoder, WholeReport) {
    const auto events =
        decode_traps("Started cell \"a\"\n" + arm_head + arm_dump() + "Parking CPU 1 (Cell: \"a\")\nhil# ");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].arch, TrapArch::arm);
    EXPECT_EQ(events[0].kind, TrapKind::data);
    EXPECT_EQ(events[0].access, TrapAccess::read);
    EXPECT_EQ(events[0].address, 0x1c00004u);
    EXPECT_EQ(events[0].size, 4u);
    EXPECT_EQ(events[0].cpu, 1u);
    EXPECT_EQ(events[0].cell, "a");
    EXPECT_EQ(events[0].first_line, 2u);
    EXPECT_EQ(events[0].last_line, 9u);
    EXPECT_EQ(events[0].registers.size(), 18u);
    EXPECT_EQ(confidence_of(events[0]), 1.0);
    EXPECT_TRUE(missing_from(events[0]).empty());
}

std::string report_of(const std::string& access, const std::string& address, const std::string& pc,
                      const std::string& hsr) {
    return "Unhandled data " + access + " at 0x" + address +
           "(4)\nFATAL: unhandled trap (exception class 0x24)\npc=0x" + pc + " cpsr=0x600001d3 hsr=0x" + hsr + "\n" +
           arm_dump().substr(arm_dump().find('\n') + 1);
}

std::string lines(const std::string& text, std::size_t from, std::size_t count) {
    std::string out;
    const auto all = generator::lines_of(text);
    for (std::size_t i = from; i < std::min(from + count, all.size()); ++i) {
        out += all[i];
    }
    return out;
}

TEST(TrapDecoder, SyndromesTellWhoseDumpItIs) {
    const std::string a = report_of("write", "1c2006c", "c03f457c", "93830046");
    const std::string b = report_of("read", "1c16000", "c0401234", "93830006");
    const auto events = decode_traps(lines(a, 0, 2) + lines(b, 0, 2) + lines(a, 2, 9) + lines(b, 2, 9) +
                                     "Parking CPU 0 (Cell: \"x\")\nParking CPU 1 (Cell: \"x\")\n");
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].address, 0x1c2006cu);
    EXPECT_EQ(events[0].pc, 0xc03f457cu);
    EXPECT_EQ(events[1].pc, 0xc0401234u);
    EXPECT_TRUE(events[0].notes.empty());
}

TEST(TrapDecoder, OverlappingReportsThatNothingTellsApartAreMarked) {
    const std::string a = report_of("read", "1c2006c", "c03f457c", "93830006");
    const std::string b = report_of("read", "1c16000", "c0401234", "93830006");
    const auto events = decode_traps(lines(a, 0, 2) + lines(b, 0, 2) + lines(a, 2, 9) + lines(b, 2, 9) +
                                     "Parking CPU 0 (Cell: \"x\")\nParking CPU 1 (Cell: \"x\")\n");
    ASSERT_EQ(events.size(), 2u);
    for (const TrapEvent& event : events) {
        EXPECT_TRUE(event.is_inferred(TrapField::pc));
        EXPECT_TRUE(event.is_inferred(TrapField::cpu));
        EXPECT_FALSE(event.notes.empty());
        EXPECT_LT(confidence_of(event), 0.8);
    }
}

TEST(TrapDecoder, ADumpGoesOnAfterItsParkingLine) {
    const std::string dump = arm_dump();
    const auto events =
        decode_traps(arm_head + lines(dump, 0, 3) + "Parking CPU 1 (Cell: \"a\")\n" + lines(dump, 3, 9));
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].registers.size(), 18u);
    EXPECT_EQ(events[0].cpu, 1u);
}

TEST(TrapDecoder, MissingRowsCostConfidence) {
    const std::string dump = arm_dump();
    const auto events = decode_traps(arm_head + lines(dump, 0, 2) + "Parking CPU 1 (Cell: \"a\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_LT(confidence_of(events[0]), 1.0);
}

TEST(TrapDecoder, ANumberOfMoreThanSixteenDigitsIsNone) {
    const auto events =
        decode_traps("Unhandled data read at 0x90000180000000000000001(4)\n" + arm_head.substr(arm_head.find("FATAL")) +
                     arm_dump() + "Parking CPU 1 (Cell: \"a\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].address, std::nullopt);
}

TEST(TrapDecoder, ANameWithQuotesIsNotCutShort) {
    const auto events = decode_traps(arm_head + arm_dump() + "Parking CPU 1 (Cell: \"a\"b\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].cpu, 1u);
    EXPECT_NE(events[0].cell, "a");
}

TEST(TrapDecoder, AnEndWithoutLegibleNameStillEnds) {
    const auto events = decode_traps(arm_head + arm_dump() + "Parking CPU 1 (Cell: 'a')\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].outcome, TrapOutcome::parked);
    EXPECT_EQ(events[0].cpu, 1u);
    EXPECT_EQ(events[0].cell, std::nullopt);
}

TEST(TrapDecoder, AnAbortOfTheArmHypervisorNamesItsSyndromeTwice) {
    const auto events = decode_traps("Unhandled HYP data abort exit at 0xf0001234\nPhysical address: 0x1c28014 HSR: "
                                     "0x93850007\n" +
                                     arm_dump() + "Stopping CPU 1 (Cell: \"a\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, TrapKind::hyp);
    EXPECT_EQ(events[0].pc, 0x1000u);
    EXPECT_EQ(events[0].outcome, TrapOutcome::stopped);
}

TEST(TrapDecoder, AnyPrintableCharacterMayBeAnEntity) {
    std::string text;
    for (char c : arm_head + arm_dump() + "Parking CPU 1 (Cell: \"a\")\n") {
        text += is_alpha(c) || is_digit(c) || is_space(c) ? std::string(1, c) : "&#" + std::to_string(int{c}) + ";";
    }
    const auto events = decode_traps(text);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].address, 0x1c00004u);
    EXPECT_EQ(events[0].cell, "a");
    EXPECT_EQ(confidence_of(events[0]), 1.0);
}

TEST(TrapDecoder, WholeReportIsReadyAtItsLastByte) {
    TrapDecoder decoder;
    decoder.feed(arm_head + arm_dump());
    EXPECT_TRUE(decoder.take().empty());
    EXPECT_TRUE(decoder.pending());
    decoder.feed("Parking CPU 1 (Cell: \"a\")\n");
    EXPECT_EQ(decoder.take().size(), 1u);
    EXPECT_FALSE(decoder.pending());
}

TEST(TrapDecoder, FlushDecodesWhatIsThere) {
    TrapDecoder decoder;
    decoder.feed(arm_head + arm_dump() + "Parking CPU 1 (Cell: \"a\")"); // no line end
    decoder.flush();
    const auto events = decoder.take();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].cell, "a");
    decoder.feed("\nhil# \n" + arm_head + arm_dump() + "Parking CPU 2 (Cell: \"b\")\n");
    const auto more = decoder.take();
    ASSERT_EQ(more.size(), 1u);
    EXPECT_EQ(more[0].first_line, 10u);
}

TEST(TrapDecoder, RetypedTextGivesNothing) {
    EXPECT_TRUE(decode_traps("I see an unhandled data read at 0x9000018(4) and unhandled trap (exception class 0x24)\n"
                             "then CPU 1 was parked\n")
                    .empty());
}

TEST(TrapDecoder, OtherProgramsFatalGivesNothing) {
    EXPECT_TRUE(
        decode_traps("FATAL: Module foo not found in directory /lib/modules/6.1.0\nFATAL:  the database system is "
                     "starting up\nFATAL: kernel too old\n")
            .empty());
}

TEST(TrapDecoder, KernelOopsAfterADumpIsNotPartOfIt) {
    const auto events = decode_traps(
        "FATAL: Unhandled MSR write: 200\nRIP: 0xffffffff81000010 RSP: 0xffffc90000003fb0 FLAGS: 46\n"
        "RAX: 0x0000000000000000 RBX: 0x0000000000000001 RCX: 0x0000000000000200\n"
        "CR0: 0x0000000080050033 CR3: 0x0000000002ba2000 CR4: 0x00000000003506f0\nEFER: 0x0000000000001d01\n"
        "[   41.1] CPU: 3 PID: 25 Comm: x Tainted\n[   41.2] RIP: 0010:0x0\n"
        "[   41.3] RAX: 0000000000000000 RBX: 0000000000000007 RCX: 0000000000000000\n"
        "[   41.4] CR2: ffffffffffffffd6 CR3: 000000000200a002 CR4: 0000000000372ea0\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_FALSE(events[0].cpu);
    EXPECT_EQ(events[0].outcome, TrapOutcome::unknown);
    EXPECT_FALSE(events[0].registers.has(TrapRegister::cr2));
}

TEST(TrapDecoder, ForeignDigitsInARegisterLeaveItUnknown) {
    std::string dump = arm_dump();
    dump.replace(dump.find("r5=0x00000005"), 13, "r5=0x0000rc=0\r\n0005");
    const auto events = decode_traps(arm_head + dump + "Parking CPU 1 (Cell: \"a\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_FALSE(events[0].registers.has(static_cast<TrapRegister>(static_cast<int>(TrapRegister::r0) + 5)));
    EXPECT_EQ(events[0].cell, "a");
}

TEST(TrapDecoder, SplicedRegisterNameIsRecovered) {
    std::string dump = arm_dump();
    dump.replace(dump.find("r11="), 4, "r1rc=0\r\n1=");
    const auto events = decode_traps(arm_head + dump + "Parking CPU 1 (Cell: \"a\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].registers.get(static_cast<TrapRegister>(static_cast<int>(TrapRegister::r0) + 11)), 11u);
    EXPECT_TRUE(events[0].recovered);
}

TEST(TrapDecoder, SplicedCellNameIsTakenFromTheLifecycleLines) {
    const auto events = decode_traps("Created cell \"worker\"\nStarted cell \"worker\"\n" + arm_head + arm_dump() +
                                     "Parking CPU 1 (Cell: \"wo[   12.345] usb\nrker\")\n");
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].cell, "worker");
    EXPECT_TRUE(events[0].is_inferred(TrapField::cell));
}

TEST(TrapDecoder, TwoCpusLineByLine) {
    Random random(5);
    auto a = generator::arm64_report(random);
    auto b = generator::arm64_report(random);
    const auto la = generator::lines_of(a.text);
    const auto lb = generator::lines_of(b.text);
    std::string text;
    for (std::size_t i = 0; i < std::max(la.size(), lb.size()); ++i) {
        text += (i < la.size() ? la[i] : "") + (i < lb.size() ? lb[i] : "");
    }
    const auto events = decode_traps(text);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].address, a.address);
    EXPECT_EQ(events[1].address, b.address);
    EXPECT_EQ(events[0].pc, a.pc);
    EXPECT_EQ(events[1].pc, b.pc);
    EXPECT_EQ(events[0].cell, a.cell);
    EXPECT_EQ(events[1].cell, b.cell);
}

TEST(TrapDecoder, MemoryIsBoundedAgainstEndlessCandidates) {
    TrapDecoder decoder;
    const std::string line = "FATAL: \xff\x1b[0123456789abcdef (Cell: \"\n";
    for (int i = 0; i < 40000; ++i) {
        decoder.feed(line);
    }
    decoder.feed(std::string(3 << 20, 'F'));
    decoder.finish();
    EXPECT_LT(decoder.take().size(), 70000u);
}

TEST(TrapDecoder, JsonIsValidWhateverTheConsoleSent) {
    const auto events =
        decode_traps(arm_head + arm_dump() + "\x1b[2J\xff\xfe\nParking CPU 1 (Cell: \"a\xff\x01\x1b]0;x\a\")\n");
    for (const TrapEvent& event : events) {
        EXPECT_NO_THROW(static_cast<void>(trap_json(event).dump()));
    }
}

TEST(TrapPrefilter, FindsEveryAnchorAtEveryOffset) {
    for (const std::string anchor :
         {"FATAL", "nhandled ", "(Cell:", "exception class", "cpsr=", "spsr:", "esr:", "RIP: ", "EFER: 0x"}) {
        for (std::size_t before = 0; before < 40; ++before) {
            const std::string text = std::string(before, '.') + anchor + std::string(before % 5, '.');
            EXPECT_NE(find_trap_anchor(text.data(), text.data() + text.size()), text.data() + text.size())
                << anchor << before;
        }
    }
}

TEST(TrapPrefilter, CountsNewlines) {
    for (std::size_t size : {0u, 1u, 15u, 16u, 17u, 4095u, 5000u}) {
        const std::string text(size, '\n');
        EXPECT_EQ(count_newlines(text.data(), text.data() + text.size()), size);
    }
}

} // namespace
} // namespace hil

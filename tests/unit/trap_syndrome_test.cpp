// SPDX-License-Identifier: Apache-2.0
#include "hil/lib/trap_syndrome.hpp"

#include <gtest/gtest.h>

namespace hil {
namespace {

TEST(TrapSyndrome, WordReadWithRegister) {
    // The Arm manual's fields, taken apart by hand: EC 0x24, IL, ISV, SAS 2, SRT 5, DFSC 7.
    const auto abort = decode_abort(0x93850007);
    ASSERT_TRUE(abort);
    EXPECT_EQ(exception_class_of(0x93850007), 0x24u);
    EXPECT_TRUE(is_long_instruction(0x93850007));
    EXPECT_TRUE(abort->data);
    EXPECT_TRUE(abort->valid);
    EXPECT_EQ(abort->size, 4u);
    EXPECT_EQ(abort->transfer, 5u);
    EXPECT_FALSE(abort->write);
    EXPECT_FALSE(abort->walk);
    EXPECT_EQ(fault_status_name(abort->status), "translation fault, level 3");
}

TEST(TrapSyndrome, WriteWithoutInstructionSyndrome) {
    const auto abort = decode_abort(0x9000004f);
    ASSERT_TRUE(abort);
    EXPECT_FALSE(abort->valid);
    EXPECT_TRUE(abort->write);
    EXPECT_EQ(fault_status_name(abort->status), "permission fault, level 3");
    EXPECT_NE(describe_syndrome(0x9000004f, TrapArch::arm).find("no instruction syndrome"), std::string::npos);
}

TEST(TrapSyndrome, InstructionAbortDuringTableWalk) {
    const auto abort = decode_abort(0x82000086);
    ASSERT_TRUE(abort);
    EXPECT_FALSE(abort->data);
    EXPECT_TRUE(abort->walk);
    EXPECT_EQ(fault_status_name(abort->status), "translation fault, level 2");
}

TEST(TrapSyndrome, ClassesWithoutAbort) {
    EXPECT_FALSE(decode_abort(0x5e000000)); // SMC
    EXPECT_NE(describe_syndrome(0x5a004a48, TrapArch::arm64).find("immediate 0x4a48"), std::string::npos);
    EXPECT_EQ(exception_class_name(0x18), "trapped MSR, MRS or system instruction");
    // mrs x3, mpidr_el1: op0 3, op1 0, CRn 0, CRm 0, op2 5, Rt 3, read.
    const std::uint32_t esr = 0x18u << 26 | 1u << 25 | 3u << 20 | 5u << 17 | 3u << 5 | 1u;
    EXPECT_NE(describe_syndrome(esr, TrapArch::arm64).find("S3_0_C0_C0_5, read into x3"), std::string::npos);
}

TEST(TrapSyndrome, EveryStatusAndClassHasText) {
    for (std::uint32_t i = 0; i < 64; ++i) {
        EXPECT_FALSE(fault_status_name(i).empty());
        EXPECT_FALSE(exception_class_name(i).empty());
        EXPECT_FALSE(describe_syndrome(i << 26 | 0x1ffffff, TrapArch::arm64).empty());
        EXPECT_FALSE(describe_mode(i, TrapArch::arm).empty());
    }
}

TEST(TrapSyndrome, Modes) {
    EXPECT_EQ(describe_mode(0x60000005, TrapArch::arm64).substr(0, 4), "EL1h");
    EXPECT_EQ(describe_mode(0x60000000, TrapArch::arm64).substr(0, 4), "EL0t");
    EXPECT_EQ(describe_mode(0x600f0193, TrapArch::arm), "Supervisor mode, ARM, IRQs masked");
    EXPECT_EQ(describe_mode(0x60070030, TrapArch::arm), "User mode, Thumb");
}

TEST(TrapSyndrome, ContradictionsAreNoted) {
    TrapEvent event;
    event.arch = TrapArch::arm64;
    event.kind = TrapKind::data;
    event.access = TrapAccess::write;
    event.size = 8;
    event.has_first_line = true;
    event.exception_class = 0x20;
    event.syndrome = 0x93810006; // a read of four bytes, class 0x24
    note_contradictions(event);
    ASSERT_EQ(event.notes.size(), 3u);
    EXPECT_NE(event.notes[0].find("0x20"), std::string::npos);
    EXPECT_NE(event.notes[1].find("read"), std::string::npos);
    EXPECT_NE(event.notes[2].find("8 bytes"), std::string::npos);
}

TEST(TrapSyndrome, SizeIsNotComparedWithoutInstructionSyndrome) {
    TrapEvent event;
    event.kind = TrapKind::data;
    event.access = TrapAccess::write;
    event.size = 1;
    event.has_first_line = true;
    event.exception_class = 0x24;
    event.syndrome = 0x9000004f;
    note_contradictions(event);
    EXPECT_TRUE(event.notes.empty());
}

} // namespace
} // namespace hil

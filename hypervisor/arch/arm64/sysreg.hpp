// SPDX-License-Identifier: Apache-2.0
// System registers and barriers. Registers that the assembler may not know go by their encoding.
#pragma once

#include <cstdint>

#define SYSREG_READ(name)                                                                                              \
    ({                                                                                                                 \
        uint64_t sysreg_value;                                                                                         \
        asm volatile("mrs %0, " #name : "=r"(sysreg_value)::"memory");                                                 \
        sysreg_value;                                                                                                  \
    })
#define SYSREG_WRITE(name, value)                                                                                      \
    do {                                                                                                               \
        const uint64_t sysreg_value = (value);                                                                         \
        asm volatile("msr " #name ", %0" ::"r"(sysreg_value) : "memory");                                              \
    } while (0)

// GICv3 CPU interface and hypervisor control (IHI 0069)
#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_IAR0_EL1 S3_0_C12_C8_0
#define ICC_EOIR0_EL1 S3_0_C12_C8_1
#define ICC_AP1R0_EL1 S3_0_C12_C9_0
#define ICC_DIR_EL1 S3_0_C12_C11_1
#define ICC_RPR_EL1 S3_0_C12_C11_3
#define ICC_SGI1R_EL1 S3_0_C12_C11_5
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_BPR1_EL1 S3_0_C12_C12_3
#define ICC_CTLR_EL1 S3_0_C12_C12_4
#define ICC_SRE_EL1 S3_0_C12_C12_5
#define ICC_IGRPEN0_EL1 S3_0_C12_C12_6
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define ICC_SRE_EL2 S3_4_C12_C9_5
#define ICH_AP0R0_EL2 S3_4_C12_C8_0
#define ICH_AP1R0_EL2 S3_4_C12_C9_0
#define ICH_HCR_EL2 S3_4_C12_C11_0
#define ICH_VTR_EL2 S3_4_C12_C11_1
#define ICH_MISR_EL2 S3_4_C12_C11_2
#define ICH_ELRSR_EL2 S3_4_C12_C11_5
#define ICH_VMCR_EL2 S3_4_C12_C11_7
#define SYSREG_READ_(name) SYSREG_READ(name)
#define READ_GIC(name) SYSREG_READ_(name)
#define SYSREG_WRITE_(name, value) SYSREG_WRITE(name, value)
#define WRITE_GIC(name, value) SYSREG_WRITE_(name, value)

namespace gaol {

inline void isb() {
    asm volatile("isb" ::: "memory");
}
inline void dsb_ish() {
    asm volatile("dsb ish" ::: "memory");
}
inline void dsb_sy() {
    asm volatile("dsb sy" ::: "memory");
}

} // namespace gaol

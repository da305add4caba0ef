/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that assembly and C++ share. A per-CPU area: struct PerCpu, an unmapped guard page, the stack on top. */
#pragma once

#define PER_CPU_DATA_SIZE 4096
#define PER_CPU_FIXUP 2048 /* in the data page: where to go on when an access that may fail does; 0: nowhere */
#define PER_CPU_GUARD_SIZE 4096
#define PER_CPU_STACK_SIZE 8192
#define PER_CPU_SIZE 16384 /* all three */
/* x0-x30, ELR_EL2, SPSR_EL2, padding */
#define FRAME_SIZE 272

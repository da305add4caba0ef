// SPDX-License-Identifier: Apache-2.0
// EL2's exception vectors. From a cell: all registers into a frame on the CPU's stack, a handler in C++, back.
#include "hypervisor/arch/arm64/per_cpu_layout.h"

.macro enter
    sub sp, sp, #FRAME_SIZE
    stp x0, x1, [sp, #16 * 0]
    stp x2, x3, [sp, #16 * 1]
    stp x4, x5, [sp, #16 * 2]
    stp x6, x7, [sp, #16 * 3]
    stp x8, x9, [sp, #16 * 4]
    stp x10, x11, [sp, #16 * 5]
    stp x12, x13, [sp, #16 * 6]
    stp x14, x15, [sp, #16 * 7]
    stp x16, x17, [sp, #16 * 8]
    stp x18, x19, [sp, #16 * 9]
    stp x20, x21, [sp, #16 * 10]
    stp x22, x23, [sp, #16 * 11]
    stp x24, x25, [sp, #16 * 12]
    stp x26, x27, [sp, #16 * 13]
    stp x28, x29, [sp, #16 * 14]
    mrs x28, elr_el2
    mrs x29, spsr_el2
    stp x30, x28, [sp, #16 * 15]
    str x29, [sp, #16 * 16]
    mov x0, sp
.endm

.macro from_cell handler
    .balign 128
    enter
    bl \handler
    b leave_to_cell
.endm

// The hypervisor's own faults: never return. The stack may be what broke, so the frame goes to the end of the per-CPU
// data page; SP_EL0 (the cell's, lost now) holds x0 meanwhile.
.macro from_self kind
    .balign 128
    msr sp_el0, x0
    mov x0, #\kind
    b own_fault
.endm

// A synchronous fault may be that of an access on a cell's behalf, which says where to go on (machine.cpp). No stack:
// it may be what broke. CNTHP_CVAL_EL2, of a timer that nobody uses, holds x0.
.macro from_self_synchronous
    .balign 128
    msr cnthp_cval_el2, x0
    mrs x0, tpidr_el2
    ldr x0, [x0, #PER_CPU_FIXUP]
    cbz x0, 1f
    msr elr_el2, x0                     // SPSR_EL2 is that of the access
    eret                                // with x0 lost
1:  mrs x0, cnthp_cval_el2
    msr sp_el0, x0
    mov x0, #0
    b own_fault
.endm

    .section .vectors, "ax"
    .balign 2048
    .global gaol_vectors
gaol_vectors:
    from_self 0
    from_self 1
    from_self 2
    from_self 3
    from_self_synchronous               // current EL, SP_EL2
    from_self 1                         // IRQ
    from_self 2                         // FIQ
    from_self 3                         // SError
    from_cell gaol_synchronous          // lower EL, AArch64
    from_cell gaol_interrupt
    from_cell gaol_interrupt
    from_cell gaol_serror
    from_cell gaol_synchronous          // lower EL, AArch32
    from_cell gaol_interrupt
    from_cell gaol_interrupt
    from_cell gaol_serror
    .balign 128
own_fault:
    msr tpidr_el0, x1
    msr tpidrro_el0, x0                 // kind
    mrs x0, tpidr_el2
    add x0, x0, #PER_CPU_DATA_SIZE
    mov x1, sp
    mov sp, x0
    msr tpidr_el1, x1                   // where the stack was
    mrs x0, sp_el0
    mrs x1, tpidr_el0
    enter
    mrs x1, tpidrro_el0
    mrs x2, tpidr_el1
    b gaol_own_fault
leave_to_cell:
    ldp x30, x28, [sp, #16 * 15]
    ldr x29, [sp, #16 * 16]
    msr elr_el2, x28
    msr spsr_el2, x29
    ldp x0, x1, [sp, #16 * 0]
    ldp x2, x3, [sp, #16 * 1]
    ldp x4, x5, [sp, #16 * 2]
    ldp x6, x7, [sp, #16 * 3]
    ldp x8, x9, [sp, #16 * 4]
    ldp x10, x11, [sp, #16 * 5]
    ldp x12, x13, [sp, #16 * 6]
    ldp x14, x15, [sp, #16 * 7]
    ldp x16, x17, [sp, #16 * 8]
    ldp x18, x19, [sp, #16 * 9]
    ldp x20, x21, [sp, #16 * 10]
    ldp x22, x23, [sp, #16 * 11]
    ldp x24, x25, [sp, #16 * 12]
    ldp x26, x27, [sp, #16 * 13]
    ldp x28, x29, [sp, #16 * 14]
    add sp, sp, #FRAME_SIZE
    eret

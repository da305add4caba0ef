// SPDX-License-Identifier: Apache-2.0
// The image's header (abi/gaol_image.h) and the way in at EL2 with the MMU off, from Linux's HVC_SOFT_RESTART.
#include "hypervisor/arch/arm64/per_cpu_layout.h"

// Distance of a symbol from the header, without a relocation at run time.
.macro OFFSET symbol
    .quad \symbol - . + (. - image_header)
.endm

    .section .header, "ax"
image_header:
    .ascii "GAOLIMG1"
    .word 1                             // revision
    .word gaol_entry - image_header
    OFFSET image_end                     // image_size
    OFFSET image_file_end                // file_size
    .fill 4, 8, 0                       // loader: physical_base, memory_size, config_offset, config_size
    .fill 1, 8, 0                       // loader: online_cpus, possible_cpus
    .fill 16, 8, 0                      // loader: mpidr
    OFFSET gaol_console_ring_area        // console_ring_offset

    .section .entry, "ax"
    .global gaol_entry
// x0: physical address of the header, x1: logical CPU. ELR_EL2 and SPSR_EL2 lead back to Linux.
// The per-CPU areas follow the config: x2 = base + page_up(config_offset + config_size) + cpu * PER_CPU_SIZE.
gaol_entry:
    ldr x2, [x0, #48]                   // config_offset
    ldr x3, [x0, #56]                   // config_size
    add x2, x2, x3
    add x2, x2, #4095
    and x2, x2, #~4095
    add x2, x2, x0
    mov x3, #PER_CPU_SIZE
    madd x2, x3, x1, x2
    mov x4, sp
    add x3, x2, x3
    mov sp, x3
    // What a function call keeps, and the way back.
    stp x29, x30, [sp, #-16]!
    stp x27, x28, [sp, #-16]!
    stp x25, x26, [sp, #-16]!
    stp x23, x24, [sp, #-16]!
    stp x21, x22, [sp, #-16]!
    stp x19, x20, [sp, #-16]!
    mrs x5, elr_el2
    mrs x6, spsr_el2
    stp x5, x6, [sp, #-16]!
    stp x18, x4, [sp, #-16]!
    mov x3, x4
    bl gaol_launch                      // (header, cpu, per-CPU area, stub's sp) -> x0
    ldp x18, x4, [sp], #16
    ldp x5, x6, [sp], #16
    msr elr_el2, x5
    msr spsr_el2, x6
    ldp x19, x20, [sp], #16
    ldp x21, x22, [sp], #16
    ldp x23, x24, [sp], #16
    ldp x25, x26, [sp], #16
    ldp x27, x28, [sp], #16
    ldp x29, x30, [sp], #16
    cmp x0, #0
    b.eq 1f
    mov sp, x4                          // refused: the stub's stack pointer again
1:  isb
    eret

// x0: SCTLR_EL2. Identity mapped: the next instruction is where it was.
    .global gaol_set_sctlr
gaol_set_sctlr:
    dsb sy
    isb
    msr sctlr_el2, x0
    isb
    ic iallu
    dsb sy
    isb
    ret

// Back to Linux for good: x0 = frame to restore, x1 = SCTLR_EL2, x2 = VBAR_EL2, x3 = SP_EL2 of the stub.
    .global gaol_leave
gaol_leave:
    ldp x4, x5, [x0, #16 * 15 + 8]      // ELR, SPSR
    msr elr_el2, x4
    msr spsr_el2, x5
    msr vbar_el2, x2
    mov x6, x1
    mov sp, x3
    mov x30, x0
    ldp x2, x3, [x30, #16 * 1]
    ldp x8, x9, [x30, #16 * 4]
    ldp x10, x11, [x30, #16 * 5]
    ldp x12, x13, [x30, #16 * 6]
    ldp x14, x15, [x30, #16 * 7]
    ldp x16, x17, [x30, #16 * 8]
    ldp x18, x19, [x30, #16 * 9]
    ldp x20, x21, [x30, #16 * 10]
    ldp x22, x23, [x30, #16 * 11]
    ldp x24, x25, [x30, #16 * 12]
    ldp x26, x27, [x30, #16 * 13]
    ldp x28, x29, [x30, #16 * 14]
    ldr x1, [x30, #8]
    ldr x4, [x30, #16 * 2]
    mov x0, x6
    ldr x5, [x30, #16 * 2 + 8]
    ldr x7, [x30, #16 * 3 + 8]
    ldr x6, [x30, #16 * 3]
    ldr x30, [x30, #16 * 15]
    dsb sy
    isb
    msr sctlr_el2, x0                   // identity mapped: goes on with the MMU off
    isb
    tlbi alle2
    dsb sy
    isb
    mov x0, #0                          // the hypercall's result
    eret

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the cell's reset address to C++. Entered at EL1 with the MMU off, registers undefined.
 *
 * Linked at 0, but able to run from any page of RAM: addresses before the MMU is on are relative to the program counter,
 * and the MMU then shows the image at its linked address. In a cell both are the same.
 */
    .section .entry, "ax"
    .global _start
_start:
    msr     daifset, #0xf
    adr     x20, _start                 /* where the image is in physical memory */
    adr     x0, vectors
    msr     vbar_el1, x0
    isb

    /* Lines left in the caches by an earlier run must not be written back over what follows. */
    adrp    x0, writable_start
    adrp    x1, writable_end
    bl      clean_invalidate

    adrp    x0, data_start
    add     x0, x0, :lo12:data_start
    adrp    x1, data_end
    add     x1, x1, :lo12:data_end
    adrp    x2, data_pristine
    add     x2, x2, :lo12:data_pristine
1:  cmp     x0, x1
    b.hs    2f
    ldp     x3, x4, [x2], #16
    stp     x3, x4, [x0], #16
    b       1b

2:  adrp    x0, bss_start
    add     x0, x0, :lo12:bss_start
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
3:  cmp     x0, x1
    b.hs    4f
    stp     xzr, xzr, [x0], #16
    b       3b

    /* C++ runs on SP_EL0, exceptions on SP_EL1: an overflowing stack can still be reported. */
4:  msr     spsel, #1
    adrp    x0, exception_stack_top
    mov     sp, x0
    msr     spsel, #0
    adrp    x0, stack_top
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr

    mov     x0, x20
    bl      mmu_build                   /* returns TTBR0 */
    mov     x19, x0
    adrp    x0, writable_start          /* nothing stale may be read when the caches come on */
    adrp    x1, writable_end
    bl      clean_invalidate
    mov     x0, x19
    bl      mmu_enable

    /* Linked addresses from here on. */
    ldr     x1, =linked
    br      x1
linked:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    msr     spsel, #1
    ldr     x0, =exception_stack_top
    mov     sp, x0
    msr     spsel, #0
    ldr     x0, =stack_top
    mov     sp, x0
    isb
    bl      inmate_entry
    b       .

/* Cleans and invalidates [x0, x1) to the point of coherency. */
clean_invalidate:
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4             /* DminLine: words of the smallest line, as a power of two */
    mov     x3, #4
    lsl     x2, x3, x2
1:  dc      civac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    1b
    dsb     sy
    ret

    .ltorg

/*
 * Vectors. The first thing an interrupt does is to read the counter: that is the time stamp "first instruction of the
 * handler", one store after the entry of the exception.
 */
    .set FRAME_SIZE, 36 * 8

    .macro save_all kind
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp]
    mrs     x0, cntvct_el0
    mov     x1, #\kind
    b       exception_common
    .endm

    .macro irq
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp]
    mrs     x0, cntvct_el0
    b       irq_common
    .endm

    .macro vector what, kind=0
    .balign 0x80
    \what   \kind
    .endm

    .macro irq_vector
    .balign 0x80
    irq
    .endm

    .section .vectors, "ax"
    .balign 0x800
    .global vectors
vectors:
    vector save_all, 0          /* current EL, SP_EL0: synchronous */
    irq_vector
    vector save_all, 2          /* FIQ */
    vector save_all, 3          /* SError */
    vector save_all, 4          /* current EL, SP_EL1: a fault inside of a handler */
    vector save_all, 5
    vector save_all, 6
    vector save_all, 7
    vector save_all, 8          /* lower EL, AArch64: an inmate has none */
    vector save_all, 9
    vector save_all, 10
    vector save_all, 11
    vector save_all, 12         /* lower EL, AArch32 */
    vector save_all, 13
    vector save_all, 14
    vector save_all, 15

    .section .text
irq_common:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x30, x2, [sp, #160]
    str     x3, [sp, #176]
    bl      irq_dispatch                /* (stamp) */
    ldr     x3, [sp, #176]
    ldp     x30, x2, [sp, #160]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x29, [sp, #144]
    ldp     x0, x1, [sp]
    add     sp, sp, #FRAME_SIZE
    eret

/* struct ExceptionFrame: x0..x30, sp, elr, spsr, esr, far */
exception_common:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, sp_el0
    stp     x30, x2, [sp, #240]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #256]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [sp, #272]
    mov     x0, sp
    bl      exception_report            /* (frame, kind); does not return */
    b       .

    .section .note.GNU-stack, "", %progbits

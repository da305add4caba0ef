/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Hypercalls of Jailhouse's ABI. arm64: `hvc #0x4a48`, number in x0, arguments in x1 and x2, result in x0. arm: the
 * same immediate with r0, r1, r2 (r3 is clobbered). x86: vmcall/vmmcall with eax, rdi, rsi. Errors are negative errno
 * values.
 */
#ifndef ABI_HYPERCALL_H
#define ABI_HYPERCALL_H

#define JH_HVC_IMMEDIATE 0x4a48

#define JH_HC_DISABLE 0
#define JH_HC_CELL_CREATE 1       /* physical address of the cell's config */
#define JH_HC_CELL_START 2        /* cell id */
#define JH_HC_CELL_SET_LOADABLE 3 /* cell id */
#define JH_HC_CELL_DESTROY 4      /* cell id */
#define JH_HC_HYPERVISOR_INFO 5   /* enum jh_hypervisor_info */
#define JH_HC_CELL_STATE 6        /* cell id */
#define JH_HC_CPU_INFO 7          /* cpu, enum jh_cpu_info */
#define JH_HC_CONSOLE_PUTC 8      /* character */

enum jh_hypervisor_info {
    JH_INFO_MEM_POOL_SIZE = 0,
    JH_INFO_MEM_POOL_USED = 1,
    JH_INFO_REMAP_POOL_SIZE = 2,
    JH_INFO_REMAP_POOL_USED = 3,
    JH_INFO_NUM_CELLS = 4,
};

enum jh_cpu_info {
    JH_CPU_INFO_STATE = 0,
    JH_CPU_INFO_STAT_BASE = 1000,
};

enum jh_cpu_state {
    JH_CPU_RUNNING = 0,
    JH_CPU_FAILED = 2,
};

/* Statistics counters: JH_CPU_INFO_STAT_BASE + one of these. 4 and above are those of arm and arm64. */
enum jh_cpu_stat {
    JH_STAT_TOTAL = 0,
    JH_STAT_MMIO = 1,
    JH_STAT_MANAGEMENT = 2,
    JH_STAT_HYPERCALL = 3,
    JH_STAT_ARM_MAINTENANCE = 4,
    JH_STAT_ARM_VIRQ = 5,
    JH_STAT_ARM_VSGI = 6,
    JH_STAT_ARM_PSCI = 7,
    JH_STAT_ARM_SMCCC = 8,
    JH_STAT_ARM_CP15 = 9,
    JH_NUM_STATS_ARM64 = 9,
};

enum jh_cell_state {
    JH_CELL_RUNNING = 0,
    JH_CELL_RUNNING_LOCKED = 1,
    JH_CELL_SHUT_DOWN = 2,
    JH_CELL_FAILED = 3,
    JH_CELL_FAILED_COMM_REV = 4,
};

/* Results are negative errno values of Linux. */
#define JH_EPERM 1
#define JH_ENOENT 2
#define JH_EIO 5
#define JH_E2BIG 7
#define JH_EAGAIN 11
#define JH_ENOMEM 12
#define JH_EBUSY 16
#define JH_EEXIST 17
#define JH_ENODEV 19
#define JH_EINVAL 22
#define JH_ERANGE 34
#define JH_ENOSYS 38

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The communication region of Jailhouse's ABI, revision 2: one page shared between the hypervisor and a cell. */
#ifndef ABI_COMM_REGION_H
#define ABI_COMM_REGION_H

#include "cell_config.h"
#include "hypercall.h"

#define JH_COMM_SIGNATURE "JHCOMM" /* six bytes, no NUL */
#define JH_COMM_SIGNATURE_SIZE 6
#define JH_COMM_REVISION 2

#define JH_COMM_FLAG_PUTC_PERMITTED 0x1u
#define JH_COMM_FLAG_PUTC_ACTIVE 0x2u

enum jh_message {
    JH_MSG_NONE = 0,
    JH_MSG_SHUTDOWN_REQUEST = 1,
    JH_MSG_RECONFIG_COMPLETED = 2,
};

enum jh_reply {
    JH_REPLY_NONE = 0,
    JH_REPLY_UNKNOWN = 1,
    JH_REPLY_REQUEST_DENIED = 2,
    JH_REPLY_REQUEST_APPROVED = 3,
    JH_REPLY_RECEIVED = 4,
};

/* The part that every architecture has. Fields are naturally aligned; the struct is not packed. */
struct jh_comm_generic {
    char signature[JH_COMM_SIGNATURE_SIZE];
    uint16_t revision;
    volatile uint32_t cell_state; /* written by the cell */
    volatile uint32_t msg_to_cell;
    volatile uint32_t reply_from_cell;
    uint32_t flags;
    struct jh_console console;
    uint64_t pci_mmconfig_base;
};
ABI_SIZE(struct jh_comm_generic, 64);

/* arm and arm64 */
struct jh_comm_arm {
    struct jh_comm_generic generic;
    uint8_t gic_version;
    uint8_t padding[7];
    uint64_t gicd_base;
    uint64_t gicc_base;
    uint64_t gicr_base;
    uint32_t vpci_irq_base;
};

struct jh_comm_x86 {
    struct jh_comm_generic generic;
    uint16_t pm_timer_address;
    uint16_t num_cpus;
    uint32_t tsc_khz;
    uint32_t apic_khz;
    /* the list of CPU ids (u32 each) follows */
};

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ivshmem revision 2 as a guest sees it (public ivshmem-v2 specification). */
#ifndef ABI_IVSHMEM_H
#define ABI_IVSHMEM_H

#include "types.h"

#define IVSHMEM_VENDOR_ID 0x110a
#define IVSHMEM_DEVICE_ID 0x4106
#define IVSHMEM_CLASS 0xff

/* BAR 0: one page of registers */
#define IVSHMEM_REG_ID 0x00
#define IVSHMEM_REG_MAX_PEERS 0x04
#define IVSHMEM_REG_INT_CONTROL 0x08 /* bit 0: enable */
#define IVSHMEM_REG_DOORBELL 0x0c    /* vector | target << 16 */
#define IVSHMEM_REG_STATE 0x10
#define IVSHMEM_REGISTERS_SIZE 0x1000
#define IVSHMEM_INT_ENABLE 0x1u

/* The vendor specific capability, offsets from its start in config space */
#define IVSHMEM_CAP_ID 0x09
#define IVSHMEM_CAP_LENGTH 0x20
#define IVSHMEM_CAP_PRIVILEGED_CONTROL 0x03  /* u8, bit 0: one-shot interrupts */
#define IVSHMEM_CAP_STATE_TABLE_SIZE 0x04    /* u32 */
#define IVSHMEM_CAP_RW_SECTION_SIZE 0x08     /* u64 */
#define IVSHMEM_CAP_OUTPUT_SECTION_SIZE 0x10 /* u64, of each peer */
#define IVSHMEM_CAP_BASE_ADDRESS 0x18        /* u64 */
#define IVSHMEM_CONTROL_ONE_SHOT 0x1u

#endif

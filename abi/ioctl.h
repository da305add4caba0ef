/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* ioctls of /dev/jailhouse (Jailhouse's ABI). Include <linux/ioctl.h> or <sys/ioctl.h> before this header. */
#ifndef ABI_IOCTL_H
#define ABI_IOCTL_H

#include "types.h"

struct jh_cell_create {
    uint64_t config_address;
    uint32_t config_size;
    uint32_t padding;
};

struct jh_cell_id {
    int32_t id; /* -1: look the cell up by name */
    uint32_t padding;
    char name[32];
};

struct jh_preload_image {
    uint64_t source_address; /* of the calling process */
    uint64_t size;
    uint64_t target_address; /* of the cell */
    uint64_t padding;
};

struct jh_cell_load {
    struct jh_cell_id cell_id;
    uint32_t num_preload_images;
    uint32_t padding;
    struct jh_preload_image image[];
};

#define JH_IOC_ENABLE _IOW(0, 0, void*) /* a struct jh_system with its arrays */
#define JH_IOC_DISABLE _IO(0, 1)
#define JH_IOC_CELL_CREATE _IOW(0, 2, struct jh_cell_create)
#define JH_IOC_CELL_LOAD _IOW(0, 3, struct jh_cell_load)
#define JH_IOC_CELL_START _IOW(0, 4, struct jh_cell_id)
#define JH_IOC_CELL_DESTROY _IOW(0, 5, struct jh_cell_id)

#endif

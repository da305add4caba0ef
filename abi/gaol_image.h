/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * gaol's own contract between its loader (driver/gaol) and its image (hypervisor/): not part of Jailhouse's ABI.
 *
 * The loader copies the image to the start of the hypervisor memory, the system config to the first page boundary at or
 * after image_size, fills in the fields marked "loader", cleans all of it to the point of coherency and then lets every
 * online CPU enter EL2 at `physical base + entry_offset` with HVC_SOFT_RESTART while interrupts are off. x0 carries the
 * physical address of this header, x1 the logical CPU number.
 * The image runs from its physical address; EL2's MMU is off at entry. Each CPU comes back to EL1 behind its HVC with
 * the result in x0: 0 or a negative errno, the same on every CPU. x0..x17 may be changed, all else is kept.
 *
 * Disabling: every online CPU of the root cell calls JH_HC_DISABLE at the same time with interrupts off. Each comes
 * back behind its HVC at EL1 with 0 and Linux's own stub at EL2 again, or all of them with the same negative errno and
 * gaol running on. Other cells are destroyed before.
 *
 * Creating a cell: the loader has chosen the id (1 and up) and stored it in jh_cell.id; the CPUs are offline (PSCI
 * CPU_OFF) when the hypercall comes. A result below 0 is an errno.
 *
 * Waiting for a cell's reply: create, start, set loadable and destroy answer -EAGAIN when x2 is GAOL_CALL_MAY_PAUSE and
 * a cell has not answered a message; the same call is to be made again, later. For everybody else the HVC is executed
 * again by itself: the caller sees a call that takes long, and its CPU takes interrupts meanwhile.
 */
#ifndef ABI_GAOL_IMAGE_H
#define ABI_GAOL_IMAGE_H

#include "types.h"

#define GAOL_IMAGE_SIGNATURE "GAOLIMG1" /* eight bytes */
#define GAOL_IMAGE_REVISION 1
#define GAOL_MAX_CPUS 16
#define GAOL_CALL_MAY_PAUSE 0x6573756170 /* x2 of a hypercall */

struct gaol_image {
    char signature[8];
    uint32_t revision;
    uint32_t entry_offset; /* from the header */
    uint64_t image_size;   /* code, data and zeroed data: all the loader reserves before the config */
    uint64_t file_size;    /* bytes in the file; the loader zeroes up to image_size */
    /* loader: */
    uint64_t physical_base;
    uint64_t memory_size; /* of the hypervisor memory region */
    uint64_t config_offset;
    uint64_t config_size;
    uint32_t online_cpus;
    uint32_t possible_cpus;
    uint64_t mpidr[GAOL_MAX_CPUS]; /* affinity of each logical CPU; ~0 where there is none */
    /*
     * image: where the virtual console's struct gaol_console is, page aligned; 0: the image has none. Its pages hold
     * nothing else, and are mapped to the root cell at stage 2, read-only, when the system config has
     * JH_SYS_VIRTUAL_CONSOLE.
     */
    uint64_t console_ring_offset;
};

/* The virtual console that the root cell may read: a ring that gaol alone writes. */
#define GAOL_CONSOLE_RING_SIZE 16384

struct gaol_console {
    volatile uint64_t written; /* characters ever written; the ring holds the last GAOL_CONSOLE_RING_SIZE of them */
    char ring[GAOL_CONSOLE_RING_SIZE];
};

#endif

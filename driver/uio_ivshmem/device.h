/* SPDX-License-Identifier: GPL-2.0-only */
/* One ivshmem device (revision 2) as a UIO device, wherever it was found. */
#ifndef UIO_IVSHMEM_DEVICE_H
#define UIO_IVSHMEM_DEVICE_H

#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/uio_driver.h>

#include "abi/ivshmem.h"

/* The shared memory in the order in which it lies: state table, read/write section, one output section per peer. */
struct ivshmem_sections {
	u64 base; /* physical */
	u32 state_table_size;
	u64 rw_size;	 /* may be 0 */
	u64 output_size; /* of each peer; may be 0 */
};

struct ivshmem {
	struct uio_info uio;
	void __iomem *registers;
	/* Optional: whether the registers are still there. Asked before they are touched, but not on every interrupt.
	 */
	bool (*present)(struct ivshmem *ivshmem);
	unsigned long present_until; /* jiffies: the last answer's best-before */
	struct mutex lock;	     /* over openers */
	unsigned int openers;
	bool writable[MAX_UIO_MAPS];
};

/*
 * Registers the UIO device. The caller has enabled the device, mapped its registers (`ivshmem->registers`, found at
 * `registers`) and chosen its interrupt (Linux's number). 0 or an errno with its reason in the log.
 */
int ivshmem_register(struct ivshmem *ivshmem, struct device *parent, phys_addr_t registers,
		     const struct ivshmem_sections *sections, int irq);

/* Takes the UIO device away; the device is left silent: no interrupts, state 0. */
void ivshmem_unregister(struct ivshmem *ivshmem);

/* maps.c: what user space may map, and how. */
int ivshmem_add_maps(struct ivshmem *ivshmem, struct device *parent, phys_addr_t registers,
		     const struct ivshmem_sections *sections);
int ivshmem_mmap(struct uio_info *info, struct vm_area_struct *vma);

/* module.c: the parameter one_shot. */
bool ivshmem_one_shot(void);

/* pci.c, window.c: the two ways to find devices. */
int ivshmem_pci_init(void);
void ivshmem_pci_exit(void);
#ifdef CONFIG_ARM64
int ivshmem_window_init(void);
void ivshmem_window_exit(void);
#else
static inline int ivshmem_window_init(void)
{
	return 0;
}
static inline void ivshmem_window_exit(void)
{
}
#endif

/*
 * Device class 0xff carries the protocol. This driver takes what user space is meant to speak: undefined and custom
 * protocols; Ethernet and virtio have kernel drivers of their own.
 */
static inline bool ivshmem_protocol_is_ours(u16 protocol)
{
	return protocol == 0x0000 || (protocol >= 0x4000 && protocol < 0x8000);
}

#endif

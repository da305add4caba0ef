/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI configuration space through its memory window (ECAM), without the kernel's PCI core. */
#ifndef UIO_IVSHMEM_ECAM_H
#define UIO_IVSHMEM_ECAM_H

#include <linux/types.h>

/* A function's 4 KiB of configuration space; offsets as in PCI 3.0, chapter 6. */
struct ecam_function {
	void __iomem *config;
	u8 bus, device, function;
};

/* Calls `visit` for each function that answers, until it returns an error. Returns that error, or 0. */
int ecam_walk(void __iomem *window, unsigned int buses, int (*visit)(const struct ecam_function *function));

u8 ecam_find_capability(const struct ecam_function *function, u8 id);
u64 ecam_read_u64(const struct ecam_function *function, unsigned int offset);

/* Gives BAR 0 an address below 4 GiB and switches memory decoding on. -EINVAL: no memory BAR of this size. */
int ecam_place_bar0(const struct ecam_function *function, u32 address, u32 size);
u32 ecam_read_bar0(const struct ecam_function *function); /* its address, without the flag bits */
void ecam_disable(const struct ecam_function *function);

#endif

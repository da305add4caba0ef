/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls into the hypervisor: abi/hypercall.h. */
#ifndef GAOL_HYPERCALL_H
#define GAOL_HYPERCALL_H

#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/stringify.h>
#include <linux/types.h>

#include "abi/gaol_image.h"
#include "abi/hypercall.h"

/* Returns the hypervisor's result, negative errno values included. Only while the hypervisor runs on this CPU. */
static inline long gaol_hypercall(u64 number, u64 first, u64 second)
{
	register u64 x0 asm("x0") = number;
	register u64 x1 asm("x1") = first;
	register u64 x2 asm("x2") = second;

	asm volatile("hvc #" __stringify(JH_HVC_IMMEDIATE) : "+r"(x0) : "r"(x1), "r"(x2) : "memory");
	return (int)x0; /* results are 32-bit values in every version of the ABI */
}

/* A call that changes cells. While a cell takes its time with a reply, others have the CPU. */
static inline int gaol_manage(u64 number, u64 first)
{
	long result;

	while ((result = gaol_hypercall(number, first, GAOL_CALL_MAY_PAUSE)) == -EAGAIN)
		schedule_timeout_idle(1);
	return (int)result;
}

#endif

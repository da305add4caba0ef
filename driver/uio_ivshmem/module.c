// SPDX-License-Identifier: GPL-2.0-only
/* uio_ivshmem: shared memory devices of a partitioning hypervisor (ivshmem revision 2) for user space. */
#include <linux/module.h>

#include "device.h"

static bool one_shot = true;
module_param(one_shot, bool, 0444);
MODULE_PARM_DESC(one_shot, "interrupts switch themselves off and wait for a write of 1 (default); 0: they stay on");

bool ivshmem_one_shot(void)
{
	return one_shot;
}

static int __init ivshmem_init(void)
{
	int error = ivshmem_window_init();

	if (error)
		return error;
	error = ivshmem_pci_init();
	if (error)
		ivshmem_window_exit();
	return error;
}

static void __exit ivshmem_exit(void)
{
	ivshmem_pci_exit();
	ivshmem_window_exit();
}

module_init(ivshmem_init);
module_exit(ivshmem_exit);

MODULE_DESCRIPTION("UIO driver for ivshmem devices of revision 2");
MODULE_LICENSE("GPL v2");

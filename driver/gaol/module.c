// SPDX-License-Identifier: GPL-2.0-only
/* /dev/jailhouse: the ioctls of abi/ioctl.h and the virtual console. */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "gaol.h"

static long gaol_ioctl(struct file *file, unsigned int command, unsigned long argument);

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = gaol_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.read = gaol_console_read,
	.llseek = no_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "jailhouse",
	.fops = &operations,
	.mode = 0600,
};

static long dispatch(unsigned int command, void __user *argument)
{
	switch (command) {
	case JH_IOC_ENABLE:
		return gaol_enable(device.this_device, argument);
	case JH_IOC_DISABLE:
		return gaol_disable();
	case JH_IOC_CELL_CREATE:
		return gaol_cell_create(argument);
	case JH_IOC_CELL_LOAD:
		return gaol_cell_load(argument);
	case JH_IOC_CELL_START:
		return gaol_cell_start(argument);
	case JH_IOC_CELL_DESTROY:
		return gaol_cell_destroy(argument);
	default:
		return -EINVAL;
	}
}

/* One operation at a time; a caller that is killed while it waits has changed nothing. */
static long gaol_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	long result;

	if (mutex_lock_killable(&gaol_lock))
		return -EINTR;
	result = dispatch(command, (void __user *)argument);
	mutex_unlock(&gaol_lock);
	return result;
}

static int __init gaol_init(void)
{
	int error = gaol_sysfs_init();

	if (error)
		return error;
	error = misc_register(&device);
	if (error)
		gaol_sysfs_exit();
	return error;
}

/* Only while the hypervisor is off: enabling holds a reference to the module. */
static void __exit gaol_exit(void)
{
	misc_deregister(&device);
	gaol_sysfs_exit();
	kfree(gaol.kept_console);
}

module_init(gaol_init);
module_exit(gaol_exit);

MODULE_DESCRIPTION("Loader of the gaol partitioning hypervisor (Jailhouse's ABI)");
MODULE_LICENSE("GPL v2");
MODULE_FIRMWARE("jailhouse.bin");

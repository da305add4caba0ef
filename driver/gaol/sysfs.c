// SPDX-License-Identifier: GPL-2.0-only
/* /sys/devices/jailhouse: the hypervisor's state, page pools and console, and the directory of the cells. */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>

#include "gaol.h"
#include "hypercall.h"

static struct device *device;
static struct kobject *cells;

/*
 * For the readers of attributes. Removing an attribute waits for its readers while gaol_lock is held, so they must not
 * wait for the lock: they start over instead.
 */
int gaol_lock_from_sysfs(void)
{
	if (mutex_trylock(&gaol_lock))
		return 0;
	msleep(5);
	return restart_syscall();
}

static ssize_t enabled_show(struct device *dev, struct device_attribute *attribute, char *buffer)
{
	return sysfs_emit(buffer, "%d\n", gaol.enabled);
}
static DEVICE_ATTR_RO(enabled);

/* A pool's figure in pages; 0 while there is no hypervisor. */
static ssize_t pool_show(char *buffer, enum jh_hypervisor_info what)
{
	long value = 0;
	int error = gaol_lock_from_sysfs();

	if (error)
		return error;
	if (gaol.enabled)
		value = gaol_hypercall(JH_HC_HYPERVISOR_INFO, what, 0);
	mutex_unlock(&gaol_lock);
	return value < 0 ? value : sysfs_emit(buffer, "%ld\n", value);
}

#define POOL_ATTRIBUTE(name, what)                                                                                     \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attribute, char *buffer)               \
	{                                                                                                              \
		return pool_show(buffer, what);                                                                        \
	}                                                                                                              \
	static DEVICE_ATTR_RO(name)

POOL_ATTRIBUTE(mem_pool_size, JH_INFO_MEM_POOL_SIZE);
POOL_ATTRIBUTE(mem_pool_used, JH_INFO_MEM_POOL_USED);
POOL_ATTRIBUTE(remap_pool_size, JH_INFO_REMAP_POOL_SIZE);
POOL_ATTRIBUTE(remap_pool_used, JH_INFO_REMAP_POOL_USED);

/* The whole ring from its oldest character on: more than the one page of an ordinary attribute. */
static ssize_t console_read(struct file *file, struct kobject *kobject, struct bin_attribute *attribute, char *buffer,
			    loff_t offset, size_t size)
{
	u64 position, lost;
	ssize_t result;

	if (mutex_lock_interruptible(&gaol_console_lock))
		return -ERESTARTSYS;
	result = gaol_console_state();
	if (result == 0) {
		position = gaol_console_oldest() + offset;
		result = position > gaol.console->written ? 0 : gaol_console_copy(buffer, size, &position, &lost);
	}
	mutex_unlock(&gaol_console_lock);
	return result;
}
static BIN_ATTR(console, 0400, console_read, NULL, 0);

static struct attribute *attributes[] = {
	&dev_attr_enabled.attr,		&dev_attr_mem_pool_size.attr,	&dev_attr_mem_pool_used.attr,
	&dev_attr_remap_pool_size.attr, &dev_attr_remap_pool_used.attr, NULL,
};
static struct bin_attribute *bin_attributes[] = { &bin_attr_console, NULL };
static const struct attribute_group group = { .attrs = attributes, .bin_attrs = bin_attributes };

struct kobject *gaol_sysfs_cells(void)
{
	return cells;
}

int gaol_sysfs_init(void)
{
	int error;

	device = root_device_register("jailhouse");
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = sysfs_create_group(&device->kobj, &group);
	if (error)
		goto unregister;
	cells = kobject_create_and_add("cells", &device->kobj);
	if (!cells) {
		error = -ENOMEM;
		goto remove_group;
	}
	return 0;
remove_group:
	sysfs_remove_group(&device->kobj, &group);
unregister:
	root_device_unregister(device);
	return error;
}

void gaol_sysfs_exit(void)
{
	kobject_put(cells);
	sysfs_remove_group(&device->kobj, &group);
	root_device_unregister(device);
}

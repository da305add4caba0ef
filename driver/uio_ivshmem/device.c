// SPDX-License-Identifier: GPL-2.0-only
#include <linux/device.h>
#include <linux/io.h>
#include <linux/jiffies.h>

#include "device.h"

/*
 * A hypervisor that is switched off takes its devices along without a word, and touching what was there is fatal.
 * Asking costs an exit to it, as much as a doorbell: an answer counts for a few milliseconds.
 */
#define PRESENT_MS 10

static bool is_present(struct ivshmem *ivshmem)
{
	if (!ivshmem->present || time_before(jiffies, READ_ONCE(ivshmem->present_until)))
		return true;
	if (!ivshmem->present(ivshmem))
		return false;
	WRITE_ONCE(ivshmem->present_until, jiffies + msecs_to_jiffies(PRESENT_MS));
	return true;
}

static int write_register(struct ivshmem *ivshmem, u32 offset, u32 value)
{
	if (!is_present(ivshmem))
		return -ENODEV;
	writel(value, ivshmem->registers + offset);
	return 0;
}

/* No interrupts from here on, and the peers see state 0, which every protocol takes for "not there". */
static void silence(struct ivshmem *ivshmem)
{
	WRITE_ONCE(ivshmem->present_until, jiffies); /* seldom enough to ask again */
	write_register(ivshmem, IVSHMEM_REG_INT_CONTROL, 0);
	write_register(ivshmem, IVSHMEM_REG_STATE, 0);
}

/*
 * The device has no interrupt status: each edge is one event. In one-shot mode it has already switched its interrupts
 * off; user space switches them on again by writing 1 to the UIO file.
 */
static irqreturn_t handle_interrupt(int irq, struct uio_info *info)
{
	return IRQ_HANDLED;
}

static int control_interrupt(struct uio_info *info, s32 on)
{
	return write_register(info->priv, IVSHMEM_REG_INT_CONTROL, on ? IVSHMEM_INT_ENABLE : 0);
}

static int open_device(struct uio_info *info, struct inode *inode)
{
	struct ivshmem *ivshmem = info->priv;

	mutex_lock(&ivshmem->lock);
	ivshmem->openers++;
	mutex_unlock(&ivshmem->lock);
	return 0;
}

/* The last user is gone, perhaps killed: its peers must not go on believing in it. */
static int release_device(struct uio_info *info, struct inode *inode)
{
	struct ivshmem *ivshmem = info->priv;

	mutex_lock(&ivshmem->lock);
	if (--ivshmem->openers == 0)
		silence(ivshmem);
	mutex_unlock(&ivshmem->lock);
	return 0;
}

int ivshmem_register(struct ivshmem *ivshmem, struct device *parent, phys_addr_t registers,
		     const struct ivshmem_sections *sections, int irq)
{
	struct uio_info *uio = &ivshmem->uio;
	int error;

	mutex_init(&ivshmem->lock);
	uio->name = "uio_ivshmem";
	uio->version = "2";
	uio->priv = ivshmem;
	uio->irq = irq;
	uio->irq_flags = IRQF_SHARED;
	uio->handler = handle_interrupt;
	uio->irqcontrol = control_interrupt;
	uio->mmap = ivshmem_mmap;
	uio->open = open_device;
	uio->release = release_device;
	error = ivshmem_add_maps(ivshmem, parent, registers, sections);
	if (error)
		return error;
	silence(ivshmem);
	error = uio_register_device(parent, uio);
	if (error) {
		dev_err(parent, "no UIO device: %d\n", error);
		return error;
	}
	dev_info(parent, "peer %u of %u, interrupt %d (%s)\n", readl(ivshmem->registers + IVSHMEM_REG_ID),
		 readl(ivshmem->registers + IVSHMEM_REG_MAX_PEERS), irq, ivshmem_one_shot() ? "one-shot" : "plain");
	return 0;
}

void ivshmem_unregister(struct ivshmem *ivshmem)
{
	uio_unregister_device(&ivshmem->uio);
	silence(ivshmem);
}

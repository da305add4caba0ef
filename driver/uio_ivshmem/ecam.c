// SPDX-License-Identifier: GPL-2.0-only
#include <linux/io.h>
#include <linux/pci_regs.h>

#include "ecam.h"

#define DEVICES 32
#define FUNCTIONS 8
#define MAX_CAPABILITIES 48 /* 192 bytes of them, 4 bytes each at least: ends also when the list is a ring */

static bool answers(const struct ecam_function *function)
{
	u32 id = readl(function->config + PCI_VENDOR_ID);

	return id != 0xffffffff && id != 0;
}

static int walk_device(void __iomem *window, unsigned int bus, unsigned int device,
		       int (*visit)(const struct ecam_function *function))
{
	unsigned int number, count = 1;
	int error;

	for (number = 0; number < count; number++) {
		struct ecam_function function = {
			.config = window + (bus << 20 | device << 15 | number << 12),
			.bus = bus,
			.device = device,
			.function = number,
		};

		if (!answers(&function))
			continue;
		if (number == 0 && readb(function.config + PCI_HEADER_TYPE) & 0x80)
			count = FUNCTIONS;
		error = visit(&function);
		if (error)
			return error;
	}
	return 0;
}

int ecam_walk(void __iomem *window, unsigned int buses, int (*visit)(const struct ecam_function *function))
{
	unsigned int bus, device;
	int error;

	for (bus = 0; bus < buses; bus++)
		for (device = 0; device < DEVICES; device++) {
			error = walk_device(window, bus, device, visit);
			if (error)
				return error;
		}
	return 0;
}

/* Offset of a capability, 0: there is none. */
u8 ecam_find_capability(const struct ecam_function *function, u8 id)
{
	unsigned int turn;
	u8 offset;

	if (!(readw(function->config + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	offset = readb(function->config + PCI_CAPABILITY_LIST) & ~3;
	for (turn = 0; turn < MAX_CAPABILITIES && offset >= PCI_STD_HEADER_SIZEOF; turn++) {
		if (readb(function->config + offset + PCI_CAP_LIST_ID) == id)
			return offset;
		offset = readb(function->config + offset + PCI_CAP_LIST_NEXT) & ~3;
	}
	return 0;
}

u64 ecam_read_u64(const struct ecam_function *function, unsigned int offset)
{
	return readl(function->config + offset) | (u64)readl(function->config + offset + 4) << 32;
}

int ecam_place_bar0(const struct ecam_function *function, u32 address, u32 size)
{
	void __iomem *bar = function->config + PCI_BASE_ADDRESS_0;
	u32 mask;

	ecam_disable(function); /* decoding must be off while the BAR is sized */
	writel(0xffffffff, bar);
	mask = readl(bar);
	if (mask & PCI_BASE_ADDRESS_SPACE_IO || !(mask & PCI_BASE_ADDRESS_MEM_MASK) ||
	    ~(mask & (u32)PCI_BASE_ADDRESS_MEM_MASK) + 1 != size)
		return -EINVAL;
	writel(address, bar);
	if ((mask & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		writel(0, bar + 4);
	writew(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, function->config + PCI_COMMAND);
	return 0;
}

u32 ecam_read_bar0(const struct ecam_function *function)
{
	return readl(function->config + PCI_BASE_ADDRESS_0) & (u32)PCI_BASE_ADDRESS_MEM_MASK;
}

void ecam_disable(const struct ecam_function *function)
{
	writew(0, function->config + PCI_COMMAND);
}

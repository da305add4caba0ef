// SPDX-License-Identifier: GPL-2.0-only
/*
 * What user space may map: registers, the state table (read-only), the read/write section, all peers' output sections
 * (read-only: the peers' input) and the own output section. Empty sections have no map: find maps by their names in
 * /sys/class/uio/uio<n>/maps. The hypervisor enforces the same; refused here, a mistake is an error and not a trap.
 */
#include <linux/device.h>
#include <linux/io.h>
#include <linux/mm.h>

#include "device.h"

static int add_map(struct ivshmem *ivshmem, struct device *parent, const char *name, u64 address, u64 size,
		   bool writable)
{
	struct uio_mem *mem = ivshmem->uio.mem;
	int index = 0;

	if (!size)
		return 0;
	if ((address | size) & ~PAGE_MASK) {
		dev_err(parent, "%s: 0x%llx+0x%llx: whole pages expected\n", name, address, size);
		return -EINVAL;
	}
	while (mem[index].size)
		index++; /* at most five, as many as there are maps */
	mem[index].name = name;
	mem[index].addr = address;
	mem[index].size = size;
	mem[index].memtype = UIO_MEM_PHYS;
	ivshmem->writable[index] = writable;
	return 0;
}

int ivshmem_add_maps(struct ivshmem *ivshmem, struct device *parent, phys_addr_t registers,
		     const struct ivshmem_sections *sections)
{
	u32 id = readl(ivshmem->registers + IVSHMEM_REG_ID);
	u32 peers = readl(ivshmem->registers + IVSHMEM_REG_MAX_PEERS);
	u64 rw = sections->base + sections->state_table_size;
	u64 outputs = rw + sections->rw_size;
	int error;

	if (id >= peers) {
		dev_err(parent, "peer %u of %u: no such peer\n", id, peers);
		return -EIO;
	}
	error = add_map(ivshmem, parent, "registers", registers, IVSHMEM_REGISTERS_SIZE, true);
	if (!error)
		error = add_map(ivshmem, parent, "state_table", sections->base, sections->state_table_size, false);
	if (!error)
		error = add_map(ivshmem, parent, "rw_section", rw, sections->rw_size, true);
	if (!error)
		error = add_map(ivshmem, parent, "input_sections", outputs, peers * sections->output_size, false);
	if (!error)
		error = add_map(ivshmem, parent, "output_section", outputs + id * sections->output_size,
				sections->output_size, true);
	return error;
}

/* The UIO core has checked that the request fits into the map. Registers are device memory, the rest is RAM. */
int ivshmem_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
	struct ivshmem *ivshmem = info->priv;
	unsigned long index = vma->vm_pgoff;

	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	vma->vm_flags &= ~VM_MAYEXEC;
	if (!ivshmem->writable[index]) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		vma->vm_flags &= ~VM_MAYWRITE; /* mprotect must not bring it back */
	}
	if (index == 0)
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return remap_pfn_range(vma, vma->vm_start, info->mem[index].addr >> PAGE_SHIFT, vma->vm_end - vma->vm_start,
			       vma->vm_page_prot);
}

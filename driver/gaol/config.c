// SPDX-License-Identifier: GPL-2.0-only
/* Configs as they come from user space: copied once, checked for form. What they mean is the hypervisor's to judge. */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "gaol.h"

#define MAX_CONFIG_SIZE (256 * 1024)

static int check_head(const char *kind, const char *signature, const char *expected, u8 architecture, u16 revision)
{
	if (memcmp(signature, expected, JH_SIGNATURE_SIZE) != 0) {
		pr_err("%s config: signature %*pE found, %s expected\n", kind, JH_SIGNATURE_SIZE, signature, expected);
		return -EINVAL;
	}
	if (architecture != JH_ARCH_ARM64) {
		pr_err("%s config: architecture %u, this machine is %u (arm64)\n", kind, architecture, JH_ARCH_ARM64);
		return -EINVAL;
	}
	if (revision != JH_CONFIG_REVISION) {
		pr_err("%s config: revision %u, supported is %u\n", kind, revision, JH_CONFIG_REVISION);
		return -EINVAL;
	}
	return 0;
}

/* Bytes of all arrays behind a descriptor. u32 counts of small structs: a u64 sum cannot overflow. */
size_t gaol_config_arrays_size(const struct jh_cell *config)
{
	return (u64)config->cpu_set_size + (u64)config->num_memory_regions * sizeof(struct jh_memory) +
	       (u64)config->num_cache_regions * sizeof(struct jh_cache) +
	       (u64)config->num_irqchips * sizeof(struct jh_irqchip) +
	       (u64)config->num_pio_regions * sizeof(struct jh_pio) +
	       (u64)config->num_pci_devices * sizeof(struct jh_pci_device) +
	       (u64)config->num_pci_caps * sizeof(struct jh_pci_capability) + (u64)config->num_stream_ids * sizeof(u32);
}

/*
 * Page aligned and physically contiguous: the hypervisor reads it by its physical address. The fixed part is what was
 * checked before; user space may change its copy in between, so it is not copied twice.
 */
static void *copy_config(const void __user *source, const void *head, size_t head_size, size_t size)
{
	void *config;

	if (size > MAX_CONFIG_SIZE) {
		pr_err("config of %zu bytes: at most %d are taken\n", size, MAX_CONFIG_SIZE);
		return ERR_PTR(-E2BIG);
	}
	config = kzalloc(PAGE_ALIGN(size), GFP_USER | __GFP_NOWARN);
	if (!config)
		return ERR_PTR(-ENOMEM);
	memcpy(config, head, head_size);
	if (copy_from_user(config + head_size, source + head_size, size - head_size)) {
		kfree(config);
		return ERR_PTR(-EFAULT);
	}
	return config;
}

/* The caller frees with kfree. */
struct jh_system *gaol_copy_system(const void __user *source, size_t *size)
{
	struct jh_system head;
	int error;

	if (copy_from_user(&head, source, sizeof(head)))
		return ERR_PTR(-EFAULT);
	error = check_head("system", head.signature, JH_SYSTEM_SIGNATURE, head.architecture, head.revision);
	if (error)
		return ERR_PTR(error);
	head.root_cell.name[JH_CELL_NAME_SIZE - 1] = 0;
	head.root_cell.id = 0;
	*size = sizeof(head) + gaol_config_arrays_size(&head.root_cell);
	return copy_config(source, &head, sizeof(head), *size);
}

/* The caller frees with kfree. */
struct jh_cell *gaol_copy_cell(const void __user *source, size_t size)
{
	struct jh_cell head;
	size_t needed;
	int error;

	if (size < sizeof(head)) {
		pr_err("cell config: %zu bytes, its descriptor alone has %zu\n", size, sizeof(head));
		return ERR_PTR(-EINVAL);
	}
	if (copy_from_user(&head, source, sizeof(head)))
		return ERR_PTR(-EFAULT);
	error = check_head("cell", head.signature, JH_CELL_SIGNATURE, head.architecture, head.revision);
	if (error)
		return ERR_PTR(error);
	if (!head.name[0] || strnlen(head.name, sizeof(head.name)) == sizeof(head.name)) {
		pr_err("cell config: name: 1 to %d characters and a NUL expected\n", JH_CELL_NAME_SIZE - 1);
		return ERR_PTR(-EINVAL);
	}
	needed = sizeof(head) + gaol_config_arrays_size(&head);
	if (size < needed) {
		pr_err("cell config \"%s\": %zu bytes, its counts ask for %zu\n", head.name, size, needed);
		return ERR_PTR(-EINVAL);
	}
	return copy_config(source, &head, sizeof(head), needed);
}

/* The cpu set as Linux's mask. -EINVAL: a CPU beyond what Linux or the image can have. */
int gaol_config_cpus(const struct jh_cell *config, cpumask_t *cpus)
{
	const u8 *set = (const u8 *)(config + 1);
	u64 cpu;

	cpumask_clear(cpus);
	for (cpu = 0; cpu < (u64)config->cpu_set_size * 8; cpu++) {
		if (!(set[cpu / 8] & (1 << (cpu % 8))))
			continue;
		if (cpu >= GAOL_MAX_CPUS || cpu >= nr_cpu_ids) {
			pr_err("config \"%s\": CPU %llu is in its set; this machine has %u\n", config->name, cpu,
			       nr_cpu_ids);
			return -EINVAL;
		}
		cpumask_set_cpu(cpu, cpus);
	}
	return 0;
}

const struct jh_memory *gaol_config_regions(const struct jh_cell *config)
{
	return (const void *)(config + 1) + config->cpu_set_size;
}

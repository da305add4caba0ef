// SPDX-License-Identifier: GPL-2.0-only
/* Enabling and disabling: image and config into the hypervisor's memory, every CPU through it, and all of it undone. */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/firmware.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "gaol.h"
#include "hypercall.h"

#define IMAGE_NAME "jailhouse.bin"
#define LINE_SIZE 256

struct gaol_hypervisor gaol = { .cells = LIST_HEAD_INIT(gaol.cells) };
DEFINE_MUTEX(gaol_lock);

static bool holds_console(const struct gaol_image *image)
{
	return !(image->console_ring_offset & ~PAGE_MASK) && image->console_ring_offset < image->image_size &&
	       image->image_size - image->console_ring_offset >= sizeof(struct gaol_console);
}

static int check_image(const struct firmware *firmware, u64 config_size, u64 memory_size)
{
	const struct gaol_image *image = (const void *)firmware->data;

	if (firmware->size < sizeof(*image) || memcmp(image->signature, GAOL_IMAGE_SIGNATURE, 8) != 0) {
		pr_err(IMAGE_NAME ": not an image of gaol (its own jailhouse.ko belongs to each hypervisor)\n");
		return -EINVAL;
	}
	if (image->revision != GAOL_IMAGE_REVISION) {
		pr_err(IMAGE_NAME ": revision %u, this module loads %u\n", image->revision, GAOL_IMAGE_REVISION);
		return -EINVAL;
	}
	if (image->file_size > firmware->size || image->image_size < image->file_size ||
	    image->entry_offset >= image->file_size || (image->console_ring_offset && !holds_console(image))) {
		pr_err(IMAGE_NAME ": damaged: file of %zu bytes\n", firmware->size);
		return -EINVAL;
	}
	if (image->image_size > memory_size || PAGE_ALIGN(image->image_size) + PAGE_ALIGN(config_size) > memory_size) {
		pr_err("hypervisor memory of %llu bytes is too small: image %llu, config %llu\n", memory_size,
		       image->image_size, config_size);
		return -ENOMEM;
	}
	return 0;
}

/* Fills the hypervisor's memory as abi/gaol_image.h says. */
static void place_image(void *memory, const struct firmware *firmware, const struct jh_system *config, u64 config_size)
{
	struct gaol_image *image = memory;
	u64 file_size = ((const struct gaol_image *)firmware->data)->file_size;

	memcpy(memory, firmware->data, file_size);
	image->physical_base = config->hypervisor_memory.phys_start;
	image->memory_size = config->hypervisor_memory.size;
	image->config_offset = PAGE_ALIGN(image->image_size);
	image->config_size = config_size;
	image->online_cpus = num_online_cpus();
	image->possible_cpus = num_possible_cpus();
	gaol_read_affinities(image->mpidr);
	memset(memory + file_size, 0, image->config_offset - file_size);
	memcpy(memory + image->config_offset, config, config_size);
}

static int check_memory(const struct jh_memory *memory)
{
	if (!memory->size || (memory->size | memory->phys_start) & ~PAGE_MASK ||
	    memory->phys_start + memory->size < memory->phys_start) {
		pr_err("system config: hypervisor_memory 0x%llx+0x%llx: whole pages expected\n", memory->phys_start,
		       memory->size);
		return -EINVAL;
	}
	if (region_intersects(memory->phys_start, memory->size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT) {
		pr_err("system config: hypervisor_memory 0x%llx+0x%llx is Linux's own; boot it with less (mem=)\n",
		       memory->phys_start, memory->size);
		return -EBUSY;
	}
	return 0;
}

static int check_cpus(const struct jh_cell *root, cpumask_t *cpus)
{
	int error = gaol_config_cpus(root, cpus);

	if (error)
		return error;
	if (!cpumask_equal(cpus, cpu_online_mask)) {
		pr_err("system config: root cell has CPUs %*pbl, online are %*pbl: these must be the same\n",
		       cpumask_pr_args(cpus), cpumask_pr_args(cpu_online_mask));
		return -EINVAL;
	}
	return 0;
}

/* The hypervisor's reason, from its ring: the config's own console may be what is wrong. */
static void report_refusal(const void *memory, u64 ring_offset, int error)
{
	char line[LINE_SIZE] = "";

	if (ring_offset)
		gaol_console_last_line(memory + ring_offset, line, sizeof(line));
	pr_err("the hypervisor refused to start: %pe: %s\n", ERR_PTR(error), line[0] ? line : "it gave no reason");
}

/* Image and config into place, then through it with all CPUs. */
static int place_and_launch(const struct firmware *firmware, const struct jh_system *config, u64 config_size)
{
	const struct jh_memory *memory = &config->hypervisor_memory;
	const struct gaol_image *image = (const void *)firmware->data;
	void *mapping = memremap(memory->phys_start, memory->size, MEMREMAP_WB);
	int error;

	if (!mapping) {
		pr_err("hypervisor memory 0x%llx+0x%llx cannot be mapped\n", memory->phys_start, memory->size);
		return -ENOMEM;
	}
	place_image(mapping, firmware, config, config_size);
	gaol_clean_cache(mapping, memory->size);
	error = gaol_launch(memory->phys_start, memory->phys_start + image->entry_offset);
	if (error)
		report_refusal(mapping, image->console_ring_offset, error);
	/* From here on the pages may be out of reach: nothing touches the mapping any more. */
	memunmap(mapping);
	return error;
}

static void map_console(const struct jh_system *config, u64 offset)
{
	mutex_lock(&gaol_console_lock);
	kfree(gaol.kept_console);
	gaol.kept_console = NULL;
	gaol.console = NULL;
	gaol.console_generation++;
	gaol.console_permitted = config->flags & JH_SYS_VIRTUAL_CONSOLE;
	if (gaol.console_permitted && offset) {
		gaol.console = memremap(gaol.base + offset, sizeof(*gaol.console), MEMREMAP_WB);
		if (!gaol.console)
			pr_warn("the virtual console cannot be mapped; it stays unreadable\n");
	}
	mutex_unlock(&gaol_console_lock);
}

/* What a hypervisor has said can be read until the next one starts. */
static void unmap_console(void)
{
	mutex_lock(&gaol_console_lock);
	if (gaol.console) {
		gaol.kept_console = kmemdup(gaol.console, sizeof(*gaol.console), GFP_KERNEL);
		memunmap(gaol.console);
	}
	gaol.console = gaol.kept_console;
	gaol.console_permitted = false;
	mutex_unlock(&gaol_console_lock);
}

static int start(struct device *dev, const struct jh_system *config, size_t config_size, struct gaol_cell *root)
{
	const struct jh_memory *memory = &config->hypervisor_memory;
	const struct firmware *firmware;
	int error;

	error = request_firmware(&firmware, IMAGE_NAME, dev);
	if (error) {
		pr_err("/lib/firmware/" IMAGE_NAME " cannot be loaded: %pe\n", ERR_PTR(error));
		return error;
	}
	error = check_image(firmware, config_size, memory->size);
	if (!error && !request_mem_region(memory->phys_start, memory->size, "Jailhouse hypervisor")) {
		pr_err("hypervisor memory 0x%llx+0x%llx is taken; see /proc/iomem\n", memory->phys_start, memory->size);
		error = -EBUSY;
	}
	if (error)
		goto release;
	cpu_hotplug_disable();
	error = check_cpus(&config->root_cell, &root->cpus);
	if (!error)
		error = place_and_launch(firmware, config, config_size);
	cpu_hotplug_enable();
	if (error) {
		release_mem_region(memory->phys_start, memory->size);
		goto release;
	}
	gaol.base = memory->phys_start;
	gaol.size = memory->size;
	gaol.root = root;
	gaol.enabled = true;
	map_console(config, ((const struct gaol_image *)firmware->data)->console_ring_offset);
release:
	release_firmware(firmware);
	return error;
}

/* Takes the machine over. The config is checked for form here; what it means is checked by the hypervisor. */
int gaol_enable(struct device *dev, const void __user *source)
{
	struct jh_system *config;
	struct gaol_cell *root;
	size_t size;
	int error;

	if (gaol.enabled)
		return -EBUSY;
	config = gaol_copy_system(source, &size);
	if (IS_ERR(config))
		return PTR_ERR(config);
	error = check_memory(&config->hypervisor_memory);
	if (!error)
		error = gaol_launch_possible();
	if (error)
		goto free_config;
	root = gaol_cell_new(&config->root_cell, 0);
	if (IS_ERR(root)) {
		error = PTR_ERR(root);
		goto free_config;
	}
	error = start(dev, config, size, root);
	if (error) {
		gaol_cell_drop(root);
		goto free_config;
	}
	__module_get(THIS_MODULE); /* the ioctl's open file holds one already, so this cannot come too late */
	if (gaol_cell_publish(root))
		pr_warn("the root cell is missing in sysfs\n");
	/* These two lines are what scripts wait for, word by word: no prefix. */
	printk(KERN_INFO "The Jailhouse is opening.\n");
	gaol_virtual_pci_add(config);
free_config:
	kfree(config);
	return error;
}

/*
 * A parked CPU never answers Linux again: whatever stops the machine or waits for all CPUs (offlining, disabling) would
 * hang. -EBUSY says so instead.
 */
int gaol_check_parked(const char *what)
{
	int cpu;

	for_each_cpu (cpu, &gaol.root->cpus)
		if (gaol_hypercall(JH_HC_CPU_INFO, cpu, JH_CPU_INFO_STATE) == JH_CPU_FAILED) {
			pr_err("%s: CPU %d of the root cell is parked; only a reset brings it back\n", what, cpu);
			return -EBUSY;
		}
	return 0;
}

/* Every CPU of the root cell takes part in disabling: none may be offline or parked. */
static int check_root_cpus(void)
{
	if (!cpumask_subset(&gaol.root->cpus, cpu_online_mask)) {
		pr_err("disable: root cell has CPUs %*pbl, online are %*pbl: bring them online first\n",
		       cpumask_pr_args(&gaol.root->cpus), cpumask_pr_args(cpu_online_mask));
		return -EBUSY;
	}
	return gaol_check_parked("disable");
}

/* Destroys all cells and gives the machine back to Linux. -EBUSY leaves everything as it is. */
int gaol_disable(void)
{
	int error;

	if (!gaol.enabled)
		return -EINVAL;
	error = check_root_cpus();
	if (!error)
		error = gaol_destroy_all_cells();
	if (error)
		return error;
	gaol_virtual_pci_remove();
	cpu_hotplug_disable();
	error = check_root_cpus(); /* a cell's CPU may have failed to come back */
	if (!error)
		error = gaol_leave();
	cpu_hotplug_enable();
	if (error) {
		pr_err("disable: %pe\n", ERR_PTR(error));
		return error;
	}
	WRITE_ONCE(gaol.enabled, false);
	unmap_console();
	release_mem_region(gaol.base, gaol.size);
	gaol_cell_drop(gaol.root);
	gaol.root = NULL;
	printk(KERN_INFO "The Jailhouse was closed.\n");
	module_put(THIS_MODULE);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Images into a cell's memory: only while it is loadable, only into its loadable regions. */
#include <linux/err.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "gaol.h"
#include "hypercall.h"

#define MAX_IMAGES 1024

/* The loadable region that holds the image as a whole, or NULL. */
static const struct jh_memory *find_region(const struct gaol_cell *cell, const struct jh_preload_image *image)
{
	u32 index;

	for (index = 0; index < cell->num_regions; index++) {
		const struct jh_memory *region = &cell->regions[index];
		u64 offset = image->target_address - region->virt_start;

		if (region->flags & JH_MEM_LOADABLE && image->target_address >= region->virt_start &&
		    offset < region->size && image->size <= region->size - offset)
			return region;
	}
	pr_err("cell \"%s\": no loadable region holds an image of %llu bytes at 0x%llx\n", cell->name, image->size,
	       image->target_address);
	return NULL;
}

static int copy_image(const struct gaol_cell *cell, const struct jh_preload_image *image)
{
	const struct jh_memory *region = find_region(cell, image);
	u64 start, offset;
	void *mapping;
	int error = 0;

	if (!region)
		return -EINVAL;
	start = region->phys_start + (image->target_address - region->virt_start);
	offset = offset_in_page(start);
	mapping = memremap(start - offset, PAGE_ALIGN(image->size + offset), MEMREMAP_WB);
	if (!mapping) {
		pr_err("cell \"%s\": memory at 0x%llx cannot be mapped\n", cell->name, start);
		return -EBUSY;
	}
	if (copy_from_user(mapping + offset, u64_to_user_ptr(image->source_address), image->size))
		error = -EFAULT;
	/* The cell starts with its caches off. */
	gaol_clean_cache(mapping + offset, image->size);
	memunmap(mapping);
	return error;
}

/* Everything is checked before the cell is stopped and its memory opened. */
static int load(struct gaol_cell *cell, const struct jh_preload_image *images, u32 count)
{
	u32 index;
	int error;

	for (index = 0; index < count; index++)
		if (images[index].size && !find_region(cell, &images[index]))
			return -EINVAL;
	error = gaol_manage(JH_HC_CELL_SET_LOADABLE, cell->id);
	for (index = 0; !error && index < count; index++)
		if (images[index].size)
			error = copy_image(cell, &images[index]);
	return error;
}

/* Without images: shuts the cell down. */
int gaol_cell_load(const struct jh_cell_load __user *source)
{
	struct jh_preload_image *images = NULL;
	struct jh_cell_load arguments;
	struct gaol_cell *cell;
	size_t size;
	int error;

	if (copy_from_user(&arguments, source, sizeof(arguments)))
		return -EFAULT;
	cell = gaol_cell_find(&arguments.cell_id);
	if (IS_ERR(cell))
		return PTR_ERR(cell);
	if (arguments.num_preload_images > MAX_IMAGES)
		return -E2BIG;
	size = arguments.num_preload_images * sizeof(*images);
	if (size) {
		images = memdup_user(source->image, size);
		if (IS_ERR(images))
			return PTR_ERR(images);
	}
	error = load(cell, images, arguments.num_preload_images);
	kfree(images);
	return error;
}

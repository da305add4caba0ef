// SPDX-License-Identifier: GPL-2.0-only
/* Cells: created with their CPUs taken from Linux, started, destroyed with their CPUs given back. */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "gaol.h"
#include "hypercall.h"

/* A cell that nobody sees yet. Owned by its kobject: gaol_cell_drop frees it. */
struct gaol_cell *gaol_cell_new(const struct jh_cell *config, u32 id)
{
	struct gaol_cell *cell = kzalloc(sizeof(*cell), GFP_KERNEL);

	if (!cell)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&cell->entry);
	INIT_LIST_HEAD(&cell->cpu_statistics);
	kobject_init(&cell->kobject, gaol_cell_type());
	cell->id = id;
	strscpy(cell->name, config->name, sizeof(cell->name));
	cell->num_regions = config->num_memory_regions;
	cell->regions = kmemdup(gaol_config_regions(config), cell->num_regions * sizeof(*cell->regions), GFP_KERNEL);
	if (!cell->regions && cell->num_regions) {
		gaol_cell_drop(cell);
		return ERR_PTR(-ENOMEM);
	}
	return cell;
}

/* Into the list, by id, and into sysfs. */
int gaol_cell_publish(struct gaol_cell *cell)
{
	struct gaol_cell *other;
	int error;

	list_for_each_entry (other, &gaol.cells, entry)
		if (other->id > cell->id)
			break;
	list_add_tail(&cell->entry, &other->entry);
	error = kobject_add(&cell->kobject, gaol_sysfs_cells(), "%u", cell->id);
	return error ? error : gaol_cell_update_statistics(cell);
}

/* Out of list and sysfs. Freed when the last reader of its files is gone. */
void gaol_cell_drop(struct gaol_cell *cell)
{
	list_del_init(&cell->entry);
	gaol_cell_remove_statistics(cell);
	if (cell->kobject.state_in_sysfs)
		kobject_del(&cell->kobject);
	kobject_put(&cell->kobject);
}

static struct gaol_cell *find_by_name(const char *name)
{
	struct gaol_cell *cell;

	list_for_each_entry (cell, &gaol.cells, entry)
		if (strncmp(cell->name, name, sizeof(cell->name)) == 0)
			return cell;
	return NULL;
}

static struct gaol_cell *find_by_id(u32 id)
{
	struct gaol_cell *cell;

	list_for_each_entry (cell, &gaol.cells, entry)
		if (cell->id == id)
			return cell;
	return NULL;
}

/* By id, or by name when the id is unused. -EINVAL: not enabled, or the root cell; -ENOENT: no such cell. */
struct gaol_cell *gaol_cell_find(const struct jh_cell_id *id)
{
	struct gaol_cell *cell;

	if (!gaol.enabled)
		return ERR_PTR(-EINVAL);
	cell = id->id == JH_CELL_ID_UNUSED ? find_by_name(id->name) : find_by_id(id->id);
	if (!cell)
		return ERR_PTR(-ENOENT);
	return cell->id == 0 ? ERR_PTR(-EINVAL) : cell;
}

/* Brings CPUs back to Linux. A CPU that does not come is reported and stays offline. */
static void bring_online(const cpumask_t *cpus)
{
	int cpu, error;

	for_each_cpu (cpu, cpus) {
		error = add_cpu(cpu);
		if (error)
			pr_err("CPU %d does not come back online: %pe\n", cpu, ERR_PTR(error));
	}
}

/* All or none. `taken` receives those that were online. */
static int take_offline(const cpumask_t *cpus, cpumask_t *taken)
{
	int cpu, error;

	cpumask_clear(taken);
	for_each_cpu_and (cpu, cpus, cpu_online_mask) {
		error = remove_cpu(cpu);
		if (error) {
			pr_err("CPU %d cannot be taken offline: %pe\n", cpu, ERR_PTR(error));
			bring_online(taken);
			return error;
		}
		cpumask_set_cpu(cpu, taken);
	}
	return 0;
}

static u32 lowest_free_id(void)
{
	u32 id = 1;

	while (find_by_id(id))
		id++;
	return id;
}

static int check_new_cell(const struct jh_cell *config, cpumask_t *cpus)
{
	if (find_by_name(config->name)) {
		pr_err("cell \"%s\" exists\n", config->name);
		return -EEXIST;
	}
	if (gaol_config_cpus(config, cpus))
		return -EBUSY; /* absent is as good as taken */
	if (cpumask_empty(cpus)) {
		pr_err("cell \"%s\": its CPU set is empty\n", config->name);
		return -EINVAL;
	}
	if (!cpumask_subset(cpus, &gaol.root->cpus)) {
		pr_err("cell \"%s\": wants CPUs %*pbl, the root cell has %*pbl\n", config->name, cpumask_pr_args(cpus),
		       cpumask_pr_args(&gaol.root->cpus));
		return -EBUSY;
	}
	if (cpumask_equal(cpus, &gaol.root->cpus)) {
		pr_err("cell \"%s\": wants all CPUs of the root cell\n", config->name);
		return -EINVAL;
	}
	return 0;
}

/* The hypercall with everything that it needs around it; undone when it fails. */
static int create(struct jh_cell *config, size_t size, struct gaol_cell *cell)
{
	int error;

	error = gaol_check_parked("cell create");
	if (!error)
		error = take_offline(&cell->cpus, &cell->taken);
	if (error)
		return error;
	config->id = cell->id;
	gaol_clean_cache(config, size);
	error = gaol_manage(JH_HC_CELL_CREATE, virt_to_phys(config));
	if (error < 0) {
		bring_online(&cell->taken);
		return error;
	}
	cpumask_andnot(&gaol.root->cpus, &gaol.root->cpus, &cell->cpus);
	gaol_cell_update_statistics(gaol.root);
	return 0;
}

int gaol_cell_create(const struct jh_cell_create __user *source)
{
	struct jh_cell_create arguments;
	struct gaol_cell *cell;
	struct jh_cell *config;
	cpumask_t cpus;
	int error;

	if (copy_from_user(&arguments, source, sizeof(arguments)))
		return -EFAULT;
	if (!gaol.enabled)
		return -EINVAL;
	config = gaol_copy_cell(u64_to_user_ptr(arguments.config_address), arguments.config_size);
	if (IS_ERR(config))
		return PTR_ERR(config);
	error = check_new_cell(config, &cpus);
	if (error)
		goto free_config;
	cell = gaol_cell_new(config, lowest_free_id());
	if (IS_ERR(cell)) {
		error = PTR_ERR(cell);
		goto free_config;
	}
	cpumask_copy(&cell->cpus, &cpus);
	error = create(config, arguments.config_size, cell);
	if (error) {
		gaol_cell_drop(cell);
		goto free_config;
	}
	if (gaol_cell_publish(cell))
		pr_warn("cell \"%s\" is incomplete in sysfs\n", cell->name);
	printk(KERN_INFO "Created Jailhouse cell \"%s\"\n",
	       cell->name); /* word by word, as scripts know it: no prefix */
free_config:
	kfree(config);
	return error;
}

int gaol_cell_start(const struct jh_cell_id __user *source)
{
	struct jh_cell_id id;
	struct gaol_cell *cell;

	if (copy_from_user(&id, source, sizeof(id)))
		return -EFAULT;
	cell = gaol_cell_find(&id);
	return IS_ERR(cell) ? PTR_ERR(cell) : gaol_manage(JH_HC_CELL_START, cell->id);
}

static int destroy(struct gaol_cell *cell)
{
	int error = gaol_check_parked("cell destroy");

	if (!error)
		error = gaol_manage(JH_HC_CELL_DESTROY, cell->id);
	if (error)
		return error;
	cpumask_or(&gaol.root->cpus, &gaol.root->cpus, &cell->cpus);
	gaol_cell_update_statistics(gaol.root);
	bring_online(&cell->taken);
	printk(KERN_INFO "Destroyed Jailhouse cell \"%s\"\n", cell->name);
	gaol_cell_drop(cell);
	return 0;
}

int gaol_cell_destroy(const struct jh_cell_id __user *source)
{
	struct jh_cell_id id;
	struct gaol_cell *cell;

	if (copy_from_user(&id, source, sizeof(id)))
		return -EFAULT;
	cell = gaol_cell_find(&id);
	return IS_ERR(cell) ? PTR_ERR(cell) : destroy(cell);
}

/*
 * All but the root cell. Stops at the first that cannot be destroyed. Disabling comes next and needs every CPU: those
 * that were offline when a cell got them come, too.
 */
int gaol_destroy_all_cells(void)
{
	struct gaol_cell *cell, *next;
	int error;

	list_for_each_entry_safe (cell, next, &gaol.cells, entry) {
		if (cell->id == 0)
			continue;
		cpumask_copy(&cell->taken, &cell->cpus);
		error = destroy(cell);
		if (error) {
			pr_err("cell \"%s\" cannot be destroyed: %pe\n", cell->name, ERR_PTR(error));
			return error;
		}
	}
	return 0;
}

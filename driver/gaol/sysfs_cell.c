// SPDX-License-Identifier: GPL-2.0-only
/* /sys/devices/jailhouse/cells/<id>: name, state, CPUs and exit statistics of one cell and of each of its CPUs. */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "gaol.h"
#include "hypercall.h"

struct cell_attribute {
	struct attribute attribute;
	ssize_t (*show)(struct gaol_cell *cell, char *buffer);
};

static ssize_t name_show(struct gaol_cell *cell, char *buffer)
{
	return sysfs_emit(buffer, "%s\n", cell->name);
}

static ssize_t state_show(struct gaol_cell *cell, char *buffer)
{
	static const char *const names[] = {
		[JH_CELL_RUNNING] = "running",
		[JH_CELL_RUNNING_LOCKED] = "running/locked",
		[JH_CELL_SHUT_DOWN] = "shut down",
		[JH_CELL_FAILED] = "failed",
		[JH_CELL_FAILED_COMM_REV] = "failed (comm region revision)",
	};
	long state = gaol_hypercall(JH_HC_CELL_STATE, cell->id, 0);

	if (state < 0)
		return state;
	return sysfs_emit(buffer, "%s\n", state < ARRAY_SIZE(names) ? names[state] : "invalid");
}

static void failed_cpus(const struct gaol_cell *cell, cpumask_t *failed)
{
	int cpu;

	cpumask_clear(failed);
	for_each_cpu (cpu, &cell->cpus)
		if (gaol_hypercall(JH_HC_CPU_INFO, cpu, JH_CPU_INFO_STATE) == JH_CPU_FAILED)
			cpumask_set_cpu(cpu, failed);
}

static ssize_t cpus_assigned_show(struct gaol_cell *cell, char *buffer)
{
	return cpumap_print_to_pagebuf(false, buffer, &cell->cpus);
}

static ssize_t cpus_assigned_list_show(struct gaol_cell *cell, char *buffer)
{
	return cpumap_print_to_pagebuf(true, buffer, &cell->cpus);
}

static ssize_t cpus_failed_show(struct gaol_cell *cell, char *buffer)
{
	cpumask_t failed;

	failed_cpus(cell, &failed);
	return cpumap_print_to_pagebuf(false, buffer, &failed);
}

static ssize_t cpus_failed_list_show(struct gaol_cell *cell, char *buffer)
{
	cpumask_t failed;

	failed_cpus(cell, &failed);
	return cpumap_print_to_pagebuf(true, buffer, &failed);
}

#define CELL_ATTRIBUTE(name)                                                                                           \
	static struct cell_attribute name##_attribute = { .attribute = { __stringify(name), 0444 },                    \
							  .show = name##_show }

CELL_ATTRIBUTE(name);
CELL_ATTRIBUTE(state);
CELL_ATTRIBUTE(cpus_assigned);
CELL_ATTRIBUTE(cpus_assigned_list);
CELL_ATTRIBUTE(cpus_failed);
CELL_ATTRIBUTE(cpus_failed_list);

static struct attribute *cell_attrs[] = {
	&name_attribute.attribute,
	&state_attribute.attribute,
	&cpus_assigned_attribute.attribute,
	&cpus_assigned_list_attribute.attribute,
	&cpus_failed_attribute.attribute,
	&cpus_failed_list_attribute.attribute,
	NULL,
};
ATTRIBUTE_GROUPS(cell);

static ssize_t cell_show(struct kobject *kobject, struct attribute *attribute, char *buffer)
{
	struct gaol_cell *cell = container_of(kobject, struct gaol_cell, kobject);
	ssize_t result = -ENODEV;
	int error = gaol_lock_from_sysfs();

	if (error)
		return error;
	if (gaol.enabled)
		result = container_of(attribute, struct cell_attribute, attribute)->show(cell, buffer);
	mutex_unlock(&gaol_lock);
	return result;
}

static void cell_release(struct kobject *kobject)
{
	struct gaol_cell *cell = container_of(kobject, struct gaol_cell, kobject);

	kfree(cell->regions);
	kfree(cell);
}

static const struct sysfs_ops cell_operations = { .show = cell_show };
static struct kobj_type cell_type = {
	.release = cell_release,
	.sysfs_ops = &cell_operations,
	.default_groups = cell_groups,
};

struct kobj_type *gaol_cell_type(void)
{
	return &cell_type;
}

/* statistics/ and statistics/cpu<n>/ have the same files; the directory says over which CPUs they sum. */
struct statistics {
	struct list_head entry;
	struct kobject kobject;
	struct gaol_cell *cell; /* NULL once the cell is gone */
	int cpu;		/* -1: all CPUs of the cell */
};

struct statistics_attribute {
	struct attribute attribute;
	enum jh_cpu_stat counter;
};

#define STATISTIC(name, number)                                                                                        \
	static struct statistics_attribute name##_statistic = { .attribute = { "vmexits_" #name, 0444 },               \
								.counter = number }

STATISTIC(total, JH_STAT_TOTAL);
STATISTIC(mmio, JH_STAT_MMIO);
STATISTIC(management, JH_STAT_MANAGEMENT);
STATISTIC(hypercall, JH_STAT_HYPERCALL);
STATISTIC(maintenance, JH_STAT_ARM_MAINTENANCE);
STATISTIC(virt_irq, JH_STAT_ARM_VIRQ);
STATISTIC(virt_sgi, JH_STAT_ARM_VSGI);
STATISTIC(psci, JH_STAT_ARM_PSCI);
STATISTIC(smccc, JH_STAT_ARM_SMCCC);
STATISTIC(cp15, JH_STAT_ARM_CP15);

static struct attribute *statistics_attrs[] = {
	&total_statistic.attribute,
	&mmio_statistic.attribute,
	&management_statistic.attribute,
	&hypercall_statistic.attribute,
	&maintenance_statistic.attribute,
	&virt_irq_statistic.attribute,
	&virt_sgi_statistic.attribute,
	&psci_statistic.attribute,
	&smccc_statistic.attribute,
	&cp15_statistic.attribute,
	NULL,
};
ATTRIBUTE_GROUPS(statistics);

static long counter_sum(const struct statistics *statistics, enum jh_cpu_stat counter)
{
	long sum = 0, value;
	int cpu;

	for_each_cpu (cpu, &statistics->cell->cpus) {
		if (statistics->cpu >= 0 && statistics->cpu != cpu)
			continue;
		value = gaol_hypercall(JH_HC_CPU_INFO, cpu, JH_CPU_INFO_STAT_BASE + counter);
		if (value < 0)
			return value;
		sum += value;
	}
	return sum;
}

static ssize_t statistics_show(struct kobject *kobject, struct attribute *attribute, char *buffer)
{
	struct statistics *statistics = container_of(kobject, struct statistics, kobject);
	long value = -ENODEV;
	int error = gaol_lock_from_sysfs();

	if (error)
		return error;
	if (gaol.enabled && statistics->cell)
		value = counter_sum(statistics,
				    container_of(attribute, struct statistics_attribute, attribute)->counter);
	mutex_unlock(&gaol_lock);
	return value < 0 ? value : sysfs_emit(buffer, "%ld\n", value);
}

static void statistics_release(struct kobject *kobject)
{
	kfree(container_of(kobject, struct statistics, kobject));
}

static const struct sysfs_ops statistics_operations = { .show = statistics_show };
static struct kobj_type statistics_type = {
	.release = statistics_release,
	.sysfs_ops = &statistics_operations,
	.default_groups = statistics_groups,
};

static struct statistics *add_directory(struct gaol_cell *cell, struct kobject *parent, int cpu)
{
	struct statistics *statistics = kzalloc(sizeof(*statistics), GFP_KERNEL);
	int error;

	if (!statistics)
		return ERR_PTR(-ENOMEM);
	statistics->cell = cell;
	statistics->cpu = cpu;
	if (cpu < 0)
		error = kobject_init_and_add(&statistics->kobject, &statistics_type, parent, "statistics");
	else
		error = kobject_init_and_add(&statistics->kobject, &statistics_type, parent, "cpu%d", cpu);
	if (error) {
		kobject_put(&statistics->kobject);
		return ERR_PTR(error);
	}
	list_add(&statistics->entry, &cell->cpu_statistics); /* children before their parent */
	return statistics;
}

static struct statistics *find_directory(struct gaol_cell *cell, int cpu)
{
	struct statistics *statistics;

	list_for_each_entry (statistics, &cell->cpu_statistics, entry)
		if (statistics->cpu == cpu)
			return statistics;
	return NULL;
}

static void remove_directory(struct statistics *statistics)
{
	list_del(&statistics->entry);
	statistics->cell = NULL;
	kobject_del(&statistics->kobject);
	kobject_put(&statistics->kobject);
}

/* Makes the directories match the cell's CPUs, which change for the root cell only. */
int gaol_cell_update_statistics(struct gaol_cell *cell)
{
	struct statistics *all = find_directory(cell, -1);
	struct statistics *one, *next;
	int cpu;

	if (!all)
		all = add_directory(cell, &cell->kobject, -1);
	if (IS_ERR(all))
		return PTR_ERR(all);
	list_for_each_entry_safe (one, next, &cell->cpu_statistics, entry)
		if (one->cpu >= 0 && !cpumask_test_cpu(one->cpu, &cell->cpus))
			remove_directory(one);
	for_each_cpu (cpu, &cell->cpus) {
		if (find_directory(cell, cpu))
			continue;
		one = add_directory(cell, &all->kobject, cpu);
		if (IS_ERR(one))
			return PTR_ERR(one);
	}
	return 0;
}

void gaol_cell_remove_statistics(struct gaol_cell *cell)
{
	struct statistics *statistics, *next;

	list_for_each_entry_safe (statistics, next, &cell->cpu_statistics, entry)
		remove_directory(statistics);
}

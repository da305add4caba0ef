/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the loader share: one hypervisor, its cells, one lock over both. */
#ifndef GAOL_GAOL_H
#define GAOL_GAOL_H

#include <linux/cpumask.h>
#include <linux/ioctl.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "abi/cell_config.h"
#include "abi/gaol_image.h"
#include "abi/hypercall.h"
#include "abi/ioctl.h"

struct device;
struct file;

/* A cell that the hypervisor knows. The root cell is the one with id 0. */
struct gaol_cell {
	struct list_head entry;
	struct kobject kobject;		 /* /sys/devices/jailhouse/cells/<id> */
	struct list_head cpu_statistics; /* their directories, children first */
	u32 id;
	char name[JH_CELL_NAME_SIZE];
	cpumask_t cpus;	 /* under gaol_lock for the root cell, constant for the others */
	cpumask_t taken; /* those of them that were online in Linux: these come back */
	u32 num_regions;
	struct jh_memory *regions;
};

/* The running hypervisor; all zero while there is none, but for its console. */
struct gaol_hypervisor {
	bool enabled;
	bool console_permitted;
	phys_addr_t base;
	u64 size;
	struct gaol_console *console;	   /* read-only view, NULL where there is none; under gaol_console_lock */
	unsigned long console_generation;  /* counts the hypervisors whose console could have been read */
	struct gaol_console *kept_console; /* what the last hypervisor said; `console` once that is gone */
	struct gaol_cell *root;
	struct list_head cells; /* all cells by id, the root cell first */
};

extern struct gaol_hypervisor gaol;
extern struct mutex gaol_lock; /* over `gaol`, its cells and every hypercall that changes them */

/* hypervisor.c */
int gaol_enable(struct device *dev, const void __user *config);
int gaol_disable(void);
int gaol_check_parked(const char *what);

/* launch.c */
int gaol_launch_possible(void);
int gaol_launch(phys_addr_t image, phys_addr_t entry);
int gaol_leave(void);
void gaol_clean_cache(const void *start, size_t size);
void gaol_read_affinities(u64 mpidr[GAOL_MAX_CPUS]);

/* config.c */
struct jh_system *gaol_copy_system(const void __user *source, size_t *size);
struct jh_cell *gaol_copy_cell(const void __user *source, size_t size);
size_t gaol_config_arrays_size(const struct jh_cell *config);
int gaol_config_cpus(const struct jh_cell *config, cpumask_t *cpus);
const struct jh_memory *gaol_config_regions(const struct jh_cell *config);

/* cell.c */
struct gaol_cell *gaol_cell_new(const struct jh_cell *config, u32 id);
int gaol_cell_publish(struct gaol_cell *cell);
void gaol_cell_drop(struct gaol_cell *cell);
struct gaol_cell *gaol_cell_find(const struct jh_cell_id *id);
int gaol_cell_create(const struct jh_cell_create __user *arguments);
int gaol_cell_start(const struct jh_cell_id __user *arguments);
int gaol_cell_destroy(const struct jh_cell_id __user *arguments);
int gaol_destroy_all_cells(void);

/* load.c */
int gaol_cell_load(const struct jh_cell_load __user *arguments);

/* sysfs.c, sysfs_cell.c */
int gaol_sysfs_init(void);
void gaol_sysfs_exit(void);
struct kobject *gaol_sysfs_cells(void);
struct kobj_type *gaol_cell_type(void);
int gaol_lock_from_sysfs(void);
int gaol_cell_update_statistics(struct gaol_cell *cell);
void gaol_cell_remove_statistics(struct gaol_cell *cell);

/* console.c */
extern struct mutex gaol_console_lock;
size_t gaol_console_copy(char *buffer, size_t size, u64 *position, u64 *lost);
u64 gaol_console_oldest(void);
void gaol_console_last_line(const struct gaol_console *console, char *line, size_t size);
int gaol_console_state(void);
ssize_t gaol_console_read(struct file *file, char __user *buffer, size_t size, loff_t *offset);

/* virtual_pci.c */
void gaol_virtual_pci_add(const struct jh_system *config);
void gaol_virtual_pci_remove(void);

#endif

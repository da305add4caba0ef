// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual PCI host for the kernel's PCI core. Stock Debian kernels cannot add a device tree overlay (no
 * OF_OVERLAY), but a node that was there at boot without `compatible`, and so bound to no driver, can be given one. The
 * node is an ordinary pci-host-ecam-generic host (bindings/pci/host-generic-pci.yaml) whose `reg` is the config's
 * pci_mmconfig_base. Without such a node uio_ivshmem walks the ECAM window itself.
 */
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>

#include "gaol.h"

static char compatible_value[] = "pci-host-ecam-generic";
static struct property compatible = {
	.name = "compatible",
	.length = sizeof(compatible_value),
	.value = compatible_value,
};
static struct platform_device *host;

static bool is_prepared(struct device_node *node, u64 base)
{
	struct resource resource;

	return of_node_name_eq(node, "pci") && !of_find_property(node, "compatible", NULL) &&
	       of_address_to_resource(node, 0, &resource) == 0 && resource.start == base;
}

/* Best effort: the hypervisor runs with or without a PCI host in Linux. The log says which way it went. */
void gaol_virtual_pci_add(const struct jh_system *config)
{
	const struct jh_platform *platform = &config->platform;
	struct device_node *node;

	if (!platform->pci_is_virtual || !platform->pci_mmconfig_base)
		return;
	for_each_node_by_name (node, "pci")
		if (is_prepared(node, platform->pci_mmconfig_base))
			break;
	if (!node) {
		pr_info("virtual PCI host at 0x%llx: no prepared device tree node, the kernel's PCI core cannot see "
			"it. "
			"uio_ivshmem can: ecam=0x%llx buses=%u irq_base=%u\n",
			platform->pci_mmconfig_base, platform->pci_mmconfig_base, platform->pci_mmconfig_end_bus + 1,
			config->root_cell.vpci_irq_base);
		return;
	}
	if (of_add_property(node, &compatible) == 0) {
		host = of_platform_device_create(node, NULL, NULL);
		if (!host)
			of_remove_property(node, &compatible);
	}
	pr_info("virtual PCI host %pOF: %s\n", node, host ? "added" : "could not be added");
	of_node_put(node);
}

void gaol_virtual_pci_remove(void)
{
	struct device_node *node;

	if (!host)
		return;
	node = of_node_get(host->dev.of_node);
	of_platform_device_destroy(&host->dev, NULL);
	of_remove_property(node, &compatible);
	of_node_put(node);
	host = NULL;
}

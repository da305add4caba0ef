// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices in a virtual ECAM window that the kernel's PCI core does not know: stock Debian kernels have no OF_OVERLAY,
 * so a PCI host cannot be added while they run. The parameters come from the system config: ecam is its
 * pci_mmconfig_base, buses its pci_mmconfig_end_bus + 1, irq_base the root cell's vpci_irq_base.
 */
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/pci_ids.h>
#include <linux/pci_regs.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "abi/hypercall.h"
#include "device.h"
#include "ecam.h"

static unsigned long ecam;
module_param(ecam, ulong, 0444);
MODULE_PARM_DESC(ecam, "physical address of the virtual PCI configuration window; 0: only the kernel's PCI core");
static unsigned int buses = 1;
module_param(buses, uint, 0444);
MODULE_PARM_DESC(buses, "buses in the window (default 1)");
static unsigned long window;
module_param(window, ulong, 0444);
MODULE_PARM_DESC(window, "physical address for the devices' registers (default: behind the configuration window)");
static unsigned int irq_base;
module_param(irq_base, uint, 0444);
MODULE_PARM_DESC(irq_base, "SPI number of INTA, as vpci_irq_base in the cell's config (GIC interrupt id minus 32)");

#define BUS_SIZE 0x100000UL
#define GIC_SPI 0
#define GIC_CELLS 3

/* A device of the window, in the order of finding. */
struct window_device {
	struct list_head entry;
	struct ecam_function function;
	struct platform_device *platform;
	struct ivshmem ivshmem;
	unsigned long registers; /* physical */
	int irq;
};

static LIST_HEAD(devices);
static void __iomem *configs;
static unsigned long next_registers;

/*
 * Whether a hypervisor of Jailhouse's ABI answers. Without one the window is empty address space, and touching that is
 * fatal: it may have been disabled since. Linux's own stub at EL2 answers an unknown call with a number of its own.
 */
static bool hypervisor_answers(void)
{
	register u64 x0 asm("x0") = JH_HC_HYPERVISOR_INFO;
	register u64 x1 asm("x1") = JH_INFO_NUM_CELLS;
	register u64 x2 asm("x2") = 0;

	asm volatile("hvc #" __stringify(JH_HVC_IMMEDIATE)
		     : "+r"(x0), "+r"(x1), "+r"(x2)
		     :
		     : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
		       "memory");
	return (s32)x0 > 0 && (s32)x0 < 0x10000;
}

/* Also false when the hypervisor was switched off and on again: then the device is back without its registers. */
static bool is_present(struct ivshmem *ivshmem)
{
	struct window_device *device = container_of(ivshmem, struct window_device, ivshmem);

	return hypervisor_answers() && ecam_read_bar0(&device->function) == device->registers;
}

/* The Linux interrupt of an SPI at the machine's GIC, edge triggered. */
static int map_spi(u32 spi)
{
	struct device_node *root = of_find_node_by_path("/");
	struct device_node *gic = root ? of_irq_find_parent(root) : NULL;
	struct irq_fwspec fwspec = { .param_count = GIC_CELLS, .param = { GIC_SPI, spi, IRQ_TYPE_EDGE_RISING } };
	u32 cells = 0;
	int irq = 0;

	if (gic && of_property_read_u32(gic, "#interrupt-cells", &cells) == 0 && cells >= GIC_CELLS) {
		fwspec.fwnode = of_node_to_fwnode(gic);
		fwspec.param_count = cells;
		irq = irq_create_fwspec_mapping(&fwspec);
	}
	of_node_put(gic);
	of_node_put(root);
	return irq > 0 ? irq : -ENXIO;
}

static int read_sections(struct window_device *device, struct ivshmem_sections *sections)
{
	const struct ecam_function *function = &device->function;
	u8 capability = ecam_find_capability(function, PCI_CAP_ID_VNDR);
	u8 length = capability ? readb(function->config + capability + PCI_CAP_FLAGS) : 0;

	if (length < IVSHMEM_CAP_LENGTH) {
		dev_err(&device->platform->dev, "vendor capability of %u bytes, %u expected\n", length,
			IVSHMEM_CAP_LENGTH);
		return -ENODEV;
	}
	sections->state_table_size = readl(function->config + capability + IVSHMEM_CAP_STATE_TABLE_SIZE);
	sections->rw_size = ecam_read_u64(function, capability + IVSHMEM_CAP_RW_SECTION_SIZE);
	sections->output_size = ecam_read_u64(function, capability + IVSHMEM_CAP_OUTPUT_SECTION_SIZE);
	sections->base = ecam_read_u64(function, capability + IVSHMEM_CAP_BASE_ADDRESS);
	writeb(ivshmem_one_shot() ? IVSHMEM_CONTROL_ONE_SHOT : 0,
	       function->config + capability + IVSHMEM_CAP_PRIVILEGED_CONTROL);
	return 0;
}

/* Registers into the window, interrupt pin to its SPI: pin A is irq_base, the others follow. */
static int bring_up(struct window_device *device)
{
	struct device *dev = &device->platform->dev;
	u8 pin = readb(device->function.config + PCI_INTERRUPT_PIN);
	unsigned long registers = next_registers;
	struct ivshmem_sections sections;
	int error;

	if (pin < 1 || pin > 4) {
		dev_err(dev, "interrupt pin %u: only INTA to INTD can be used here\n", pin);
		return -ENODEV;
	}
	error = ecam_place_bar0(&device->function, registers, IVSHMEM_REGISTERS_SIZE);
	if (error) {
		dev_err(dev, "BAR 0 is no memory of %u bytes\n", IVSHMEM_REGISTERS_SIZE);
		return error;
	}
	next_registers += IVSHMEM_REGISTERS_SIZE;
	error = read_sections(device, &sections);
	if (error)
		return error;
	device->irq = map_spi(irq_base + pin - 1);
	if (device->irq < 0) {
		dev_err(dev, "SPI %u cannot be mapped: no GIC in the device tree?\n", irq_base + pin - 1);
		return device->irq;
	}
	device->ivshmem.present = is_present;
	device->registers = registers;
	device->ivshmem.registers = ioremap(registers, IVSHMEM_REGISTERS_SIZE);
	if (!device->ivshmem.registers)
		return -ENOMEM;
	return ivshmem_register(&device->ivshmem, dev, registers, &sections, device->irq);
}

static void release(struct window_device *device)
{
	if (device->ivshmem.registers)
		iounmap(device->ivshmem.registers);
	if (device->irq > 0)
		irq_dispose_mapping(device->irq);
	if (hypervisor_answers())
		ecam_disable(&device->function);
	platform_device_unregister(device->platform);
	kfree(device);
}

/* A function that is not ours, or does not work, is passed over: the others are still of use. */
static int visit(const struct ecam_function *function)
{
	u32 id = readl(function->config + PCI_VENDOR_ID);
	u32 class = readl(function->config + PCI_CLASS_REVISION) >> 8;
	struct window_device *device;
	char name[24];

	if (id != (IVSHMEM_VENDOR_ID | IVSHMEM_DEVICE_ID << 16) || class >> 16 != IVSHMEM_CLASS ||
	    !ivshmem_protocol_is_ours(class & 0xffff))
		return 0;
	device = kzalloc(sizeof(*device), GFP_KERNEL);
	if (!device)
		return -ENOMEM;
	device->function = *function;
	snprintf(name, sizeof(name), "ivshmem-%02x:%02x.%x", function->bus, function->device, function->function);
	device->platform = platform_device_register_simple(name, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device->platform)) {
		kfree(device);
		return -ENOMEM;
	}
	if (bring_up(device))
		release(device);
	else
		list_add_tail(&device->entry, &devices);
	return 0;
}

int ivshmem_window_init(void)
{
	int error;

	if (!ecam)
		return 0;
	if (!hypervisor_answers()) {
		pr_err("ecam=0x%lx: no hypervisor answers, so nothing is there; enable it first\n", ecam);
		return -ENODEV;
	}
	if (!buses || buses > 256 || !irq_base || (ecam | window) & ~PAGE_MASK) {
		pr_err("ecam=0x%lx buses=%u window=0x%lx irq_base=%u: 1 to 256 buses, page addresses and an irq_base "
		       "expected\n",
		       ecam, buses, window, irq_base);
		return -EINVAL;
	}
	next_registers = window ? window : ecam + buses * BUS_SIZE;
	if (!request_mem_region(ecam, buses * BUS_SIZE, "ivshmem ECAM")) {
		pr_err("ecam=0x%lx: taken (/proc/iomem says by whom); does the kernel's PCI core have it?\n", ecam);
		return -EBUSY;
	}
	configs = ioremap(ecam, buses * BUS_SIZE);
	error = configs ? ecam_walk(configs, buses, visit) : -ENOMEM;
	if (!error && list_empty(&devices)) {
		pr_err("ecam=0x%lx: no ivshmem device in %u buses\n", ecam, buses);
		error = -ENODEV;
	}
	if (error)
		ivshmem_window_exit();
	return error;
}

void ivshmem_window_exit(void)
{
	struct window_device *device, *next;

	if (!ecam)
		return;
	list_for_each_entry_safe (device, next, &devices, entry) {
		list_del(&device->entry);
		ivshmem_unregister(&device->ivshmem);
		release(device);
	}
	if (configs)
		iounmap(configs);
	configs = NULL;
	release_mem_region(ecam, buses * BUS_SIZE);
}

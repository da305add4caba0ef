// SPDX-License-Identifier: GPL-2.0-only
/* Devices that the kernel's PCI core has found: any platform with a PCI host for them. */
#include <linux/module.h>
#include <linux/pci.h>

#include "device.h"

static u64 read_config_u64(struct pci_dev *pdev, int offset)
{
	u32 low, high;

	pci_read_config_dword(pdev, offset, &low);
	pci_read_config_dword(pdev, offset + 4, &high);
	return low | (u64)high << 32;
}

/* From the vendor capability; the shared memory lies in BAR 2 when the capability is too short to say where. */
static int read_sections(struct pci_dev *pdev, int capability, struct ivshmem_sections *sections)
{
	u8 length;

	pci_read_config_byte(pdev, capability + PCI_CAP_FLAGS, &length);
	if (length < IVSHMEM_CAP_BASE_ADDRESS) {
		pci_err(pdev, "vendor capability of %u bytes, at least %u expected\n", length,
			IVSHMEM_CAP_BASE_ADDRESS);
		return -ENODEV;
	}
	pci_read_config_dword(pdev, capability + IVSHMEM_CAP_STATE_TABLE_SIZE, &sections->state_table_size);
	sections->rw_size = read_config_u64(pdev, capability + IVSHMEM_CAP_RW_SECTION_SIZE);
	sections->output_size = read_config_u64(pdev, capability + IVSHMEM_CAP_OUTPUT_SECTION_SIZE);
	sections->base = length >= IVSHMEM_CAP_LENGTH ? read_config_u64(pdev, capability + IVSHMEM_CAP_BASE_ADDRESS)
						      : pci_resource_start(pdev, 2);
	if (sections->base)
		return 0;
	pci_err(pdev, "no shared memory: neither the capability nor BAR 2 has an address\n");
	return -ENODEV;
}

/* MSI-X only where the device has it: asking for it elsewhere leaves an empty msi_irqs directory that misleads tools.
 */
static int choose_interrupt(struct pci_dev *pdev)
{
	int error;

	if (!pci_find_capability(pdev, PCI_CAP_ID_MSIX))
		return pdev->irq;
	error = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	return error < 0 ? error : pci_irq_vector(pdev, 0);
}

static int set_up(struct pci_dev *pdev, struct ivshmem *ivshmem)
{
	int capability = pci_find_capability(pdev, PCI_CAP_ID_VNDR);
	struct ivshmem_sections sections;
	int error, irq;

	if (!capability) {
		pci_err(pdev, "no vendor capability: not an ivshmem device of revision 2\n");
		return -ENODEV;
	}
	error = read_sections(pdev, capability, &sections);
	if (error)
		return error;
	pci_write_config_byte(pdev, capability + IVSHMEM_CAP_PRIVILEGED_CONTROL,
			      ivshmem_one_shot() ? IVSHMEM_CONTROL_ONE_SHOT : 0);
	pci_set_master(pdev);
	irq = choose_interrupt(pdev);
	if (irq < 0)
		return irq;
	error = ivshmem_register(ivshmem, &pdev->dev, pci_resource_start(pdev, 0), &sections, irq);
	if (error)
		pci_free_irq_vectors(pdev);
	return error;
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ivshmem *ivshmem;
	int error;

	if (!ivshmem_protocol_is_ours(pdev->class & 0xffff))
		return -ENODEV;
	ivshmem = devm_kzalloc(&pdev->dev, sizeof(*ivshmem), GFP_KERNEL);
	if (!ivshmem)
		return -ENOMEM;
	error = pcim_enable_device(pdev);
	if (!error)
		error = pcim_iomap_regions(pdev, BIT(0), "uio_ivshmem");
	if (error) {
		pci_err(pdev, "BAR 0: %d\n", error);
		return error;
	}
	ivshmem->registers = pcim_iomap_table(pdev)[0];
	pci_set_drvdata(pdev, ivshmem);
	return set_up(pdev, ivshmem);
}

static void remove(struct pci_dev *pdev)
{
	ivshmem_unregister(pci_get_drvdata(pdev));
	pci_clear_master(pdev);
	pci_free_irq_vectors(pdev);
}

static const struct pci_device_id ids[] = { { PCI_DEVICE(IVSHMEM_VENDOR_ID, IVSHMEM_DEVICE_ID) }, {} };
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver driver = { .name = "uio_ivshmem", .id_table = ids, .probe = probe, .remove = remove };

int ivshmem_pci_init(void)
{
	return pci_register_driver(&driver);
}

void ivshmem_pci_exit(void)
{
	pci_unregister_driver(&driver);
}

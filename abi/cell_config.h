/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Binary cell and system configuration files (.cell) of Jailhouse's ABI, revision 14: little endian, packed.
 *
 * A cell file is a struct jh_cell followed by its arrays in this order: cpu set (cpu_set_size bytes), memory regions,
 * cache regions, irqchips, pio regions, pci devices, pci capabilities, stream ids. A system file is a struct jh_system,
 * whose last member is the root cell's descriptor, followed by the root cell's arrays.
 */
#ifndef ABI_CELL_CONFIG_H
#define ABI_CELL_CONFIG_H

#include "types.h"

#define JH_CONFIG_REVISION 14
#define JH_SYSTEM_SIGNATURE "JHSYS" /* five bytes, no NUL in the file */
#define JH_CELL_SIGNATURE "JHCLL"
#define JH_SIGNATURE_SIZE 5
#define JH_CELL_NAME_SIZE 32 /* 31 characters and the NUL */
#define JH_MAX_IOMMU_UNITS 8
#define JH_PCI_BARS 6

enum jh_architecture {
    JH_ARCH_X86 = 0,
    JH_ARCH_ARM = 1,
    JH_ARCH_ARM64 = 2,
};

/* struct jh_system.flags */
#define JH_SYS_VIRTUAL_CONSOLE 0x1u /* the root cell may read the virtual console */

/* struct jh_cell.flags */
#define JH_CELL_PASSIVE_COMMREG 0x00000001u
#define JH_CELL_TEST_DEVICE 0x00000002u
#define JH_CELL_AARCH32 0x00000004u
#define JH_CELL_VIRTUAL_CONSOLE_PERMITTED 0x40000000u
#define JH_CELL_VIRTUAL_CONSOLE_ACTIVE 0x80000000u

#define JH_CELL_ID_UNUSED (-1)

enum jh_console_type {
    JH_CONSOLE_NONE = 0,
    JH_CONSOLE_EFIFB = 1,
    JH_CONSOLE_8250 = 2,
    JH_CONSOLE_PL011 = 3,
    JH_CONSOLE_XUARTPS = 4,
    JH_CONSOLE_MVEBU = 5,
    JH_CONSOLE_HSCIF = 6,
    JH_CONSOLE_SCIFA = 7,
    JH_CONSOLE_IMX = 8,
    JH_CONSOLE_IMX_LPUART = 9,
    JH_CONSOLE_SCIF = 10,
};

/* struct jh_console.flags */
#define JH_CONSOLE_MMIO 0x0001u          /* else port I/O */
#define JH_CONSOLE_REGDIST_4 0x0002u     /* registers four bytes apart, else one */
#define JH_CONSOLE_INVERTED_GATE 0x1000u /* the clock gate is open at 0 */

struct jh_console {
    uint64_t address;
    uint32_t size;
    uint16_t type;
    uint16_t flags;
    uint32_t divider;
    uint32_t gate_nr;
    uint64_t clock_reg;
} ABI_PACKED;
ABI_SIZE(struct jh_console, 32);

/* struct jh_memory.flags */
#define JH_MEM_READ 0x0001u
#define JH_MEM_WRITE 0x0002u
#define JH_MEM_EXECUTE 0x0004u
#define JH_MEM_DMA 0x0008u
#define JH_MEM_IO 0x0010u
#define JH_MEM_COMM_REGION 0x0020u
#define JH_MEM_LOADABLE 0x0040u
#define JH_MEM_ROOTSHARED 0x0080u
#define JH_MEM_NO_HUGEPAGES 0x0100u
#define JH_MEM_IO_UNALIGNED 0x8000u
#define JH_MEM_IO_WIDTH_SHIFT 16
#define JH_MEM_IO_8 (1u << JH_MEM_IO_WIDTH_SHIFT)
#define JH_MEM_IO_16 (2u << JH_MEM_IO_WIDTH_SHIFT)
#define JH_MEM_IO_32 (4u << JH_MEM_IO_WIDTH_SHIFT)
#define JH_MEM_IO_64 (8u << JH_MEM_IO_WIDTH_SHIFT)

struct jh_memory {
    uint64_t phys_start;
    uint64_t virt_start;
    uint64_t size;
    uint64_t flags;
} ABI_PACKED;
ABI_SIZE(struct jh_memory, 32);

struct jh_cache {
    uint32_t start;
    uint32_t size;
    uint8_t type;
    uint8_t padding;
    uint16_t flags;
} ABI_PACKED;
ABI_SIZE(struct jh_cache, 12);

struct jh_irqchip {
    uint64_t address;
    uint32_t id;
    uint32_t pin_base;
    uint32_t pin_bitmap[4]; /* bit 0 of word 0 is pin_base */
} ABI_PACKED;
ABI_SIZE(struct jh_irqchip, 32);

struct jh_pio {
    uint16_t base;
    uint16_t length;
} ABI_PACKED;
ABI_SIZE(struct jh_pio, 4);

enum jh_pci_type {
    JH_PCI_DEVICE = 1,
    JH_PCI_BRIDGE = 2,
    JH_PCI_IVSHMEM = 3,
};

struct jh_pci_device {
    uint8_t type;
    uint8_t iommu;
    uint16_t domain;
    uint16_t bdf;
    uint32_t bar_mask[JH_PCI_BARS];
    uint16_t caps_start;
    uint16_t num_caps;
    uint8_t num_msi_vectors;
    uint8_t msi_flags; /* bit 0: 64-bit addresses, bit 1: maskable */
    uint16_t num_msix_vectors;
    uint16_t msix_region_size;
    uint64_t msix_address;
    uint32_t shmem_regions_start; /* index into the cell's memory regions */
    uint8_t shmem_dev_id;
    uint8_t shmem_peers;
    uint16_t shmem_protocol;
} ABI_PACKED;
ABI_SIZE(struct jh_pci_device, 56);

#define JH_PCI_CAP_EXTENDED 0x8000u
#define JH_PCI_CAP_WRITE 0x0001u

struct jh_pci_capability {
    uint16_t id;
    uint16_t start;
    uint16_t len;
    uint16_t flags;
} ABI_PACKED;
ABI_SIZE(struct jh_pci_capability, 8);

/* struct jh_pci_device.shmem_protocol */
#define JH_SHMEM_PROTO_UNDEFINED 0x0000u
#define JH_SHMEM_PROTO_ETHERNET 0x0001u
#define JH_SHMEM_PROTO_CUSTOM 0x4000u
#define JH_SHMEM_PROTO_VIRTIO_FRONT 0x8000u
#define JH_SHMEM_PROTO_VIRTIO_BACK 0xc000u

struct jh_cell {
    char signature[JH_SIGNATURE_SIZE];
    uint8_t architecture;
    uint16_t revision;
    char name[JH_CELL_NAME_SIZE];
    uint32_t id; /* set by the driver */
    uint32_t flags;
    uint32_t cpu_set_size; /* bytes */
    uint32_t num_memory_regions;
    uint32_t num_cache_regions;
    uint32_t num_irqchips;
    uint32_t num_pio_regions;
    uint32_t num_pci_devices;
    uint32_t num_pci_caps;
    uint32_t num_stream_ids;
    uint32_t vpci_irq_base; /* SPI number: GIC interrupt id minus 32 */
    uint64_t cpu_reset_address;
    uint64_t msg_reply_timeout; /* 0: wait for ever */
    struct jh_console console;
} ABI_PACKED;
ABI_SIZE(struct jh_cell, 132);

enum jh_iommu_type {
    JH_IOMMU_NONE = 0,
    JH_IOMMU_AMD = 1,
    JH_IOMMU_INTEL = 2,
    JH_IOMMU_SMMUV3 = 3,
    JH_IOMMU_PVU = 4,
    JH_IOMMU_MMU500 = 5,
};

struct jh_iommu {
    uint32_t type;
    uint64_t base;
    uint32_t size;
    union {
        struct {
            uint16_t bdf;
            uint8_t base_cap;
            uint8_t msi_cap;
            uint32_t features;
        } ABI_PACKED amd;
        struct {
            uint64_t tlb_base;
            uint32_t tlb_size;
        } ABI_PACKED tipvu;
    } ABI_PACKED;
} ABI_PACKED;
ABI_SIZE(struct jh_iommu, 28);

struct jh_platform {
    uint64_t pci_mmconfig_base;
    uint8_t pci_mmconfig_end_bus;
    uint8_t pci_is_virtual;
    uint16_t pci_domain;
    struct jh_iommu iommu_units[JH_MAX_IOMMU_UNITS];
    union {
        struct {
            uint16_t pm_timer_address;
            uint8_t apic_mode;
            uint8_t padding;
            uint32_t vtd_interrupt_limit;
            uint32_t tsc_khz;
            uint32_t apic_khz;
        } ABI_PACKED x86;
        struct {
            uint8_t maintenance_irq; /* GIC interrupt id */
            uint8_t gic_version;
            uint8_t padding[2];
            uint64_t gicd_base;
            uint64_t gicc_base;
            uint64_t gich_base;
            uint64_t gicv_base;
            uint64_t gicr_base;
        } ABI_PACKED arm;
    } ABI_PACKED;
} ABI_PACKED;
ABI_SIZE(struct jh_platform, 12 + 8 * 28 + 44);

struct jh_system {
    char signature[JH_SIGNATURE_SIZE];
    uint8_t architecture;
    uint16_t revision;
    uint32_t flags;
    struct jh_memory hypervisor_memory;
    struct jh_console debug_console;
    struct jh_platform platform;
    struct jh_cell root_cell;
} ABI_PACKED;
ABI_SIZE(struct jh_system, 12 + 32 + 32 + 280 + 132);

#endif

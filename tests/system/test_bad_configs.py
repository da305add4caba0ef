# SPDX-License-Identifier: Apache-2.0
"""Cell configs with one field out of range, through tool, loader and hypervisor: each is refused with its errno and a
line that names the field, and nothing has changed then."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass

import pytest
from conftest import TARGET, Bed

from hil import places
from hil.target import CellUse

EINVAL, EBUSY, EEXIST, E2BIG = "Invalid argument", "Device or resource busy", "File exists", "Argument list too long"
STATE = "cat /sys/devices/jailhouse/mem_pool_used /sys/devices/system/cpu/online; ls /sys/devices/jailhouse/cells"
"""What must be the same afterwards."""

# abi/cell_config.h: struct jh_cell, and the arrays of ivshmem-latency.cell: 8 bytes of CPUs, 7 memory regions, an
# irqchip, a PCI device.
CPUS = 132
MEMORY = CPUS + 8
RAM, COMM, UART, STATE_TABLE, RW, OUT0, OUT1 = (MEMORY + 32 * region for region in range(7))
PHYS, VIRT, SIZE, FLAGS = 0, 8, 16, 24
CHIP = MEMORY + 7 * 32
PCI = CHIP + 32
BAR = PCI + 6


@dataclass(frozen=True)
class Bad:
    """A value somewhere in the config, what the reason must name, and the errno. `longer`: zeros behind the config."""

    reason: str
    at: int
    format: str
    value: int
    errno: str = EINVAL
    longer: int = 0

    def spoil(self, config: bytes) -> bytes:
        spoilt = bytearray(config)
        struct.pack_into("<" + self.format, spoilt, self.at, self.value)
        return bytes(spoilt)


FIELDS = [
    Bad("signature", 0, "B", ord("X")),
    Bad("architecture", 5, "B", 1),
    Bad("revision", 6, "H", 13),
    Bad("name: 1 to 31 characters", 8, "B", 0),
    Bad("name: has the character 0x7", 8, "B", 7),
    Bad("name: has the character 0x22", 8, "B", ord('"')),
    Bad("flags: 0x100", 44, "I", 0x101),
    Bad("TEST_DEVICE", 44, "I", 3),
    Bad("AARCH32", 44, "I", 5),
    Bad("its counts ask for", 48, "I", 9),
    Bad("CPU 92 is in its set", 48, "I", 65, EBUSY, longer=0x1000),
    Bad("num_memory_regions: 1025", 52, "I", 1025, longer=0x8000),
    Bad("size: the arrays need", 52, "I", 3000, E2BIG, longer=0x18000),
    Bad("at most 262144 are taken", 52, "I", 9000, E2BIG, longer=0x48000),
    Bad("num_cache_regions", 56, "I", 1, longer=0x1000),
    Bad("num_irqchips: 1025", 60, "I", 1025, longer=0x9000),
    Bad("num_pio_regions", 64, "I", 1, longer=0x1000),
    Bad("num_pci_devices: 65", 68, "I", 65, longer=0x1000),
    Bad("num_pci_caps", 72, "I", 1, longer=0x1000),
    Bad("num_stream_ids", 76, "I", 1, longer=0x1000),
    Bad("its counts ask for", 76, "I", 0xFFFFFFFF, longer=0x1000),
    Bad("vpci_irq_base", 80, "I", 253),
    Bad("vpci_irq_base", 80, "I", 0xFFFFFFFF),
    Bad("cpu_reset_address", 84, "Q", 2),
    Bad("cpu_reset_address", 84, "Q", 1 << 40),
    Bad("console: type", 112, "H", 11),
    Bad("console: flags", 114, "H", 4),
    Bad("CPU set is empty", CPUS, "Q", 0),
    Bad("wants all CPUs", CPUS, "Q", 0xF),
    Bad("CPU 6 is in its set", CPUS, "Q", 0x40, EBUSY),
    Bad("CPU 63 is in its set", CPUS, "Q", 1 << 63, EBUSY),
    Bad("memory region 0: flags", RAM + FLAGS, "Q", 1 << 40),
    Bad("memory region 0: virt_start", RAM + VIRT, "Q", 1 << 40),
    Bad("memory region 0: virt_start", RAM + VIRT, "Q", 0xFFFFFFFFFFFFF000),
    Bad("memory region 0: phys_start", RAM + PHYS, "Q", 1 << 40),
    Bad("memory region 0: phys_start", RAM + PHYS, "Q", 0x7F000000 + 0x800000, EBUSY),
    Bad("memory region 0: phys_start", RAM + PHYS, "Q", 0x07F00000, EBUSY),
    Bad("not all of it is memory of the root", RAM + PHYS, "Q", 0x0C000000),
    Bad("memory region 0: virt_start", RAM + SIZE, "Q", 1 << 41),
    Bad("not page aligned", RAM + SIZE, "Q", 0x1000001),
    Bad("not page aligned", RAM + PHYS, "Q", 0x70000001),
    Bad("overlaps memory region 0", UART + VIRT, "Q", 0x1000),
    Bad("COMM_REGION", COMM + SIZE, "Q", 0x2000),
    Bad("COMM_REGION", COMM + VIRT, "Q", 0x80000010),
    Bad("2 COMM_REGIONs", UART + FLAGS, "Q", 0x23),
    Bad("with COMM_REGION", COMM + FLAGS, "Q", 0x63),
    Bad("irqchip 0: address", CHIP, "Q", 0x08010000),
    Bad("irqchip 0: id", CHIP + 8, "I", 1),
    Bad("irqchip 0: pin_base", CHIP + 12, "I", 16),
    Bad("irqchip 0: pin_base", CHIP + 12, "I", 0xFFFFFFE0),
    Bad("irqchip 0: pin_bitmap", CHIP + 12, "I", 192),
    Bad("pci device 0: type", PCI, "B", 1),
    Bad("pci device 0: type", PCI, "B", 2),
    Bad("pci device 0: type", PCI, "B", 4),
    Bad("iommu", PCI + 1, "B", 1),
    Bad("domain", PCI + 2, "H", 0),
    Bad("bdf", PCI + 4, "H", 0x100),
    Bad("bar_mask[0]", BAR, "I", 0xFFFFF00F),
    *(Bad(f"bar_mask[{bar}]", BAR + 4 * bar, "I", 0xFFFFF000) for bar in range(1, 6)),
    Bad("caps_start", PCI + 30, "H", 1),
    Bad("num_caps", PCI + 32, "H", 1),
    Bad("num_msi_vectors", PCI + 34, "B", 1),
    Bad("msi_flags", PCI + 35, "B", 1),
    Bad("num_msix_vectors", PCI + 36, "H", 2),
    Bad("msix_region_size", PCI + 38, "H", 0x1000),
    Bad("msix_address", PCI + 40, "Q", 0x1000),
    Bad("shmem_regions_start", PCI + 48, "I", 4),
    Bad("shmem_regions_start", PCI + 48, "I", 0xFFFFFFFE),
    Bad("is COMM_REGION", PCI + 48, "I", 1),
    Bad("shmem_dev_id", PCI + 52, "B", 2),
    Bad("output section of peer 1", PCI + 52, "B", 0),
    Bad("shmem_peers", PCI + 53, "B", 1),
    Bad("shmem_peers", PCI + 53, "B", 17),
    Bad("state table", STATE_TABLE + FLAGS, "Q", 0x83),
    Bad("output section of peer 0", OUT0 + FLAGS, "Q", 0x83),
    Bad("differ in size", OUT1 + SIZE, "Q", 0x1000),
    Bad("must follow the section before it", RW + VIRT, "Q", 0x7F000000),
]

TAKEN = [
    Bad("overlaps memory of cell", RAM + PHYS, "Q", 0x70800000, EBUSY),
    Bad("an interrupt belongs to another cell", 80, "I", 104, EBUSY),
    Bad("an interrupt belongs to another cell", CHIP + 16 + 12, "I", 1 << 8, EBUSY),  # 136
    Bad("wants CPUs 2", CPUS, "Q", 4, EBUSY),
    Bad("wants CPUs 1-2", CPUS, "Q", 6, EBUSY),
]
"""What `ivshmem-peer-1` has: CPU 2, 16 MiB at 0x71000000, interrupts 136 to 139."""


def good() -> bytes:
    config = (places.build() / "cells" / TARGET / "ivshmem-latency.cell").read_bytes()
    assert len(config) == PCI + 56
    return config


def state(bed: Bed) -> str:
    return str(bed.root.script(STATE, "command").text)


def create(bed: Bed, config: bytes, longer: int = 0) -> str:
    """What tool, kernel and hypervisor say when a cell is created from these bytes."""
    write = f"echo {base64.b64encode(config).decode()} | base64 -d >/tmp/bad; head -c {longer} /dev/zero >>/tmp/bad"
    said = "dmesg | tail -n 3; jailhouse console | tail -n 2"
    script = f"{write}; dmesg -c >/dev/null; jailhouse cell create /tmp/bad 2>&1; echo code $?; {said}"
    return str(bed.root.script(script, "create", "create a bad cell").text)


def refused(bed: Bed, bad: Bad, before: str) -> None:
    said = create(bed, bad.spoil(good()), bad.longer)
    assert f"JAILHOUSE_CELL_CREATE: {bad.errno}" in said and "code 1" in said, said
    assert bad.reason in said, said
    assert state(bed) == before


@pytest.mark.parametrize("bad", FIELDS, ids=lambda bad: f"{bad.reason}={bad.value:#x}")
def test_each_field_is_refused_by_name(bed: Bed, bad: Bad) -> None:
    refused(bed, bad, state(bed))


def test_the_config_that_was_spoilt_is_good(bed: Bed) -> None:
    """And what follows it in the file does not matter."""
    before = state(bed)
    for longer in (0, 1, 0x3000):
        assert "code 0" in create(bed, good(), longer)
        bed.root.run(["jailhouse", "cell", "destroy", "ivshmem-latency"], "destroy")
        assert state(bed) == before


def test_every_truncation_is_refused(bed: Bed) -> None:
    before = state(bed)
    for size in (0, 1, 5, 131, 132, MEMORY - 1, MEMORY, CHIP - 1, CHIP, PCI, PCI + 55):
        said = create(bed, good()[:size])
        assert EINVAL in said and "code 1" in said, (size, said)
        assert ("bytes" in said) or ("signature" in said), (size, said)
    assert state(bed) == before


def test_what_another_cell_has_is_refused(bed: Bed) -> None:
    """Also: the loader stays while there is a cell."""
    bed.root.create(CellUse("ivshmem-peer-1.cell", "ivshmem-peer-1", ""))
    before = state(bed)
    for bad in TAKEN:
        refused(bed, bad, before)
    same = bytearray(good())
    same[8:40] = b"ivshmem-peer-1".ljust(32, b"\0")
    said = create(bed, bytes(same))
    assert EEXIST in said and "exists" in said and state(bed) == before
    assert "temporarily unavailable" in bed.root.script("rmmod jailhouse 2>&1", "command", allowed=(1,)).text
    assert state(bed) == before
    bed.root.run(["jailhouse", "cell", "destroy", "ivshmem-peer-1"], "destroy")
    assert bed.watch.traps == []

# SPDX-License-Identifier: Apache-2.0
"""Where the root cell's virtual PCI is, for a driver that has to walk it itself: read from the system config file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from hil.errors import WrongUse

REVISION = 14
# abi/cell_config.h: struct jh_system up to its platform, and struct jh_cell within it.
SIGNATURE = struct.Struct("<5sBH")
PLATFORM = struct.Struct("<QBBH")
PLATFORM_OFFSET = 12 + 32 + 32
ROOT_CELL_OFFSET = PLATFORM_OFFSET + 280
VPCI_IRQ_BASE_OFFSET = ROOT_CELL_OFFSET + 8 + 32 + 4 * 10
MIB = 1 << 20


@dataclass(frozen=True)
class VirtualPci:
    """Addresses are physical. `window` is where BARs go: right behind the configuration space."""

    config_base: int
    end_bus: int
    domain: int
    is_virtual: bool
    irq_base: int

    @property
    def window(self) -> int:
        """One MiB of configuration space a bus (PCI Express ECAM)."""
        return self.config_base + (self.end_bus + 1) * MIB

    def module_parameters(self) -> list[str]:
        """For insmod uio_ivshmem.ko where the kernel's PCI core does not show the device."""
        return [
            f"ecam={self.config_base:#x}",
            f"buses={self.end_bus + 1}",
            f"window={self.window:#x}",
            f"irq_base={self.irq_base}",
        ]


def virtual_pci(config: Path) -> VirtualPci:
    """Reads a system config. WrongUse when it is none of revision 14."""
    try:
        data = config.read_bytes()
    except OSError as error:
        raise WrongUse(f"cannot read the system config {config}: {error.strerror}") from error
    if len(data) < VPCI_IRQ_BASE_OFFSET + 4:
        raise WrongUse(f"{config} is no system config: {len(data)} bytes are too few")
    signature, _, revision = SIGNATURE.unpack_from(data)
    if signature != b"JHSYS" or revision != REVISION:
        raise WrongUse(
            f"{config} is no system config of revision {REVISION}: signature {signature!r}, revision {revision}"
        )
    base, end_bus, is_virtual, domain = PLATFORM.unpack_from(data, PLATFORM_OFFSET)
    (irq_base,) = struct.unpack_from("<I", data, VPCI_IRQ_BASE_OFFSET)
    return VirtualPci(base, end_bus, domain, bool(is_virtual), irq_base)

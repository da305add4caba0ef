# SPDX-License-Identifier: Apache-2.0
"""A link of sixteen peers for the system tests: configs of its ends, and what the root reads in its memory."""

from __future__ import annotations

from conftest import Bed

from hil.limits import Deadline, Limits

MESH = 0x7E000000
"""Where its memory is: a page for the state table, then a page for each peer's output section."""
PEERS = 16
PAGE = 0x1000
BDF = "00:02.0"


def output(peer: int) -> int:
    """Where the peer's output section is."""
    return MESH + PAGE * (1 + peer)


def sections(peer: int, more_flags: str = "") -> str:
    """The memory regions of one end, in YAML: an empty read/write section, an output section for each peer."""
    outputs = "".join(
        f"""
  - name: mesh-out{other}
    physical: {output(other):#x}
    size: 4K
    flags: read {"write" if other == peer else ""} {more_flags}"""
        for other in range(PEERS)
    )
    return f"""
  - {{name: mesh-state, physical: {MESH:#x}, size: 4K, flags: read {more_flags}}}
  - {{name: mesh-rw, physical: {MESH + PAGE:#x}, size: 0, flags: read write {more_flags}}}{outputs}"""


def device(peer: int) -> str:
    """Its PCI device, in YAML."""
    return f"""
  - type: ivshmem
    domain: 1
    bdf: "{BDF}"
    first-region: mesh-state
    peer-id: {peer}
    peers: {PEERS}
    protocol: custom"""


def cell_text(cpu: int, peer: int) -> str:
    """A cell on one CPU with one end of the link."""
    first = 128 + 4 * cpu
    return f"""
kind: cell
architecture: arm64
name: mesh-{peer}
devices: ../devices.yaml
flags: passive-comm-region virtual-console-permitted
cpus: [{cpu}]
vpci-irq-base: {first - 32}
reset-address: 0x0
memory:
  - name: ram
    physical: {0x70000000 + cpu * 0x200000:#x}
    virtual: 0x0
    size: 1M
    flags: read write execute loadable
  - {{name: comm, physical: 0, virtual: 0x80000000, size: 4K, flags: read write comm-region}}
{sections(peer, "root-shared").strip(chr(10))}
irqchips:
  - {{device: gicd, pin-base: {32 if first < 160 else 160}, interrupts: [{first}-{first + 3}]}}
pci:{device(peer)}
"""


def words(bed: Bed, address: int, stride: int, count: int) -> list[int]:
    """What the root reads there."""
    said = bed.root.script(f"driver-check words {address:#x} {stride:#x} {count}", "command").out
    return [int(word, 16) for word in said.split()]


def states(bed: Bed) -> list[int]:
    """The state table."""
    return words(bed, MESH, 4, PEERS)


def interrupts(bed: Bed) -> list[int]:
    """How many each peer has counted: its output section holds ten times that."""
    return [word // 10 for word in words(bed, output(0), PAGE, PEERS)]


def wait_for_interrupts(bed: Bed, least: dict[int, int]) -> None:
    """Until each of these peers has counted so many."""
    deadline = Deadline(Limits({"line": 40.0}), "line", f"interrupts of peers: {least}")
    while True:
        heard = interrupts(bed)
        if all(heard[peer] >= count for peer, count in least.items()):
            return
        deadline.check(lambda: f"heard are {heard}")
        bed.watch.pause(0.05)

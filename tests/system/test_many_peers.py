# SPDX-License-Identifier: Apache-2.0
"""A link as large as the ABI allows: the root and fifteen cells, on a machine of sixteen CPUs, as many as gaol takes.

One cell cannot have two ends of one link: a link is told by its devices' function number and sections, and a cell has
one device of a number.
"""

from __future__ import annotations

from dataclasses import dataclass

import mesh
import pytest
from conftest import CELLS, TARGET, Bed, Boot, cell_file, plan
from mesh import PEERS, interrupts, states, wait_for_interrupts

from hil import places
from hil.target import CellUse
from hil.uio_walk import virtual_pci

CELL_PEERS = range(1, PEERS)  # peer n is the cell on CPU n; the root is peer 0
REGISTERS = 0x0F102000  # of the root's third device
STATE, DOORBELL = REGISTERS + 0x10, REGISTERS + 0xC


def system_text() -> str:
    """The qemu target's system config with sixteen CPUs and a third device, peer 0 of the link."""
    text = (CELLS / "qemu-root.yaml").read_text()
    for old, new in (
        ("cpus: [0-3]", f"cpus: [0-{PEERS - 1}]"),
        ("size: 250M", "size: 224M"),  # up to the link's memory, whose state table the root may not write either
        ("\nirqchips:", mesh.sections(0) + "\nirqchips:"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text.rstrip() + mesh.device(0) + "\n"


@pytest.fixture(scope="module")
def crowd(boot: Boot) -> Bed:
    """All cells created, none started."""
    bed = boot(plan(), smp=PEERS)
    bed.root.run(["insmod", "/hil/jailhouse.ko"], "enable")
    bed.root.run(["jailhouse", "enable", cell_file(bed, system_text(), "crowd")], "enable")
    for peer in CELL_PEERS:
        bed.root.run(
            ["jailhouse", "cell", "create", cell_file(bed, mesh.cell_text(peer, peer), f"mesh-{peer}")], "create"
        )
    parameters = virtual_pci(places.build() / "cells" / TARGET / "qemu-root.cell").module_parameters()
    bed.root.script("modprobe uio", "driver")
    bed.root.run(["insmod", "/hil/uio_ivshmem.ko", *parameters], "driver")
    return bed


def start(bed: Bed, peer: int, command_line: str) -> None:
    """Loads and starts the peer's cell."""
    use = CellUse("", f"mesh-{peer}", "ivshmem-demo.bin", f"quiet=1 answer=0 {command_line}")
    bed.root.load(use)
    bed.root.start(use)


def test_an_end_exists_from_create_on(crowd: Bed) -> None:
    crowd.wait_for_line('Created cell "mesh-15"')
    last = "\n".join(crowd.lines[crowd.lines.index('Created cell "mesh-14"') :])
    for peer in range(1, PEERS - 1):
        assert f' "mesh-{peer}"' in last, "the last one is told of all the others"
    assert states(crowd) == [0] * PEERS


@dataclass
class Counts:
    """How many interrupts each peer has had, by what the cells say themselves; of the root, peer 0, always none."""

    bed: Bed
    now: list[int]

    def rise(self, *peers: int) -> None:
        """Each of these has one more soon, and nobody else has."""
        for peer in peers:
            self.now[peer] += 1
        wait_for_interrupts(self.bed, {peer: self.now[peer] for peer in peers})
        self.bed.watch.pause(0.1)  # one too many would come about now
        assert interrupts(self.bed) == self.now


@pytest.fixture(scope="module")
def counts(crowd: Bed) -> Counts:
    """All cells started, and what they have heard of each other until it is quiet."""
    for peer in CELL_PEERS:
        start(crowd, peer, "peer=0")
    wait_for_interrupts(crowd, dict.fromkeys(range(1, PEERS - 1), 1))
    heard, unchanged = interrupts(crowd), 0
    while states(crowd)[-1] != 2 or unchanged < 3:
        crowd.watch.pause(0.3)  # a peer that a busy host lets wait hears of the others later
        before, heard = heard, interrupts(crowd)
        unchanged = unchanged + 1 if heard == before else 0
    return Counts(crowd, heard)


def test_the_state_table_has_everybody(crowd: Bed, counts: Counts) -> None:
    assert states(crowd) == [0] + [2] * len(CELL_PEERS)
    crowd.root.script(f"devmem {STATE:#x} 32 7", "command")  # the root's own state: all hear of it
    counts.rise(*CELL_PEERS)
    assert states(crowd) == [7] + [2] * len(CELL_PEERS)


def test_a_doorbell_reaches_one_peer_alone(crowd: Bed, counts: Counts) -> None:
    for peer in (15, 1, 8):
        crowd.root.script(f"devmem {DOORBELL:#x} 32 {peer << 16:#x}", "command")
        counts.rise(peer)
    for nobody in (16 << 16, 0xFFFF0000, 15 << 16 | 1):  # no such peers, no such vector
        crowd.root.script(f"devmem {DOORBELL:#x} 32 {nobody:#x}", "command")
    counts.rise()


def test_everybody_sees_that_a_peer_was_reset(crowd: Bed, counts: Counts) -> None:
    switch_on = r"exec 5<>/dev/uio2; printf '\1\0\0\0' >&5"
    others = [peer for peer in CELL_PEERS if peer != 8]
    # Its file stays open until the reset was heard: two interrupts of one vector may be one for a peer that is slow.
    keep = "sleep 100000 <&5 >/dev/null 2>&1 & echo :$!"
    said = crowd.root.script(
        f"{switch_on}; jailhouse cell shutdown mesh-8 && dd bs=4 count=1 <&5 2>/dev/null; {keep}", "run"
    )
    count, _, keeper = said.out.rpartition(b":")
    assert len(count) == 4, "the root's interrupt came"
    counts.rise(*others)  # the reset
    crowd.root.script(f"kill {keeper.decode()}", "command")
    counts.rise(*others)  # the root's own state: its file was closed
    assert states(crowd) == [0, *[2] * 7, 0, *[2] * 7]


def test_cells_ring_over_any_distance(crowd: Bed, counts: Counts) -> None:
    quiet = [peer for peer in CELL_PEERS if peer not in (1, 8, 15)]
    for peer, to in ((8, 15), (15, 1), (1, 8)):
        start(crowd, peer, f"peer={to} ring_ms=20")
    wait_for_interrupts(crowd, {8: 20, 15: 20, 1: 20})
    heard = interrupts(crowd)
    assert all(heard[peer] - counts.now[peer] <= 5 for peer in quiet), "the others heard of resets and states alone"
    assert states(crowd) == [0] + [2] * len(CELL_PEERS)
    assert crowd.watch.traps == []

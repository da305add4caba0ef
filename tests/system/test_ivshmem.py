# SPDX-License-Identifier: Apache-2.0
"""ivshmem between the root cell and an inmate, and between two inmates."""

from __future__ import annotations

import pytest
from conftest import Bed, cell_file

from hil.record_line import scan_records
from hil.target import CellUse

LATENCY = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")
PEERS = [
    CellUse("ivshmem-peer-1.cell", "ivshmem-peer-1", "ivshmem-demo.bin", "peer=2"),
    CellUse("ivshmem-peer-2.cell", "ivshmem-peer-2", "ivshmem-demo.bin", "peer=1"),
]
WAYS = ["interrupt", "poll"]


@pytest.mark.parametrize("root", WAYS)
@pytest.mark.parametrize("inmate", WAYS)
def test_doorbells_both_ways(bed: Bed, root: str, inmate: str) -> None:
    bed.start(LATENCY)
    program = f"ivshmem-latency --root={root} --inmate={inmate} --warmup=5 --count=50"
    answer = bed.root.script(program, "run")
    scan = scan_records(answer.out)
    assert not scan.errors
    series = {record.series: record for record in scan.records}
    for name in ("round-trip", "root-to-inmate", "inmate-to-root"):
        assert series[name].count == 50 and series[name].min > 0, name
        assert dict(series[name].mode) == {"root": root, "inmate": inmate}
    assert series["root-to-inmate"].min + series["inmate-to-root"].min <= series["round-trip"].max
    bed.root.destroy(LATENCY)


def test_the_root_sees_the_device_as_uio(bed: Bed) -> None:
    names = bed.root.script("cat /sys/class/uio/uio*/name", "command").out.decode().split()
    assert any("ivshmem" in name for name in names)
    maps = bed.root.script("cat /sys/class/uio/uio0/maps/map*/name", "command").out.decode().split()
    assert len(maps) >= 3, f"registers, state table, sections expected, found {maps}"


def test_two_cells_run_side_by_side_and_see_each_other(bed: Bed) -> None:
    bed.lines.clear()
    for cell in PEERS:
        bed.root.create(cell)
        bed.root.load(cell)
    for cell in PEERS:
        bed.root.start(cell)
    bed.wait_for_line("ivshmem-demo: peer 1 of 3")
    bed.wait_for_line("ivshmem-demo: peer 2 of 3")
    states = bed.root.cell_states()
    assert states["ivshmem-peer-1"] == states["ivshmem-peer-2"] == "running"
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-1\n"
    for cell in PEERS:
        bed.root.destroy(cell)
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-3\n"


def test_two_cells_and_a_measurement_do_not_disturb_each_other(bed: Bed) -> None:
    bed.start(LATENCY)
    hello = CellUse("neighbour.cell", "neighbour", "hello.bin", "interval_ms=50")
    bed.start(hello)
    answer = bed.root.script("ivshmem-latency --warmup=5 --count=50", "run")
    assert len(scan_records(answer.out).records) == 4
    states = bed.root.cell_states()
    assert states["neighbour"] == states["ivshmem-latency"] == "running"
    bed.root.destroy(hello)
    bed.root.destroy(LATENCY)
    assert bed.watch.traps == []


MESH = 0x7E000000  # a link that the root has no end of; it may look at its memory
MESH_PEERS = 16
PAGE = 0x1000


def mesh_cell(cpu: int, peer: int) -> str:
    """A cell with one end of a link of 16 peers: an empty read/write section, an output section of a page for each."""
    outputs = "".join(
        f"""
  - name: out{other}
    physical: {MESH + PAGE * (1 + other):#x}
    size: 4K
    flags: read {"write " if other == peer else ""}root-shared"""
        for other in range(MESH_PEERS)
    )
    return f"""
kind: cell
architecture: arm64
name: mesh-{peer}
devices: ../devices.yaml
flags: passive-comm-region virtual-console-permitted
cpus: [{cpu}]
vpci-irq-base: {96 + 4 * cpu}
reset-address: 0x0
memory:
  - name: ram
    physical: {0x70000000 + cpu * 0x1000000:#x}
    virtual: 0x0
    size: 1M
    flags: read write execute loadable
  - {{name: comm, physical: 0x0, virtual: 0x80000000, size: 4K, flags: read write comm-region}}
  - {{name: state, physical: {MESH:#x}, size: 4K, flags: read root-shared}}
  - {{name: rw, physical: {MESH + PAGE:#x}, size: 0, flags: read write root-shared}}{outputs}
irqchips:
  - {{device: gicd, pin-base: 32, interrupts: [{128 + 4 * cpu}-{131 + 4 * cpu}]}}
pci:
  - type: ivshmem
    domain: 1
    bdf: "00:02.0"
    first-region: state
    peer-id: {peer}
    peers: {MESH_PEERS}
    protocol: custom
"""


def words(bed: Bed, *addresses: int) -> list[int]:
    """What the root reads there."""
    script = "; ".join(f"devmem {address:#x} 32" for address in addresses)
    return [int(word, 16) for word in bed.root.script(script, "command").out.split()]


def interrupts(bed: Bed, *peers: int) -> list[int]:
    """How many each peer has counted: its output section holds ten times that."""
    return [word // 10 for word in words(bed, *(MESH + PAGE * (1 + peer) for peer in peers))]


def wait_for_interrupts(bed: Bed, least: dict[int, int]) -> None:
    """Until each peer has counted so many."""
    tests = " && ".join(
        f"[ $(($(devmem {MESH + PAGE * (1 + peer):#x} 32))) -ge {10 * count} ]" for peer, count in least.items()
    )
    bed.root.script(f"until {tests}; do sleep 0.05; done", "run")


def test_cells_alone_on_a_link_of_sixteen(bed: Bed) -> None:
    """Three cells, all that a machine of four CPUs has beside the root: the first, a middle and the last id."""
    cells = {peer: CellUse("", f"mesh-{peer}", "ivshmem-demo.bin") for peer in (0, 8, 15)}
    for cpu, (peer, cell) in enumerate(cells.items(), 1):
        path = cell_file(bed, mesh_cell(cpu, peer), cell.name)
        bed.root.run(["jailhouse", "cell", "create", path], "create")

    def start(peer: int, command_line: str) -> None:
        use = CellUse("", f"mesh-{peer}", "ivshmem-demo.bin", f"quiet=1 answer=0 {command_line}")
        bed.root.load(use)
        bed.root.start(use)

    start(0, "peer=8")
    start(8, "peer=0")
    wait_for_interrupts(bed, {0: 1})  # the other's state became 2
    before = interrupts(bed, 0, 8)
    start(15, "peer=0")
    wait_for_interrupts(bed, {0: before[0] + 1, 8: before[1] + 1})  # both hear of it: nobody rang a bell
    assert words(bed, *(MESH + 4 * peer for peer in range(MESH_PEERS))) == [2, *[0] * 7, 2, *[0] * 6, 2]

    before = interrupts(bed, 0, 8)
    bed.root.run(["jailhouse", "cell", "shutdown", "mesh-15"], "command")
    wait_for_interrupts(bed, {0: before[0] + 1, 8: before[1] + 1})
    assert words(bed, MESH + 4 * 15) == [0], "a peer that is shut down has state 0"

    for peer, to in ((0, 15), (8, 0), (15, 8)):  # in a circle
        start(peer, f"peer={to} ring_ms=20")
    wait_for_interrupts(bed, dict.fromkeys(cells, 20))
    for cell in cells.values():
        bed.root.run(["jailhouse", "cell", "destroy", cell.name], "destroy")
    assert words(bed, *(MESH + 4 * peer for peer in cells)) == [0, 0, 0]
    assert bed.watch.traps == []

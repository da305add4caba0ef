# SPDX-License-Identifier: Apache-2.0
"""ivshmem between the root cell and an inmate, and between two inmates."""

from __future__ import annotations

import pytest
from conftest import Bed, cell_file
from mesh import cell_text, interrupts, states, wait_for_interrupts

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


def test_cells_alone_on_a_link_of_sixteen(bed: Bed) -> None:
    """Three cells, all that a machine of four CPUs has beside the root: the first, a middle and the last id."""
    cells = {peer: CellUse("", f"mesh-{peer}", "ivshmem-demo.bin") for peer in (0, 8, 15)}
    for cpu, (peer, cell) in enumerate(cells.items(), 1):
        path = cell_file(bed, cell_text(cpu, peer), cell.name)
        bed.root.run(["jailhouse", "cell", "create", path], "create")

    def start(peer: int, command_line: str) -> None:
        use = CellUse("", f"mesh-{peer}", "ivshmem-demo.bin", f"quiet=1 answer=0 {command_line}")
        bed.root.load(use)
        bed.root.start(use)

    start(0, "peer=8")
    start(8, "peer=0")
    wait_for_interrupts(bed, {0: 1})  # the other's state became 2
    before = interrupts(bed)
    start(15, "peer=0")
    wait_for_interrupts(bed, {0: before[0] + 1, 8: before[8] + 1})  # both hear of it: nobody rang a bell
    assert states(bed) == [2, *[0] * 7, 2, *[0] * 6, 2]

    before = interrupts(bed)
    bed.root.run(["jailhouse", "cell", "shutdown", "mesh-15"], "command")
    wait_for_interrupts(bed, {0: before[0] + 1, 8: before[8] + 1})
    assert states(bed)[15] == 0, "a peer that is shut down has state 0"

    for peer, to in ((0, 15), (8, 0), (15, 8)):  # in a circle
        start(peer, f"peer={to} ring_ms=20")
    wait_for_interrupts(bed, dict.fromkeys(cells, 20))
    for cell in cells.values():
        bed.root.run(["jailhouse", "cell", "destroy", cell.name], "destroy")
    assert states(bed) == [0] * 16
    assert bed.watch.traps == []

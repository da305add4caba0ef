# SPDX-License-Identifier: Apache-2.0
"""A cell that touches what its config does not grant: trapped, told whole, parked, failed; everybody else goes on."""

from __future__ import annotations

import pytest
from conftest import Bed

from hil.errors import Trapped
from hil.target import CellUse

RTC = 0x09010000
HYPERVISOR = 0x7FC00000
CELL_RAM = 0x70000000


def poke(command_line: str) -> CellUse:
    """The inmate that breaks a rule, in the cell of `hello`."""
    return CellUse("hello.cell", "hello", "fault.bin", command_line)


@pytest.mark.parametrize(
    ("kind", "address", "access"),
    [("read", RTC, "read"), ("write", HYPERVISOR, "write"), ("read", 0x40000000, "read")],
    ids=["device-not-granted", "hypervisor-memory", "root-memory"],
)
def test_a_violation_is_trapped_and_only_its_cell_fails(bed: Bed, kind: str, address: int, access: str) -> None:
    cell = poke(f"act={kind} addr={address:#x} after_ms=50")
    bed.watch.traps.clear()
    bed.watch.traps_end_waits = True
    with pytest.raises(Trapped) as trapped:
        bed.start(cell)
        bed.watch.pause(20)
    bed.watch.traps_end_waits = False
    assert f"data {access} at {address:#x}" in str(trapped.value).lower()
    (trap,) = bed.watch.traps
    assert (trap["kind"], trap["access"], int(trap["address"], 16)) == ("data", access, address)
    assert (trap["cell"], trap["cpu"], trap["outcome"]) == ("hello", 1, "parked")
    assert trap["syndrome"] is not None and trap["pc"] is not None and trap["registers"]

    states = bed.root.cell_states()
    assert states["hello"] == "failed" and states["qemu-root"].startswith("running")
    assert bed.root.script("echo root lives", "command").out == b"root lives\n"
    bed.root.destroy(cell)
    assert "hello" not in bed.root.cell_states()
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-3\n"


def test_a_cell_that_failed_recovers_by_destroy(bed: Bed) -> None:
    hello = CellUse("hello.cell", "hello", "hello.bin", "interval_ms=20 count=3")
    bed.lines.clear()
    bed.start(hello)
    bed.wait_for_line("hello 3")
    bed.root.destroy(hello)


def test_the_root_cell_is_stopped_too_and_that_is_seen_from_outside(bed: Bed) -> None:
    """Last in this file: the root cell has lost a CPU afterwards."""
    hello = CellUse("hello.cell", "hello", "hello.bin", "interval_ms=100")
    bed.start(hello)
    bed.watch.traps.clear()
    bed.watch.traps_end_waits = True
    with pytest.raises(Trapped, match=f'data read at {CELL_RAM:#x} of cell "qemu-root"'):
        bed.root.script(f"devmem {CELL_RAM:#x} 32", "command")
    bed.watch.traps_end_waits = False
    assert bed.watch.traps[0]["outcome"] == "parked"
    bed.lines.clear()
    bed.wait_for_line("hello ")  # the inmate runs on

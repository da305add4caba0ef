# SPDX-License-Identifier: Apache-2.0
"""Messages between the hypervisor and cells that take part in them, and where a cell begins."""

from __future__ import annotations

import time

import pytest
from conftest import CELLS, Bed, cell_file

from hil.target import CellUse

HELLO = "/hil/cells/hello.cell"


def active(bed: Bed, name: str, act: str, timeout_us: int = 0) -> CellUse:
    """A cell on CPU 2 that is asked, with an inmate that does this act; created, started and at it."""
    text = (
        (CELLS / "hello.yaml").read_text().replace("name: hello", f"name: {name}").replace("passive-comm-region ", "")
    )
    text = text.replace("[1]", "[2]").replace("0x70000000", "0x72000000") + f"\nmessage-timeout: {timeout_us}\n"
    use = CellUse("", name, "fault.bin", f"act={act}")
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, text, name)], "create")
    bed.lines.clear()
    bed.root.load(use)
    bed.root.start(use)
    bed.wait_for_line(f"nobody stopped {act}")
    return use


def destroy(bed: Bed, name: str) -> None:
    bed.root.run(["jailhouse", "cell", "destroy", name], "destroy")


def test_a_cell_is_told_that_others_come_and_go(bed: Bed) -> None:
    """Each of the two calls waits for its answer: a cell that takes 300 ms makes them as long."""
    slow = active(bed, "slow", "idle", 0)
    destroy(bed, slow.name)
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: slow").replace("passive-comm-region ", "")
    path = cell_file(bed, text.replace("[1]", "[2]").replace("0x70000000", "0x72000000"), "slow")
    bed.root.run(["jailhouse", "cell", "create", path], "create")
    use = CellUse("", "slow", "fault.bin", "act=idle reply_ms=300")
    bed.root.load(use)
    bed.root.start(use)
    bed.wait_for_line("nobody stopped idle")
    for command in (f"create {HELLO}", "destroy hello"):
        begun = time.monotonic()
        bed.root.script(f"jailhouse cell {command}", "create")
        assert time.monotonic() - begun >= 0.29, f"{command} did not wait for the cell's answer"
    assert bed.root.cell_states() == {"qemu-root": "running", "slow": "running"}
    destroy(bed, "slow")


def test_a_cell_that_does_not_answer_is_waited_for_and_no_longer(bed: Bed) -> None:
    """What it is told of is done all the same; what it is asked for is not."""
    mute = active(bed, "mute", "no-reply", 200_000)
    bed.lines.clear()
    bed.root.script(f"jailhouse cell create {HELLO}", "create")
    bed.wait_for_line("Timeout expired while waiting for reply from target cell")
    assert set(bed.root.cell_states()) == {"qemu-root", "mute", "hello"}
    for command in ("shutdown", "destroy", "start"):
        said = bed.root.script(f"jailhouse cell {command} mute 2>&1", "destroy", allowed=(1,)).text
        assert "Operation not permitted" in said, command
    assert bed.root.cell_states()["mute"] == "running"
    destroy(bed, "hello")
    script = "jailhouse cell destroy mute 2>&1"
    assert "Operation not permitted" in bed.root.script(script, "destroy", allowed=(1,)).text
    bed.root.script("jailhouse disable 2>&1", "destroy", allowed=(1,))
    assert bed.root.cell_states()[mute.name] == "running", "a cell that refuses keeps the hypervisor, too"


def test_a_locked_configuration_is_nobodys_to_change(bed: Bed) -> None:
    """The mute cell is still there; a second one locks."""
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: lock").replace("passive-comm-region ", "")
    text = text.replace("[1]", "[3]").replace("0x70000000", "0x74000000") + "\nmessage-timeout: 200000\n"
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, text, "lock")], "create")
    use = CellUse("", "lock", "fault.bin", "act=locked")
    bed.root.load(use)
    bed.lines.clear()
    bed.root.start(use)
    bed.wait_for_line("nobody stopped locked")
    assert bed.root.cell_states()["lock"] == "running/locked"
    for command in (f"create {HELLO}", "destroy mute"):
        said = bed.root.script(f"jailhouse cell {command} 2>&1", "create", allowed=(1,)).text
        assert "Operation not permitted" in said, command
    destroy(bed, "lock")
    assert bed.root.cell_states() == {"qemu-root": "running", "mute": "running"}
    assert bed.watch.traps == []


@pytest.mark.parametrize("place", [0x200000, 0xFFF000 - 0x200000])
def test_a_cell_begins_where_its_config_says(bed: Bed, place: int) -> None:
    """An inmate can run from any page."""
    text = (CELLS / "hello.yaml").read_text().replace("reset-address: 0x0", f"reset-address: {place:#x}")
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, text, "hello")], "create")
    load = f"jailhouse cell load hello /hil/inmates/hello.bin -a {place:#x} -s 'count=2' -a {place + 0x1000:#x}"
    bed.root.script(load, "load")
    bed.lines.clear()
    bed.root.run(["jailhouse", "cell", "start", "hello"], "start")
    bed.wait_for_line("hello 2")
    destroy(bed, "hello")
    assert bed.watch.traps == []

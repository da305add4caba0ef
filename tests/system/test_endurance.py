# SPDX-License-Identifier: Apache-2.0
"""Cells made and destroyed, hypervisors enabled and disabled, over and over in one boot while the root cell works.

HIL_NIGHTLY=1 runs 1,000 and 100 rounds instead of 50 and 5.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import Bed, Boot, plan

from hil.target import CellUse

NIGHTLY = os.environ.get("HIL_NIGHTLY", "") not in ("", "0")
CELL_ROUNDS = 1000 if NIGHTLY else 50
ENABLE_ROUNDS = 100 if NIGHTLY else 5
BATCH = 25
"""Rounds in one command: each command has a time limit, so that a stall is seen where it is."""
POOLS = "cat /sys/devices/jailhouse/mem_pool_used /sys/devices/jailhouse/remap_pool_used"
HELLO = CellUse("hello.cell", "hello", "hello.bin", "interval_ms=20 count=3")

LOAD = """
(while :; do :; done) >/dev/null 2>&1 & echo $! > /tmp/load
(while :; do dd if=/dev/zero of=/tmp/block bs=64k count=32; done) >/dev/null 2>&1 & echo $! >> /tmp/load
(while :; do ls -lR /sys/devices; done) >/dev/null 2>&1 & echo $! >> /tmp/load
"""

CELL_ROUND = """
jailhouse cell create /hil/cells/hello.cell || exit 11
jailhouse cell load hello /hil/inmates/hello.bin -s "count=1 interval_ms=1" -a 0x1000 || exit 12
jailhouse cell start hello || exit 13
jailhouse cell destroy hello || exit 14
"""

ENABLE_ROUND = """
jailhouse enable /hil/cells/qemu-root.cell || exit 21
jailhouse cell create /hil/cells/hello.cell || exit 22
jailhouse cell destroy hello || exit 23
jailhouse disable || exit 24
"""


@pytest.fixture(scope="module")
def endured(boot: Boot) -> Bed:
    """One machine for both tests; the module is loaded, the hypervisor is not enabled."""
    bed = boot(plan())
    bed.root.run(["insmod", "/hil/jailhouse.ko"], "enable")
    return bed


@contextmanager
def busy(bed: Bed) -> Iterator[None]:
    """Programs that compute, copy and read sysfs keep the root cell busy."""
    bed.root.script(LOAD, "command", "start the load")
    yield
    bed.root.script("kill $(cat /tmp/load)", "command", "end the load")


def repeat(bed: Bed, rounds: int, body: str, name: str) -> None:
    """`rounds` rounds of a piece of shell in batches; the first that fails says in which round by its batch's name."""
    for done in range(0, rounds, BATCH):
        count = min(BATCH, rounds - done)
        bed.lines.clear()
        bed.root.script(f"for round in $(seq {count}); do {body} done", "run", f"{name} {done + 1}-{done + count}")


def test_cells_come_and_go_and_leave_nothing(endured: Bed) -> None:
    bed = endured
    bed.root.run(["jailhouse", "enable", "/hil/cells/qemu-root.cell"], "enable")
    before = bed.root.script(POOLS, "command").out
    with busy(bed):
        repeat(bed, CELL_ROUNDS, CELL_ROUND, "cells")
    assert bed.root.script(POOLS, "command").out == before
    bed.lines.clear()
    bed.start(HELLO)
    bed.wait_for_line("hello 3")
    bed.root.destroy(HELLO)
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-3\n"
    assert bed.watch.traps == []
    bed.root.run(["jailhouse", "disable"], "disable")


def test_the_hypervisor_comes_and_goes(endured: Bed) -> None:
    bed = endured
    pools = set()
    with busy(bed):
        for done in range(0, ENABLE_ROUNDS, BATCH):
            repeat(bed, min(BATCH, ENABLE_ROUNDS - done), ENABLE_ROUND, "enable, disable")
            bed.root.run(["jailhouse", "enable", "/hil/cells/qemu-root.cell"], "enable")
            pools.add(bed.root.script(POOLS, "command").out)
            bed.root.run(["jailhouse", "disable"], "disable")
    assert len(pools) == 1
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-3\n"
    assert bed.watch.traps == []

# SPDX-License-Identifier: Apache-2.0
"""The whole lifecycle, twice in one boot, with a measurement each time; nothing of the first is left in the second."""

from __future__ import annotations

from conftest import Boot, plan

from hil.session import State
from hil.target import CellUse

LATENCY = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")
SERIES = ("round-trip", "root-to-inmate", "inmate-to-root", "empty-exchange")
PROGRAM = "ivshmem-latency --warmup=20 --count=200"


def test_the_lifecycle_twice_in_one_boot(boot: Boot) -> None:
    bed = boot(plan(cells=[LATENCY], program=PROGRAM, series=SERIES))
    cpus = bed.root.script("cat /sys/devices/system/cpu/online", "command").out
    session = bed.machine.session
    session.transition(State.DISABLED)
    session.repeat(State.AGENT, State.DISABLED)

    records = bed.machine.lifecycle.records
    assert [record.series for record in records] == [*SERIES, *SERIES]
    for record in records:
        assert record.count == 200 and record.lost == 0
        assert 0 <= record.min <= record.p50 <= record.p99 <= record.max
        assert sum(bucket.count for bucket in record.histogram) == record.count
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == cpus
    assert bed.root.script("ls /dev/jailhouse 2>&1; true", "command").out.startswith(b"ls: ")
    assert bed.watch.traps == []
    for said in ("Initializing", "Created cell", "Started cell", "Shutting down hypervisor"):
        assert len([line for line in bed.lines if said in line]) >= 2, f"'{said}' came less than twice"

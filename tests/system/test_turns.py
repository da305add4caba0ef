# SPDX-License-Identifier: Apache-2.0
"""A timer beside a flood of hypercalls, in virtual time: when its interrupt is late, its CPU had no turn. The emulator
shows who executed how many instructions; a hypervisor that held the CPU would show as instructions of its own."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import CELLS, Boot, cell_file, plan
from qemu_plugin import addresses, built

from hil import places
from hil.session import State
from hil.target import CellUse

PERIOD_US, COUNT = 200, 1000
FLOOD_MS = 150
"""Less than the timer runs; beside a flood without an end, and with no timer left, the root cell would get no turn."""
OWN = 2_000
"""Instructions that the timer's CPU may execute in a turn: some 300 for an interrupt, 500 for two."""


def plugin(place: Path, out: Path) -> str:
    """The plugin, built, with its arguments; it watches CPU 1 from the timer's first interrupt to its last."""
    library = built("turns", place)
    program = places.build() / "arm64/inmates/timer-jitter.elf"
    start, stop = addresses(program, "(anonymous namespace)::expired(void*", "hil::bench::Series::build(")
    return f"{library},out={out},cpu=1,start={start:#x},stop={stop:#x}"


def test_a_late_timer_beside_a_flood_had_no_turn(boot: Boot, tmp_path: Path) -> None:
    out = tmp_path / "turns"
    bed = boot(plan(), virtual_time=True, extra=("-plugin", plugin(tmp_path, out)))
    bed.machine.session.transition(State.ENABLED)
    timer = f"count={COUNT} warmup=5 period_us={PERIOD_US} report_ms=100000"
    measuring = CellUse("timer-jitter.cell", "timer-jitter", "timer-jitter.bin", timer)
    flooder = CellUse("", "flooder", "isolation.bin", f"act=flood kind=hypercall ms={FLOOD_MS}")
    bed.root.create(measuring)
    text = (CELLS / "ivshmem-latency.yaml").read_text().replace("ivshmem-latency", "flooder").replace("[1]", "[3]")
    path = cell_file(bed, text.replace("0x70000000", "0x72000000"), "flooder")
    bed.root.run(["jailhouse", "cell", "create", path], "create")
    for cell in (measuring, flooder):
        bed.root.load(cell)
    # At once, by the root cell alone: while it waits for the host, this clock runs on to the next timer.
    starts = (f"jailhouse cell start --name {cell.name}" for cell in (measuring, flooder))
    bed.root.script(" && ".join(starts), "start")
    record = bed.wait_for_line("hil-record", 120)
    median, most = (int(re.findall(rf'"{figure}":(\d+)', record)[0]) for figure in ("p50", "max"))
    lines = out.read_text().splitlines()
    assert lines[-1] == "done"
    own = max(int(line.split()[1]) for line in lines if line.startswith("own"))
    gap = max(int(line.split()[1]) for line in lines if line.startswith("gap"))
    print(f"median {median}, latest {most}, longest gap {gap}, longest turn of its own {own}; {lines}")
    assert median < 1000
    assert own < OWN
    assert most < gap + OWN

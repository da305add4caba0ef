# SPDX-License-Identifier: Apache-2.0
"""The lifecycle in virtual time, where a nanosecond is an instruction: it ends every time, and costs the same. The root
cell goes through it by itself before anybody may type. With HIL_NIGHTLY=1 20 boots; the table that -s shows is that of
docs/performance.md."""

from __future__ import annotations

import os
from statistics import median

from conftest import Bed, Boot, plan

from hil.session import State

BOOTS = 20 if os.environ.get("HIL_NIGHTLY") else 3
CYCLES = 11
ONCE, STEPS = ("enable", "disable"), ("create", "load", "start", "destroy")
TIMES = "/tmp/times"
DIFFERENT = max(1, BOOTS // 10)
"""Boots that may give another median. Of 80 that were counted one did, by a thousandth; the margin is for the host."""

CYCLE = (
    "step create jailhouse cell create /hil/cells/hello.cell",
    "step load jailhouse cell load hello /hil/inmates/hello.bin -a 0x0 -s interval_ms=1000 -a 0x1000",
    "step start jailhouse cell start hello",
    "sleep 0.02",
    "step destroy jailhouse cell destroy hello",
    "cycle=$((cycle + 1))",
)
SCRIPT = (
    "now() { t=$(awk '/^now at/ { print $3; exit }' /proc/timer_list); }",
    "step() { name=$1; shift; now; before=$t; $* >/dev/null || name=failed; now; "
    f"echo $name $((t - before)) >>{TIMES}; }}",
    "insmod /hil/jailhouse.ko",
    "step enable jailhouse enable /hil/cells/qemu-root.cell",
    "cycle=0",
    f"while [ $cycle -lt {CYCLES} ]; do {'; '.join(CYCLE)}; done",
    "step disable jailhouse disable",
)


def medians(bed: Bed) -> dict[str, float]:
    """Of each step of the lifecycle, over the cycles of one boot, in ns."""
    times: dict[str, list[int]] = {}
    for line in bed.root.script(f"cat {TIMES}", "command").text.splitlines():
        name, duration = line.split()
        times.setdefault(name, []).append(int(duration))
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(ONCE, 1) | dict.fromkeys(
        STEPS, CYCLES
    )
    return {name: median(values) for name, values in times.items()}


def test_the_lifecycle_ends_and_repeats_in_virtual_time(boot: Boot) -> None:
    runs = []
    for _ in range(BOOTS):
        bed = boot(plan(), virtual_time=True, upto=State.AGENT, alone=SCRIPT)
        runs.append(medians(bed))
        bed.machine.off()
    print("\n| step | smallest ns | most common ns | of boots | largest ns | range |\n|---|---|---|---|---|---|")
    for name in ("enable", *STEPS, "disable"):
        values = [run[name] for run in runs]
        low, high = min(values), max(values)
        usual = max(values, key=values.count)
        spread = f"{100 * (high - low) / low:.2f} %"
        print(f"| {name} | {low:.0f} | {usual:.0f} | {values.count(usual)} | {high:.0f} | {spread} |")
        assert values.count(usual) >= BOOTS - DIFFERENT, f"{name}: {values}"

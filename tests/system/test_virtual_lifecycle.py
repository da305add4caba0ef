# SPDX-License-Identifier: Apache-2.0
"""The lifecycle in virtual time, where a nanosecond is an instruction: it ends every time, and costs the same. With
HIL_NIGHTLY=1 20 boots; the table that -s shows is that of docs/performance.md."""

from __future__ import annotations

import os
from statistics import median

from conftest import Bed, Boot, plan

from hil.session import State

BOOTS = 20 if os.environ.get("HIL_NIGHTLY") else 2
CYCLES = 11
ONCE, STEPS = ("enable", "disable"), ("create", "load", "start", "destroy")

SCRIPT = f"""
now() {{ t=$(awk '/^now at/ {{ print $3; exit }}' /proc/timer_list); }}
step() {{ name=$1; shift; now; before=$t; "$@" >/dev/null || exit 1; now; echo $name $((t - before)); }}
insmod /hil/jailhouse.ko
step enable jailhouse enable /hil/cells/qemu-root.cell
cycle=0
while [ $cycle -lt {CYCLES} ]; do
    step create jailhouse cell create /hil/cells/hello.cell
    step load jailhouse cell load hello /hil/inmates/hello.bin -a 0x0 -s interval_ms=1000 -a 0x1000
    step start jailhouse cell start hello
    sleep 0.02
    step destroy jailhouse cell destroy hello
    cycle=$((cycle + 1))
done
step disable jailhouse disable
"""


def medians(bed: Bed) -> dict[str, float]:
    """Of each step of the lifecycle, over the cycles of one boot, in ns."""
    times: dict[str, list[int]] = {}
    for line in bed.root.script(SCRIPT, "run").text.splitlines():
        name, duration = line.split()
        times.setdefault(name, []).append(int(duration))
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(ONCE, 1) | dict.fromkeys(
        STEPS, CYCLES
    )
    return {name: median(values) for name, values in times.items()}


def test_the_lifecycle_ends_and_repeats_in_virtual_time(boot: Boot) -> None:
    runs = []
    for _ in range(BOOTS):
        bed = boot(plan(), virtual_time=True, upto=State.AGENT)
        runs.append(medians(bed))
        bed.machine.off()
    print("\n| step | smallest ns | median ns | largest ns | range |\n|---|---|---|---|---|")
    for name in ("enable", *STEPS, "disable"):
        values = [run[name] for run in runs]
        low, high = min(values), max(values)
        print(f"| {name} | {low:.0f} | {median(values):.0f} | {high:.0f} | {100 * (high - low) / low:.2f} % |")
        assert high < 2 * low, f"{name}: {values}"

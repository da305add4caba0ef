# SPDX-License-Identifier: Apache-2.0
"""`hil measure`: what hil itself costs."""

from __future__ import annotations

import statistics

import click

from hil.commands.kinds import Whole
from hil.run_time import Rounds, measure


@click.command("measure")
@click.option("--target", default="qemu", show_default=True)
@click.option("--rounds", type=Whole(1, 100), default=5, show_default=True)
@click.argument("probe", default="ivshmem-latency")
def command(target: str, rounds: int, probe: str) -> None:
    """Time warm runs of PROBE beside bare boots of the same machine, in alternating rounds."""
    show(measure(target, probe, rounds))


def show(rounds: Rounds) -> None:
    """The figures as Markdown, as docs/performance.md has them."""
    print("| | median s | min | max | n |\n|---|---|---|---|---|")
    for name, seconds in (("bare boot to the first prompt", rounds.boot), ("warm `hil run`", rounds.run)):
        print(row(name, seconds))
    for name, seconds in rounds.steps.items():
        print(row(name, seconds))
    print(f"\nratio run / boot (medians): {rounds.ratio():.2f}")
    print(f"round trips per second (median): {statistics.median(rounds.exchanges):.0f}")


def row(name: str, seconds: list[float]) -> str:
    """One line of the table."""
    middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
    return f"| {name} | {middle:.3f} | {low:.3f} | {high:.3f} | {len(seconds)} |"

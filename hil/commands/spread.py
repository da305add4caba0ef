# SPDX-License-Identifier: Apache-2.0
"""`hil spread`: equal runs, and how much their figures differ."""

from __future__ import annotations

import sys
from typing import Any

import click
import reports

from hil.commands.kinds import Whole
from hil.harmless_text import harmless_line
from hil.options import RunOptions
from hil.prepare import prepare
from hil.runner import Runner
from hil.spread import Spread, spreads


@click.command("spread")
@click.argument("probe", default="ivshmem-latency")
@click.option("--target", default="qemu", show_default=True)
@click.option("--hypervisor", default="gaol", show_default=True)
@click.option("--runs", type=Whole(2, 1000), default=20, show_default=True)
@click.option("--warmup", type=Whole(0, 1_000_000), default=1000, show_default=True)
@click.option("--count", type=Whole(1, 1_000_000), default=10000, show_default=True)
@click.option("--virtual-time", is_flag=True, help="Count instructions instead of time.")
def command(runs: int, **given: Any) -> None:
    """Run PROBE several times and show each figure's range over the runs, as Markdown."""
    records = []
    for number in range(runs):
        finished = Runner(prepare(RunOptions(command=("hil", *sys.argv[1:]), **given)), [], None).run()
        print(f"run {number + 1} of {runs}: {finished.verdict.outcome.value} ({finished.path})", file=sys.stderr)
        if finished.verdict.exit_code != 0:
            print(f"hil: {harmless_line(finished.verdict.reason)}", file=sys.stderr)
            sys.exit(finished.verdict.exit_code)
        records.append(reports.load(finished.path).records)
    print(f"| series | figure | smallest ns | largest ns | most common ns | of {runs} runs | range |")
    print("|---|---|---|---|---|---|---|")
    for spread in spreads(records):
        print(row(spread))


def row(spread: Spread) -> str:
    """One line of the table."""
    value, times = spread.most_common()
    return (
        f"| {harmless_line(spread.series)} | {spread.figure} | {min(spread.values):.0f} | {max(spread.values):.0f} | "
        f"{value:.0f} | {times} | {100 * spread.relative:.2f} % |"
    )

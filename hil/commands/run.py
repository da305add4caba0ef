# SPDX-License-Identifier: Apache-2.0
"""`hil run`: measure."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console as Terminal

from hil import progress, summary
from hil.options import RunOptions
from hil.prepare import prepare
from hil.runner import Runner

WAYS = click.Choice(["interrupt", "poll"])


@click.command("run")
@click.argument("probe")
@click.option("--target", required=True, help="The machine to run on (`hil list targets`).")
@click.option("--hypervisor", default="gaol", show_default=True, help="gaol, the bundled one, or a DIR with your own.")
@click.option("--root", type=WAYS, default="interrupt", show_default=True, help="How the root cell waits.")
@click.option("--inmate", type=WAYS, default="interrupt", show_default=True, help="How the inmate waits.")
@click.option("--warmup", type=click.IntRange(0, 1_000_000), default=1000, show_default=True)
@click.option("--count", type=click.IntRange(1, 1_000_000), default=10000, show_default=True)
@click.option("--virtual-time", is_flag=True, help="One nanosecond per instruction: figures that the host cannot move.")
@click.option("--contention", default="alone", show_default=True, help="What else loads the machine, in a word.")
@click.option("--shell", type=click.Choice(["auto", "agent", "plain"]), default="auto", show_default=True)
@click.option("--wait", type=click.FloatRange(0, 86400), default=0, help="Seconds to wait for a target in use.")
@click.option("--chaos", default="", help="Faults on the console's line: seed=1,corrupt=0.01,splice=0.001,drop=…")
@click.option("-v", "--verbose", is_flag=True, help="Show the console live.")
@click.option("--json-events", is_flag=True, help="Events as JSON lines on stdout, instead of the table.")
@click.option("--keep", is_flag=True, help="Keep the machine on after the probe, until Enter or Ctrl-C.")
def command(**given: Any) -> None:
    """Measures with PROBE on a target and leaves a report (`hil list probes`)."""
    options = RunOptions(command=("hil", *sys.argv[1:]), **given)
    prepared = prepare(options)
    show = progress.choose(options.json_events)
    live = show.console if options.verbose else None
    with show:
        finished = Runner(prepared, [show.event], live).run()
    if not options.json_events:
        summary.show(finished.path, Terminal())
    sys.exit(finished.verdict.exit_code)

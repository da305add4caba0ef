# SPDX-License-Identifier: Apache-2.0
"""`hil run`: measure."""

from __future__ import annotations

import sys
from typing import Any

import click

from hil import progress
from hil.commands.kinds import Number, Whole
from hil.errors import WrongUse
from hil.interactive import check_keys
from hil.options import SHELLS, RunOptions
from hil.prepare import prepare
from hil.runner import Runner

WAYS = click.Choice(["interrupt", "poll"])


@click.command("run")
@click.argument("probe")
@click.option("--target", required=True, metavar="NAME", help="The machine to run on (`hil list targets`).")
@click.option(
    "--hypervisor",
    default="gaol",
    show_default=True,
    metavar="DIR",
    help="gaol, the bundled one, or a directory with your own Jailhouse build.",
)
@click.option("--root", type=WAYS, default="interrupt", show_default=True, help="How the root cell waits.")
@click.option("--inmate", type=WAYS, default="interrupt", show_default=True, help="How the inmate waits.")
@click.option("--warmup", type=Whole(0, 1_000_000), default=1000, show_default=True, help="Samples not counted, first.")
@click.option("--count", type=Whole(1, 1_000_000), default=10000, show_default=True, help="Samples that count.")
@click.option("--virtual-time", is_flag=True, help="One nanosecond per instruction: figures that the host cannot move.")
@click.option(
    "--contention",
    default="alone",
    show_default=True,
    metavar="WORD",
    help="What else loads the machine; a label that the report and the comparison of runs go by.",
)
@click.option(
    "--shell",
    type=click.Choice(SHELLS),
    default="auto",
    show_default=True,
    help="How commands reach the root cell: the image's agent, one sent by ssh or over the console, a plain shell; "
    "auto: the first of them that works.",
)
@click.option(
    "--wait",
    type=Number(0, 86400),
    default=0,
    metavar="SECONDS",
    help="How long to wait for a target that another run uses.",
)
@click.option(
    "--chaos", default="", metavar="SPEC", help="Faults on the console's line: seed=1,corrupt=0.01,splice=0.001,drop=…"
)
@click.option(
    "--statistics",
    type=Number(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Also read the cells' exit counters so often while the probe runs, which disturbs it; 0: before and after.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the console live.")
@click.option("--json-events", is_flag=True, help="Events as JSON lines on stdout, instead of the table.")
@click.option(
    "--keep", is_flag=True, help="Keep the machine on after the probe and sit at its console; Ctrl-] ends it."
)
def command(**given: Any) -> None:
    """Measures with PROBE on a target and leaves a report (`hil list probes`).

    Exit code 0: pass, 1: fail, 2: wrong use, 3: trap, 4: infrastructure error, 130: interrupted.
    """
    options = RunOptions(command=("hil", *sys.argv[1:]), **given)
    if options.keep and options.json_events:
        raise WrongUse("--keep shows the console on stdout, --json-events wants it for JSON alone: use one of them")
    if options.keep:
        check_keys()
    if not options.contention.isprintable():
        raise WrongUse("--contention is a label for people: it must be printable text")
    prepared = prepare(options)
    show = progress.choose(options.json_events)
    live = show.console if options.verbose else None
    with show:
        finished = Runner(prepared, [show.event], live, show.aside).run()
    if not options.json_events:
        from rich.console import Console as Terminal  # imported by the runner while the machine booted

        from hil import summary

        try:
            summary.show(finished.path, Terminal())
        except OSError:
            progress.silence(sys.stdout)
    sys.exit(finished.verdict.exit_code)

# SPDX-License-Identifier: Apache-2.0
"""`hil replay`: the console of a run as it was seen live."""

from __future__ import annotations

import sys

import click

from hil.commands.kinds import Number
from hil.progress import PlainProgress
from hil.replay import replay
from hil.run_directory import find_run


@click.command("replay")
@click.argument("run", default="last")
@click.option("--speed", type=Number(0, 1e6), default=0.0, help="1: as fast as it was; 0 (default): at once.")
def command(run: str, speed: float) -> None:
    """Shows the console and the events of RUN: a run directory, its name, or `last`."""
    directory = find_run(run)
    if not sys.stdout.isatty():
        replay(directory, PlainProgress(sys.stdout), speed)
        return
    from rich.console import Console as Terminal

    from hil.live_progress import LiveProgress

    with LiveProgress(Terminal()) as show:
        replay(directory, show, speed)

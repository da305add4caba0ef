# SPDX-License-Identifier: Apache-2.0
"""`hil report`: the report of a run, made again from what the run directory holds."""

from __future__ import annotations

import sys

import click
from rich.console import Console as Terminal

from hil import summary
from hil.fields import RecordError
from hil.errors import WrongUse
from hil.run_directory import find_run, writing


@click.command("report")
@click.argument("run", default="last")
def command(run: str) -> None:
    """Makes the reports of RUN again: a run directory, its name, or `last`."""
    import reports

    path = find_run(run)
    try:
        with writing(path):
            reports.write_all(path)
    except RecordError as error:
        raise WrongUse(f"{path} cannot be reported: {error}") from error
    summary.show(path, Terminal())
    sys.exit(0)

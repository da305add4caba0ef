# SPDX-License-Identifier: Apache-2.0
"""`hil compare`: two runs beside each other, judged by how far equal runs lie apart."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from hil import places
from hil.errors import WrongUse
from hil.harmless_text import harmless_line
from hil.fields import RecordError
from hil.run_directory import find_run
from reports.compare import NEEDED, Figure, Finding, SeriesComparison, compare
from reports.history import opened
from reports.run import Run, load
from reports.units import common_unit, percent_name

STYLES = {"slower": "bold red", "faster": "bold green", "faster and slower": "bold yellow"}


@click.command("compare")
@click.argument("before")
@click.argument("after", default="last")
def command(before: str, after: str) -> None:
    """Compares run AFTER with run BEFORE (a directory, its name, or `last`).

    Exit code 1 when AFTER is slower by more than the spread of earlier equal runs explains.
    """
    runs = _load(find_run(before)), _load(find_run(after))
    terminal = Terminal()
    with opened(places.runs() / "history.sqlite") as history:
        for problem in history.scan(places.runs()):
            _say(terminal, f"not in the history: {problem}", "yellow")
        result = compare(*runs, history)
    if not result.series:
        have = "; ".join(result.missing) or "no records at all"
        raise WrongUse(f"{result.before} and {result.after} have no series in common, measured in one way: {have}")
    _say(terminal, f"before  {result.before}\nafter   {result.after}")
    for run in runs:
        if run.manifest.chaos:
            _say(terminal, f"{run.name} ran under chaos: {run.manifest.chaos}", "yellow")
    for series in result.series:
        terminal.print(_table(series))
    for name in result.missing:
        _say(terminal, f"only one of the runs has {name}", "yellow")
    if result.differing:
        _say(terminal, f"The runs differ in: {', '.join(result.differing)}.", "yellow")
        if {"machine", "host", "contention", "chaos"} & set(result.differing):
            _say(
                terminal, "Figures of different machines, hosts, contention or chaos are no repetitions of each other."
            )
    if result.finding is Finding.UNCALIBRATED:
        fewest = min(series.repetitions for series in result.series)
        _say(terminal, f"not calibrated: {fewest} of {NEEDED} earlier equal runs; the figures stand without a verdict")
    else:
        _say(terminal, result.finding.value, STYLES.get(result.finding.value, "bold"))
    sys.exit(1 if result.slower else 0)


def _load(path: Path) -> Run:
    try:
        return load(path)
    except RecordError as error:
        raise WrongUse(f"{path} cannot be compared: {error}") from error


def _table(series: SeriesComparison) -> Table:
    """A row a statistic, in one unit."""
    unit = common_unit(figure.before for figure in series.figures if figure.name == "p50")
    table = Table(title=Text(f"{harmless_line(series.name)}, {unit.name}"), title_justify="left")
    for column in ("", "before", "after", "change", "no difference within", ""):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for figure in series.figures:
        # That a figure is not calibrated is said once, below.
        said = "" if figure.finding is Finding.UNCALIBRATED else figure.finding.value
        finding = Text(said, style=STYLES.get(said, ""))
        cells = [unit.text(figure.before), unit.text(figure.after), _percent(figure.ratio), _band(figure)]
        table.add_row(percent_name(figure.name), *cells, finding)
    return table


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _band(figure: Figure) -> str:
    return f"{_percent(figure.band[0])} … {_percent(figure.band[1])}" if figure.band else "-"


def _say(terminal: Terminal, text: str, style: str = "") -> None:
    terminal.print(Text("\n".join(harmless_line(line) for line in text.split("\n")), style=style), soft_wrap=True)

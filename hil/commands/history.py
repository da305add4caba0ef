# SPDX-License-Identifier: Apache-2.0
"""`hil history`: past runs with their verdicts and figures."""

from __future__ import annotations

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from hil.commands.kinds import Whole
from hil import places
from hil.harmless_text import harmless_line
from hil.run_directory import writing
from reports.history import VIRTUAL, WALL, History, PastRun, opened, write_csv
from reports.units import NBSP, duration, seconds

WIDE = 80
"""Columns that the table needs; a narrower terminal gets a paragraph a run, so that no figure is cut."""
CLOCKS = {
    WALL: "Wall clock",
    VIRTUAL: "Virtual time: figures count instructions, a nanosecond each",
}
"""What is said of the runs of a clock."""
STYLES = {"pass": "green", "fail": "red", "trap": "red", "infrastructure-error": "yellow"}


@click.command("history")
@click.option("--target", default="", help="Only runs on this target.")
@click.option("--probe", default="", help="Only runs of this probe.")
@click.option("--limit", type=Whole(1, 100_000), default=30, show_default=True, help="So many, the latest.")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there, in ns.")
def command(target: str, probe: str, limit: int, csv: Path | None) -> None:
    """Shows past runs, the latest last, with the first series' figures."""
    terminal = Terminal()
    with opened(places.runs() / "history.sqlite") as history:
        for problem in history.scan(places.runs()):
            terminal.print(_text(f"not in the history: {problem}", "yellow"), soft_wrap=True)
        runs = history.runs(target, probe, limit)
        if csv is not None:
            with writing(csv), csv.open("w", encoding="utf-8", newline="") as file:
                write_csv(history, runs, file)
        if not runs:
            terminal.print(_text(f"no such run in {places.runs()} yet"))
        for clock, title in CLOCKS.items():
            if of_clock := [run for run in runs if run.conditions.clock == clock]:
                _show(terminal, history, of_clock, title)


def _show(terminal: Terminal, history: History, runs: list[PastRun], title: str) -> None:
    """The runs of one clock: figures of two clocks never stand below each other."""
    if terminal.width >= WIDE:
        terminal.print(_table(history, runs, title))
        return
    terminal.print(_text(f"{title}:"))
    for run in runs:
        contention, took, p50, p99 = _cells(history, run)
        figures = f"; p50 {p50}, p99 {p99}" if p50 else ""
        terminal.print(_text(f"{run.name}: {run.verdict}; {contention}, took {took}{figures}"))


def _cells(history: History, run: PastRun) -> list[str]:
    """Contention and chaos, duration, and the first series' p50 and p99 (empty when nothing was measured)."""
    series = history.series_of(run.name)
    figures = [duration(series[0].ns[name]) for name in ("p50", "p99")] if series else ["", ""]
    chaos = f", chaos: {run.conditions.chaos}" if run.conditions.chaos else ""
    return [run.conditions.contention + chaos, seconds(run.seconds), *figures]


def _table(history: History, runs: list[PastRun], title: str) -> Table:
    caption = "figures: of each run's first series"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", caption=caption)
    table.add_column("run", overflow="fold", min_width=16)
    for column in ("verdict", "contention"):
        table.add_column(column, overflow="fold", min_width=10)
    for column in ("took", "p50", "p99"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in runs:
        verdict = _text(run.verdict, STYLES.get(run.verdict, ""))
        table.add_row(_text(run.name), verdict, *map(_text, _cells(history, run)))
    return table


def _text(text: str, style: str = "") -> Text:
    return Text(harmless_line(text.replace(NBSP, " ")), style=style)

# SPDX-License-Identifier: Apache-2.0
"""A run's result on the terminal: what was measured, between which events, on which clock, under what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console as Terminal
from rich.table import Table
from rich.text import Text

from hil.events import VerdictEvent
from hil.harmless_text import harmless_line
from hil.manifest import Manifest, read_manifest
from hil.record import STATISTICS, Record
from hil.run_log import read_events

STYLES = {"pass": "bold green", "fail": "bold red", "trap": "bold red", "infrastructure-error": "bold yellow"}


def show(run: Path, terminal: Terminal) -> None:
    """Prints the run's table, its conditions, its verdict and where its report is."""
    log = read_events(run / "events.jsonl")
    records = log.records()
    if records:
        show_figures(records, terminal)
        for line in conditions(records, read_manifest(run / "manifest.json")):
            terminal.print(safe(line), soft_wrap=True)
        if exits := log.exits():
            terminal.print(safe(f"exits to the hypervisor from before the probe to after it: {exits}"), soft_wrap=True)
    show_verdict(log.verdict(), terminal)
    report = run / "report.html"
    terminal.print(safe(f"report: {report}" if report.exists() else f"run directory: {run}"), soft_wrap=True)


def safe(text: str, style: str = "") -> Text:
    """Text for the terminal: a record's words come from the machine, where any program can make its checksum."""
    return Text(harmless_line(text), style=style)


def show_figures(records: Sequence[Record], terminal: Terminal) -> None:
    """The table; where the terminal is too narrow for it, a paragraph a series: a figure is never cut."""
    wide = table(records)
    if terminal.measure(wide, options=terminal.options.update(width=1000)).maximum <= terminal.width:
        terminal.print(wide)
        return
    terminal.print(safe(f"{records[0].probe}, µs", "italic"))
    for record in records:
        names = [(name.replace("_", "."), microseconds(record.statistic_ns(name))) for name in STATISTICS]
        figures = ", ".join(f"{name}\u00a0{value}" for name, value in [("count", str(record.count)), *names])
        terminal.print(safe(record.series, "bold") + Text(f": {figures}", style="default"))


def show_verdict(verdict: VerdictEvent, terminal: Terminal) -> None:
    """One line: the outcome and its reason."""
    word = verdict.outcome.value
    terminal.print(Text(word, style=STYLES[word]) + safe(f": {verdict.reason}", "default"), soft_wrap=True)


def table(records: Sequence[Record]) -> Table:
    """A row a series, in microseconds."""
    result = Table(
        title=safe(f"{records[0].probe}, µs"),
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    result.add_column("series", no_wrap=True)
    result.add_column("count", justify="right", no_wrap=True)
    for name in STATISTICS:
        result.add_column(name.replace("_", "."), justify="right", no_wrap=True)
    for record in records:
        cells = [microseconds(record.statistic_ns(name)) for name in STATISTICS]
        result.add_row(safe(record.series), str(record.count), *cells)
    return result


def microseconds(ns: float) -> str:
    """Four digits that count, never more than six characters below a second: the table fits 80 columns."""
    value = ns / 1000
    return f"{value:.{2 if value < 100 else 1 if value < 1000 else 0}f}"


def conditions(records: Sequence[Record], manifest: Manifest) -> list[str]:
    """What the figures mean: events, clock, modes, contention, machine."""
    lines = [f"{record.series}: {record.from_event} → {record.to_event}" for record in records]
    first = records[0]
    lines.append(f"clock {first.clock.name}, one tick is {first.tick_ns:.0f} ns")
    if first.mode:
        lines.append(", ".join(f"{side} waits by {how}" for side, how in first.mode.items()))
    lost = sum(record.lost for record in records)
    if lost:
        lines.append(f"{lost} samples were lost: they never came, and no figure contains them")
    lines.append(f"contention: {manifest.contention}; hypervisor {manifest.hypervisor}; kernel {manifest.kernel}")
    if manifest.busy_host:
        lines.append(manifest.busy_host)
    lines.append(f"machine: {manifest.machine}")
    lines.append(manifest.honesty)
    return lines

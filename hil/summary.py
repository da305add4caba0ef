# SPDX-License-Identifier: Apache-2.0
"""A run's result on the terminal: what was measured, between which events, on which clock, under what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import reports
from rich.console import Console as Terminal
from rich.text import Text

from hil.records import Manifest, Record, VerdictEvent, read_events, read_manifest

STYLES = {"pass": "bold green", "fail": "bold red", "trap": "bold red", "infrastructure-error": "bold yellow"}


def show(run: Path, terminal: Terminal) -> None:
    """Prints the run's table, its conditions, its verdict and where its report is."""
    log = read_events(run / "events.jsonl")
    records = log.records()
    if records:
        terminal.print(reports.terminal_table(reports.load(run)))
        for line in conditions(records, read_manifest(run / "manifest.json")):
            terminal.print(Text(line), soft_wrap=True)
    show_verdict(log.verdict(), terminal)
    report = run / "report.html"
    terminal.print(Text(f"report: {report}" if report.exists() else f"run directory: {run}"), soft_wrap=True)


def show_verdict(verdict: VerdictEvent, terminal: Terminal) -> None:
    """One line: the outcome and its reason."""
    word = verdict.verdict.value
    terminal.print(Text(word, style=STYLES[word]) + Text(f": {verdict.reason}", style="default"), soft_wrap=True)


def conditions(records: Sequence[Record], manifest: Manifest) -> list[str]:
    """What the figures mean: events, clock, modes, contention, machine."""
    lines = [f"{record.series}: from {record.from_event} to {record.to_event}" for record in records]
    first = records[0]
    lines.append(f"clock {first.clock.name}, one tick is {first.tick_ns:.0f} ns")
    if first.mode:
        lines.append(", ".join(f"{side} waits by {how}" for side, how in first.mode.items()))
    lost = sum(record.lost for record in records)
    if lost:
        lines.append(f"{lost} exchanges were lost")
    lines.append(f"contention: {manifest.contention}; hypervisor {manifest.hypervisor}; kernel {manifest.kernel}")
    lines.append(f"machine: {manifest.machine}")
    if manifest.emulated:
        lines.append(
            "The machine is emulated in software: these wall-clock figures are no hardware latencies; "
            "compare them only with runs on the same host."
        )
    return lines

# SPDX-License-Identifier: Apache-2.0
"""The cells' exit counters: read by a real shell from a tree like sysfs's, carried as events, shown as one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hil.cell_statistics import (
    CELLS,
    READ,
    CellExits,
    Reading,
    Readings,
    beside,
    difference,
    event_fields,
    parse,
    sentence,
    without,
)
from hil.event_schema import problems
from hil.events import StatisticsEvent, event_dict, parse_event
from hil.run_log import parse_events


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number, name, counts in ((0, "root cell", {"total": 12, "mmio": 5}), (1, "in:mate", {"total": 3, "virq": 3})):
        for where in ("statistics", "statistics/cpu2"):
            directory = tmp_path / str(number) / where
            directory.mkdir(parents=True)
            for reason, count in counts.items():
                (directory / f"vmexits_{reason}").write_text(f"{count}\n")
        (tmp_path / str(number) / "name").write_text(f"{name}\n")
    return tmp_path


def shell(script: str, tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    here = script.replace(CELLS, str(tree))
    return subprocess.run([*words, "sh", "-c", here], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", [(), ("busybox",)], ids=["sh", "busybox"])
def test_a_real_shell_reads_all_counters(tree: Path, words: tuple[str, ...]) -> None:
    (reading,) = parse(shell(READ, tree, *words).stdout)
    assert reading.uptime > 0
    assert reading.cells == {
        "root cell": CellExits({"total": 12, "mmio": 5}, {"2": {"total": 12, "mmio": 5}}),
        "in:mate": CellExits({"total": 3, "virq": 3}, {"2": {"total": 3, "virq": 3}}),
    }


def test_where_nothing_counts_there_is_no_reading(tmp_path: Path) -> None:
    done = shell(READ, tmp_path)
    assert parse(done.stdout) == [] and done.returncode == 0


def test_beside_a_program(tree: Path) -> None:
    """The program's outputs and exit code stay its own."""
    done = shell(beside("echo out; echo err >&2; sleep 1; sh -c 'exit 5'", 0.1), tree)
    assert (done.returncode, done.stdout, without(done.stderr)) == (5, "out\n", "err\n")
    readings = parse(done.stderr)
    assert len(readings) >= 2 and [r.uptime for r in readings] == sorted(r.uptime for r in readings)


def test_readings_come_as_their_text_does(tree: Path) -> None:
    text = shell(f"{READ}; {READ}", tree).stdout
    whole = parse(text)
    assert len(whole) == 2
    for step in (1, 7, 100):
        readings = Readings()
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        assert [reading for piece in pieces for reading in readings.feed(piece)] == whole
    assert Readings().feed(text.rstrip("\n")) == whole[:1], "the last line may go on"


def test_damaged_lines_are_left_out() -> None:
    lines = ["vmexits_total:1x:a", "vmexits_mmio:2:a", "noise", "cpu0/vmexits_mmio:2:a"]
    text = "".join(f"hil-stat:{line}\n" for line in lines) + "hil-stat-turn:1.5\n"
    assert parse(text) == [Reading(1.5, {"a": CellExits({"mmio": 2}, {"0": {"mmio": 2}})})]
    assert parse("hil-stat:vmexits_mmio:2:a\n") == []  # cut before its end


def test_events_and_the_line_that_is_shown() -> None:
    def reading(total: int, virq: int, **more: CellExits) -> Reading:
        return Reading(2.0, {"x": CellExits({"total": total, "virq": virq, "mmio": 1}, {"1": {"total": total}})} | more)

    before, after = reading(10, 4), reading(1300, 1290, new=CellExits({"total": 1}, {}))
    event = StatisticsEvent(1.0, "before", before)
    assert parse_event(event_dict(event)) == event and problems(event_dict(event)) == []
    assert problems({"t": 1.0, "event": "statistics", "when": "later", "uptime": 1, "cells": {}})
    assert sentence(difference(before.cells, after.cells)) == "x 1,290 (virq 1,286)"
    lines = [
        json.dumps({"t": 1.0, "event": "statistics"} | event_fields(w, r))
        for w, r in (("before", before), ("during", after), ("after", after))
    ]
    assert parse_events(lines).exits() == "x 1,290 (virq 1,286)"
    assert parse_events(lines[:2]).exits() == ""

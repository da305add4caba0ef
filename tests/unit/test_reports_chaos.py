# SPDX-License-Identifier: Apache-2.0
"""A run on a line that was harmed on purpose says so wherever its figures are shown, and calibrates no clean run."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from report_data import events, record, samples, write_run
from rich.console import Console as Terminal

from hil import summary
from hil.commands import compare as compare_command
from hil.commands import history as history_command
from reports.compare import Finding, compare
from reports.files import write_all
from reports.history import opened
from reports.run import Run, load

HARM = "seed=1,corrupt=0.01"


def run(tmp_path: Path, name: str, **changes: Any) -> Run:
    log = events(records=[record(values=samples(base=1000))])
    return load(write_run(tmp_path / "runs" / name, log, **changes))


def test_every_report_says_it(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", chaos=HARM)
    write_all(directory)
    for name in ("report.html", "junit.xml", "result.json"):
        assert HARM in (directory / name).read_text(), name
    assert "under chaos" in (directory / "report.html").read_text()
    terminal = Terminal(record=True, width=400)
    summary.show(directory, terminal)
    assert f"harmed on purpose ({HARM})" in terminal.export_text()


def test_a_clean_run_says_nothing_of_it(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run")
    write_all(directory)
    assert "chaos" not in (directory / "report.html").read_text().lower()
    assert 'name="chaos" value="none"' in (directory / "junit.xml").read_text()


def test_it_is_a_condition_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path / "history.sqlite") as history:
        for night in range(12):
            history.add(run(tmp_path, f"night-{night}", chaos=HARM))
        result = compare(run(tmp_path, "before"), run(tmp_path, "after", chaos=HARM), history)
    assert result.differing == ("chaos",) and result.finding is Finding.UNCALIBRATED
    assert result.series[0].repetitions == 0


def test_compare_and_history_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RUNS", str(tmp_path / "runs"))
    run(tmp_path, "clean")
    run(tmp_path, "harmed", chaos=HARM)
    compared = CliRunner().invoke(compare_command.command, ["clean", "harmed"])
    assert f"harmed ran under chaos: {HARM}" in compared.output and "clean ran under" not in compared.output
    assert "no repetitions" in compared.output
    shown = CliRunner().invoke(history_command.command, [])
    assert "chaos:" in shown.output


def test_a_history_from_before_there_was_chaos_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with opened(path) as history:
        history.add(run(tmp_path, "old"))
    with sqlite3.connect(path) as db:
        for column in ("chaos", "clock"):
            db.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
    with opened(path) as history:
        (old,) = history.runs()
        assert (old.name, old.conditions.chaos) == ("old", "")
        history.add(run(tmp_path, "new", chaos=HARM))
    with opened(path) as history:
        assert {past.name: past.conditions.chaos for past in history.runs()} == {"old": "", "new": HARM}

# SPDX-License-Identifier: Apache-2.0
"""A run whose inmate traps ends with verdict trap, and its reports say which device, which line, and what to add."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import plan, prepared

from hil.event_schema import problems
from hil.runner import Runner
from hil.target import CellUse
from hil.verdict import Outcome


def test_a_run_explains_its_trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RUNS", str(tmp_path))
    # The RTC at 0x09010000 is the machine's, but not the cell's.
    cell = CellUse("hello.cell", "hello", "fault.bin", "act=read addr=0x09010000 size=4")
    finished = Runner(prepared(plan(cells=[cell], series=["never"])), [], None).run()
    assert finished.verdict.outcome is Outcome.TRAP
    assert finished.verdict.exit_code == 3
    events = [json.loads(line) for line in (finished.path / "events.jsonl").read_text().splitlines()]
    assert not [problem for event in events for problem in problems(event)]
    (trap,) = [event["trap"] for event in events if event["event"] == "trap"]
    assert (trap["cell"], trap["cpu"], trap["address"], trap["size"]) == ("hello", 1, "0x9010000", 4)
    assert "rtc" in trap["device"].lower()
    assert trap["place"].startswith("read_from+0x") and "inmates/fault.cpp:" in trap["place"]
    assert "0x9010000" in trap["fix_yaml"] or "rtc" in trap["fix_yaml"].lower()
    page = (finished.path / "report.html").read_text()
    assert "fault.cpp" in page and "FATAL: unhandled trap" in page
    assert "failure" in (finished.path / "junit.xml").read_text()

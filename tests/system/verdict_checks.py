# SPDX-License-Identifier: Apache-2.0
"""What every verdict owes: its exit code, its form in JUnit, and a reason of one line."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from tempfile import TemporaryDirectory

from conftest import Bed

from hil.event_log import EventLog
from hil.events import VerdictEvent
from hil.run_log import read_events
from hil.verdict import EXIT_INTERRUPTED, Outcome, Verdict
from reports.junit import junit
from reports.run import load

JUNIT = {
    Outcome.PASS: None,
    Outcome.FAIL: ("failure", "fail"),
    Outcome.TRAP: ("failure", "trap"),
    Outcome.INFRASTRUCTURE_ERROR: ("error", "infrastructure-error"),
}
"""Element and type of the last test case's child."""


def check_run(run: Path, exit_code: int, outcome: Outcome, *said: str, interrupted: bool = False) -> str:
    """The reason of a run whose process ended with `exit_code`; `said` are words that it must hold."""
    verdict = read_events(run / "events.jsonl").verdict()
    due = EXIT_INTERRUPTED if interrupted else outcome.exit_code
    assert (exit_code, verdict.outcome, verdict.exit_code) == (due, outcome, due), verdict.reason
    _check(verdict, (run / "junit.xml").read_bytes(), said)
    return verdict.reason


def check(bed: Bed, verdict: Verdict, outcome: Outcome, *said: str) -> str:
    """The reason of a verdict on a machine that tests share: the reports are made of a copy of its directory."""
    assert (verdict.outcome, verdict.exit_code) == (outcome, outcome.exit_code), verdict.reason
    with TemporaryDirectory() as scratch:
        copy = shutil.copytree(bed.directory, Path(scratch) / "copy")
        log = EventLog(copy / "events.jsonl")
        log.verdict(verdict)
        log.close()
        _check(verdict, junit(load(copy)), said)
    return verdict.reason


def _check(verdict: Verdict | VerdictEvent, document: bytes, said: tuple[str, ...]) -> None:
    assert verdict.reason and verdict.reason.isprintable(), "one line, without control characters"
    for words in said:
        assert words in verdict.reason, verdict.reason
    *_, bench = ElementTree.fromstring(document).iter("testcase")
    form = None if len(bench) == 0 else (bench[0].tag, bench[0].get("type"))
    assert form == JUNIT[verdict.outcome], form
    if form is not None:
        assert (bench[0].text or "").startswith(verdict.reason[:200])

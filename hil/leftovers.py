# SPDX-License-Identifier: Apache-2.0
"""What killed controllers left behind: their processes are ended (only those), their run directories marked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from hil import places
from hil.errors import InfrastructureError
from hil.fields import RecordError
from hil.limits import Limits
from hil.process import ProcessId
from hil.run_directory import NAMELESS, RUNNING, UNFINISHED, Holdings, writing
from hil.verdict import Outcome, Verdict


def clean(base: Path | None = None) -> list[str]:
    """Looks through the run directories for runs whose controller is gone. Returns a sentence for each one found."""
    base = base or places.runs()
    found = []
    with writing(base):
        nameless, marks = list(base.glob(f"{NAMELESS}*")), sorted(base.glob(f"[!.]*/{RUNNING}"))
    for one in nameless:
        _forget(one)
    for mark in marks:
        try:
            holdings = Holdings.from_json(mark.read_text())
        except (OSError, ValueError, KeyError, TypeError):
            continue  # being written by its run right now, or damaged: nothing safe to do
        if not holdings.controller.alive():
            found.append(_let_go(mark, holdings))
    return found


def _forget(nameless: Path) -> None:
    """Removes a directory whose maker was killed before it became a run's."""
    pid, start = (*nameless.name.removeprefix(NAMELESS).split("-"), "", "")[:2]
    if not (pid.isdigit() and start.isdigit()):
        return
    maker = ProcessId.of(int(pid))
    if maker is None or maker.start != int(start):
        shutil.rmtree(nameless, ignore_errors=True)


def _let_go(mark: Path, holdings: Holdings) -> str:
    ended = []
    patience = Limits({}).stretched("off")  # the usual one: the target that it was may be none any more
    for process in holdings.processes:
        if process.alive() and process.end(patience):
            ended.append(str(process.pid))
    scratch = Path(holdings.scratch)
    if scratch.name.startswith("hil-") and scratch.parent == places.scratch():
        shutil.rmtree(scratch, ignore_errors=True)
    reason = f"the controller (pid {holdings.controller.pid}) {_how_far(mark.parent)}"
    try:
        _close_events(mark.parent, f"{reason}{_last_lines(mark.parent)}")
        _remove_halves(mark.parent)
        _report(mark.parent)
        os.replace(mark, mark.with_name(UNFINISHED))
    except OSError:
        pass  # read-only by now: its mark stays, which is true as well
    what = f"; ended what it had left: pid {', '.join(ended)}" if ended else ""
    return f"{mark.parent.name}: {reason}{what}"


def _how_far(run: Path) -> str:
    """A verdict that is in the log stays, whatever was cut off after it."""
    for event in reversed(_events(run)):
        if event.get("event") == "verdict":
            return f"ended after its verdict ({event.get('verdict')}), before all its files were there"
    return f"ended without a verdict{_last_state(run)}"


def _remove_halves(run: Path) -> None:
    """What files are called while they are written: these never got their name."""
    for name in (RUNNING, "manifest.json", "result.json", "junit.xml", "report.html"):
        for half in run.glob(f".{name}.*"):
            half.unlink(missing_ok=True)


def _last_state(run: Path) -> str:
    states = [event for event in _events(run) if event.get("event") == "state"]
    if not states:
        return ""
    wait, what = (states[-1].get(name, "") for name in ("wait", "waiting_for"))
    return f", last in state '{states[-1].get('state')}' (wait '{wait}': {what})"


def _last_lines(run: Path) -> str:
    from reports.console_log import console_lines

    raw = run / "console.raw"
    lines = console_lines(raw.read_bytes(), tail=3) if raw.exists() else []
    shown = " | ".join(f'"{line.text[-160:]}"' for line in lines)
    return f"; the console's last lines: {shown}" if shown else "; the console has shown no line"


def _report(run: Path) -> None:
    """The reports that the run could not make: whoever looks into its directory finds its verdict there."""
    import reports

    try:
        reports.write_all(run)
    except (InfrastructureError, RecordError):
        pass  # its events hold the verdict; `hil report` says what is wrong with the rest


def _events(run: Path) -> list[dict[str, object]]:
    events = []
    try:
        lines = (run / "events.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut short
        if isinstance(event, dict):
            events.append(event)
    return events


def _close_events(run: Path, reason: str) -> None:
    """Appends the verdict that the run could not give itself, behind a line that may be cut short."""
    events = _events(run)
    if any(e.get("event") == "verdict" for e in events):
        return
    last = events[-1].get("t", 0) if events else 0
    verdict = Verdict.of(Outcome.INFRASTRUCTURE_ERROR, reason)
    raw = (run / "events.jsonl").read_bytes() if (run / "events.jsonl").exists() else b""
    with (run / "events.jsonl").open("a") as file:
        if raw and not raw.endswith(b"\n"):
            file.write("\n")
        file.write(json.dumps({"t": last, "event": "verdict", **verdict.event()}) + "\n")

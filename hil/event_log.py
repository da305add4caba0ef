# SPDX-License-Identifier: Apache-2.0
"""events.jsonl: what happened in a run, a JSON object a line, each on disk before the next thing happens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hil.cell_statistics import Reading, event_fields
from hil.run_directory import writing
from hil.verdict import Verdict

Event = dict[str, Any]
Observer = Callable[[Event], None]


class EventLog:
    """Appends events and tells observers (progress line, --json-events, the live view) of each.

    `t` is in seconds since the log was made, on the monotonic clock.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._now = now
        self.start = now()
        self._observers: list[Observer] = []
        with writing(path):
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def observe(self, observer: Observer) -> None:
        """Adds an observer. What it is told must not be changed."""
        self._observers.append(observer)

    def emit(self, event: str, **fields: Any) -> None:
        """Writes one event. InfrastructureError when the disk refuses it."""
        line: Event = {"t": round(self._now() - self.start, 6), "event": event, **fields}
        try:
            with writing(self.path):
                self._file.write(json.dumps(line, ensure_ascii=True) + "\n")
        finally:  # after it is on disk: a run that is killed now has left what others heard of it
            self._tell(line)

    def _tell(self, line: Event) -> None:
        for observer in list(self._observers):
            try:
                observer(line)
            except OSError:  # its terminal or its reader has gone, which is no reason to end a run
                self._observers.remove(observer)

    def state(self, state: str, wait: str, limit: float, scale: float, waiting_for: str) -> None:
        """The session is in a new state, or waits for something else in it. `limit` in seconds, as stretched `scale`
        times; `wait` is its name in target.yaml."""
        self.emit(
            "state", state=state, wait=wait, limit=round(limit, 1), scale=round(scale, 2), waiting_for=waiting_for
        )

    def step(self, state: str, name: str, seconds: float, outcome: str, detail: str = "") -> None:
        """A timed step ended. `outcome` is `ok` or `failed`."""
        self.emit("step", state=state, name=name, seconds=round(seconds, 6), outcome=outcome, detail=detail)

    def record(self, record: dict[str, Any]) -> None:
        """A probe's record whose checksum was right."""
        self.emit("record", record=record)

    def trap(self, trap: dict[str, Any]) -> None:
        """A decoded trap."""
        self.emit("trap", trap=trap)

    def note(self, text: str) -> None:
        """Something worth knowing that is no step."""
        self.emit("note", text=text)

    def statistics(self, when: str, reading: Reading) -> None:
        """The cells' exit counters; `when`: before, during or after the probe."""
        self.emit("statistics", **event_fields(when, reading))

    def verdict(self, verdict: Verdict) -> None:
        """The run's end."""
        self.emit("verdict", **verdict.event())

    def close(self) -> None:
        """No more events."""
        with writing(self.path):
            self._file.close()

# SPDX-License-Identifier: Apache-2.0
"""What the user sees while a run lasts: on a terminal one living line (live_progress.py), elsewhere a line a step."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TextIO

from hil.cell_statistics import sentence as sentence_of_exits
from hil.event_log import Event
from hil.harmless_text import harmless_line

MARKS = {"kernel": "k", "hypervisor": "h", "agent": "a"}
"""Of a console line, by its writer; a line that nobody can be named for has `|`."""


def tell(stream: TextIO, text: str) -> None:
    """Prints a line. Whoever read the stream may have gone: then nobody is told any more, and nothing else changes."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """What is written to the stream from now on, and what is still in its buffer, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Progress(Protocol):
    """Shows events and, live, the console, while it is entered as a context."""

    def __enter__(self) -> Progress:
        ...

    def __exit__(self, *ignored: object) -> None:
        ...

    def event(self, event: Event) -> None:
        """An observer of the event log."""

    def console(self, line: str, writer: str) -> None:
        """A line of the machine's console."""

    def aside(self) -> AbstractContextManager[None]:
        """Says nothing meanwhile: the terminal is somebody else's."""


class PlainProgress:
    """A line for each step that ends, and one every few seconds for what is awaited: fit for logs."""

    REMIND = 10.0

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._state: Event | None = None
        self._since = time.monotonic()
        self._silent = False
        self._reminder = threading.Thread(target=self._remind, daemon=True, name="progress")

    def __enter__(self) -> PlainProgress:
        self._reminder.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._stop.set()

    def event(self, event: Event) -> None:
        """An observer of the event log."""
        if event["event"] == "state":
            self._since, self._state = since(self._state, event, self._since), event
        if line := sentence(event):
            self.line(line)

    def console(self, line: str, writer: str) -> None:
        """A line of the machine's console."""
        self.line(f"          {MARKS.get(writer, '|')} {harmless_line(line)}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """See Progress."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def line(self, text: str) -> None:
        """Prints one line."""
        if self._silent:
            return
        with self._lock:
            tell(self._stream, text)

    def _remind(self) -> None:
        while not self._stop.wait(self.REMIND):
            if self._state is not None and (waited := time.monotonic() - self._since) >= self.REMIND:
                self.line(f"          … {waiting(self._state, waited)}")


class JsonProgress:
    """Every event as a line of JSON on stdout, for other programs."""

    def __enter__(self) -> JsonProgress:
        return self

    def __exit__(self, *ignored: object) -> None:
        return None

    def event(self, event: Event) -> None:
        """An observer of the event log."""
        tell(sys.stdout, json.dumps(event))

    def aside(self) -> AbstractContextManager[None]:
        """Nothing to do: see `hil run`, which has no seat beside it."""
        return nullcontext()

    def console(self, line: str, writer: str) -> None:
        """Goes to stderr: stdout holds JSON alone."""
        tell(sys.stderr, f"{MARKS.get(writer, '|')} {harmless_line(line)}")


def choose(json_events: bool) -> Progress:
    """What fits the terminal, or the other program that reads."""
    if json_events:
        return JsonProgress()
    if not sys.stderr.isatty():
        return PlainProgress()
    from hil.live_progress import LiveProgress  # rich takes its time to import: only who sees it waits for it

    return LiveProgress()


def since(before: Event | None, event: Event, started: float) -> float:
    """When the wait of a state event began: one that only says how far the wait has come goes on with the old time."""
    what = str(before["waiting_for"]).partition(":")[0] if before is not None else None
    return started if what == str(event["waiting_for"]).partition(":")[0] else time.monotonic()


def waiting(state: Event, waited: float) -> str:
    """State, what is awaited, for how long, its limit, and what the host's load did to that."""
    limit = f" of at most {state['limit']:.0f} s" if state.get("limit") is not None else ""
    load = f" (limit × {state['scale']:.2g})" if state.get("scale", 1.0) != 1.0 else ""
    return harmless_line(f"{state['state']:<9} {waited:5.1f} s{limit}: waiting for {state['waiting_for']}{load}")


def sentence(event: Event) -> str:
    """An event as one harmless line; empty for those that need none."""
    match event["event"]:
        case "step":
            failed = f" FAILED: {event['detail'][:200]}" if event["outcome"] == "failed" else ""
            return harmless_line(f"{event['state']:<9} {event['seconds']:6.2f} s  {event['name']}{failed}")
        case "trap":
            trap = event["trap"]
            what = [str(trap[key]) for key in ("kind", "access", "address", "cell", "outcome") if trap.get(key)]
            return harmless_line(f"trap: {' '.join(what)}")
        case "note":
            return harmless_line(f"          {event['text']}")
        case "record":
            record = event["record"]
            return harmless_line(f"          record: {record['series']}, {record['count']} samples")
        case "statistics" if event["when"] == "during":
            exits = sentence_of_exits({name: cell["exits"] for name, cell in event["cells"].items()})
            return harmless_line(f"          exits by {event['uptime']:.1f} s of the root cell's clock: {exits}")
    return ""

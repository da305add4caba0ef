# SPDX-License-Identifier: Apache-2.0
"""The live view again, from a run directory: console bytes and events in the order of their times."""

from __future__ import annotations

import codecs
import json
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from hil.errors import WrongUse
from hil.event_log import Event
from hil.event_schema import problems
from hil.harmless_text import HarmlessText
from hil.progress import Progress
from hil.console_times import parse_console_times
from reports.console_log import text_of, without_frames, writer_of


LONGEST_REST = 1e6
"""Seconds of silence, at most: what a clock can sleep."""


def replay(run: Path, show: Progress, speed: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Shows what was seen live; `speed` 1 takes as long as the run did, 0 no time. Says what it could not show."""
    lines = HarmlessText()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    last = 0.0
    for t, what in merged(run):
        if speed > 0 and t > last:
            sleep(min((t - last) / speed, LONGEST_REST))
        last = max(last, t)
        if isinstance(what, bytes):
            for line in lines.feed(decoder.decode(what)):
                show.console(line, writer_of(line))
        else:
            show.event(what)
    if rest := lines.rest():
        show.console(rest, writer_of(rest))
    if unusable := [problem for event in _parsed(run) for problem in problems(event)[:1]]:
        many = "1 event of events.jsonl is" if len(unusable) == 1 else f"{len(unusable)} events of events.jsonl are"
        show.event({"t": last, "event": "note", "text": f"{many} not shown, the first for this: {unusable[0][:200]}"})
    if not (run / "console.raw").exists():
        show.event({"t": last, "event": "note", "text": "there is no console.raw: the console is not shown"})


def merged(run: Path) -> Iterator[tuple[float, bytes | Event]]:
    """Console pieces and events by time (seconds since the run's start)."""
    parts: list[tuple[float, int, bytes | Event]] = []
    for number, (t, piece) in enumerate(pieces(run)):
        parts.append((t, number, piece))
    for number, event in enumerate(events(run)):
        parts.append((float(event.get("t", 0.0)), number, event))
    for t, _, what in sorted(parts, key=lambda part: (part[0], isinstance(part[2], dict), part[1])):
        yield t, what


def pieces(run: Path) -> Iterator[tuple[float, bytes]]:
    """console.raw cut at the offsets of console.times, each piece with the time at which its first byte came, and
    without the agent's frames."""
    try:
        raw = (run / "console.raw").read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise WrongUse(f"cannot read {run / 'console.raw'}: {error.strerror}") from error
    try:
        times = list(parse_console_times((run / "console.times").read_bytes()))
    except OSError:
        times = []
    offsets = [time.offset for time in times]
    shown = without_frames(raw)
    at = 0
    while at < len(raw):
        index = bisect_right(offsets, at)
        end = offsets[index] if index < len(offsets) else len(raw)
        yield (times[index - 1].seconds if index else 0.0), text_of(shown[at:end])
        at = end


def events(run: Path) -> Iterator[Event]:
    """Events that are as docs/harness.md says; what is none is left out, as a killed run's cut last line is."""
    for event in _parsed(run):
        if isinstance(event, dict) and not problems(event):
            yield event


def _parsed(run: Path) -> Iterator[object]:
    """The lines of events.jsonl that are JSON."""
    for line in (run / "events.jsonl").read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue

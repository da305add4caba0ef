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
from hil.harmless_text import HarmlessText
from hil.progress import Progress
from hil.console_times import parse_console_times
from reports.console_log import text_of, without_frames, writer_of


def replay(run: Path, show: Progress, speed: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Shows what was seen live; `speed` 1 takes as long as the run did, 0 no time."""
    lines = HarmlessText()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    last = 0.0
    for t, what in merged(run):
        if speed > 0 and t > last:
            sleep((t - last) / speed)
        last = max(last, t)
        if isinstance(what, bytes):
            for line in lines.feed(decoder.decode(what)):
                show.console(line, writer_of(line))
        else:
            show.event(what)
    if rest := lines.rest():
        show.console(rest, writer_of(rest))


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
    """Events that can be read; a cut last line of a killed run is left out."""
    for line in (run / "events.jsonl").read_text(errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event

# SPDX-License-Identifier: Apache-2.0
"""events.jsonl as it is read back, whatever a killed run left of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hil.cell_statistics import difference, sentence
from hil.events import (
    Event,
    NoteEvent,
    RecordEvent,
    StateEvent,
    StatisticsEvent,
    StepEvent,
    TrapEvent,
    VerdictEvent,
    parse_event,
)
from hil.fields import RecordError
from hil.record import Record
from hil.verdict import Outcome


@dataclass
class RunLog:
    """events.jsonl as read back. `damage` tells what could not be read, e.g. the half line that a killed run left."""

    events: list[Event] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)

    def steps(self) -> list[StepEvent]:
        return [e for e in self.events if isinstance(e, StepEvent)]

    def records(self) -> list[Record]:
        return [e.record for e in self.events if isinstance(e, RecordEvent)]

    def traps(self) -> list[TrapEvent]:
        return [e for e in self.events if isinstance(e, TrapEvent)]

    def states(self) -> list[StateEvent]:
        return [e for e in self.events if isinstance(e, StateEvent)]

    def notes(self) -> list[NoteEvent]:
        return [e for e in self.events if isinstance(e, NoteEvent)]

    def exits(self) -> str:
        """How often each cell left for the hypervisor while the probe ran, and why, in one line; empty when unknown."""
        read = {e.when: e.reading.cells for e in self.events if isinstance(e, StatisticsEvent) and e.when != "during"}
        return sentence(difference(read["before"], read["after"])) if len(read) == 2 else ""

    def verdict(self) -> VerdictEvent:
        """The run's verdict: the last one written. A log without one was cut off: an infrastructure error."""
        for event in reversed(self.events):
            if isinstance(event, VerdictEvent):
                return event
        last = self.events[-1].t if self.events else 0.0
        states = self.states()
        where = f'in state "{states[-1].state}"' if states else "before the first state"
        outcome = Outcome.INFRASTRUCTURE_ERROR
        return VerdictEvent(last, outcome, outcome.exit_code, f"the run was cut off {where}: no verdict was written")


def read_events(path: Path) -> RunLog:
    """events.jsonl; lines that cannot be read are reported in `damage`, the rest is kept. A file that was never begun
    is a log without events. OSError when it is there and cannot be read."""
    if not path.exists():
        return RunLog(damage=[f"{path.name} was never written"])
    return parse_events(path.read_text(encoding="utf-8", errors="surrogateescape").split("\n"))


def parse_events(lines: Iterable[str]) -> RunLog:
    log = RunLog()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            log.events.append(parse_event(json.loads(line)))
        except RecordError as error:
            log.damage.append(f"events.jsonl:{number}: {error}")
        except (ValueError, RecursionError) as error:
            log.damage.append(f"events.jsonl:{number}: not JSON ({error})")
    return log

# SPDX-License-Identifier: Apache-2.0
"""The events of a run as types, and the JSON objects they travel as. Times are seconds since the run's start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Union

from hil.cell_statistics import CellExits, Reading, event_fields
from hil.fields import Fields, RecordError, shown
from hil.record import Record
from hil.verdict import Outcome


@dataclass(frozen=True)
class StateEvent:
    """The session enters `state`; it may take `limit` seconds (None: no limit) and waits for `waiting_for`. `wait` is
    the limit's name (empty in old runs); the load stretched it `scale` times."""

    kind: ClassVar[str] = "state"
    t: float
    state: str
    limit: float | None = None
    waiting_for: str = ""
    wait: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class StepEvent:
    """A step that ended: `t` is its end, it took `seconds`, in `state`."""

    kind: ClassVar[str] = "step"
    t: float
    state: str
    name: str
    seconds: float
    outcome: str = "ok"
    detail: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome != "ok"


@dataclass(frozen=True)
class RecordEvent:
    kind: ClassVar[str] = "record"
    t: float
    record: Record


@dataclass(frozen=True)
class TrapEvent:
    """A decoded trap, as `hil explain --json` prints it (its `events[n]`)."""

    kind: ClassVar[str] = "trap"
    t: float
    trap: Mapping[str, Any]


@dataclass(frozen=True)
class NoteEvent:
    kind: ClassVar[str] = "note"
    t: float
    text: str


@dataclass(frozen=True)
class StatisticsEvent:
    """The cells' exit counters, as they were read `when`: before, during or after the probe."""

    kind: ClassVar[str] = "statistics"
    t: float
    when: str
    reading: Reading


@dataclass(frozen=True)
class VerdictEvent:
    kind: ClassVar[str] = "verdict"
    t: float
    outcome: Outcome
    exit_code: int
    reason: str = ""


Event = Union[StateEvent, StepEvent, RecordEvent, TrapEvent, NoteEvent, StatisticsEvent, VerdictEvent]


def _state_event(t: float, fields: Fields) -> StateEvent:
    limit = None if fields.data.get("limit") is None else fields.number("limit")
    scale = fields.number("scale") if "scale" in fields.data else 1.0
    return StateEvent(t, fields.text("state"), limit, fields.text("waiting_for", ""), fields.text("wait", ""), scale)


def _step_event(t: float, fields: Fields) -> StepEvent:
    outcome = fields.text("outcome")
    if outcome not in ("ok", "failed"):
        raise fields.fail("outcome", '"ok" or "failed"')
    detail = fields.text("detail", "")
    return StepEvent(t, fields.text("state"), fields.text("name"), fields.number("seconds"), outcome, detail)


def _statistics_event(t: float, fields: Fields) -> StatisticsEvent:
    when = fields.text("when")
    if when not in ("before", "during", "after"):
        raise fields.fail("when", '"before", "during" or "after"')
    cells = {}
    for name, value in Fields.of("cells", fields.get("cells")).data.items():
        one = Fields.of(f'cell "{name}"', value)
        cpus = Fields.of("cpus", one.get("cpus")).data
        cells[name] = CellExits(
            _counters("exits", one.get("exits")), {cpu: _counters(cpu, each) for cpu, each in cpus.items()}
        )
    return StatisticsEvent(t, when, Reading(fields.number("uptime"), cells))


def _counters(what: str, value: object) -> dict[str, int]:
    fields = Fields.of(what, value)
    return {reason: fields.integer(reason) for reason in fields.data}


def _verdict_event(t: float, fields: Fields) -> VerdictEvent:
    known = [one.value for one in Outcome]
    if fields.text("verdict") not in known:
        raise fields.fail("verdict", "one of " + ", ".join(known))
    outcome = Outcome(fields.text("verdict"))
    return VerdictEvent(t, outcome, fields.integer("exit_code", default=outcome.exit_code), fields.text("reason", ""))


def parse_event(value: object) -> Event:
    """One event from its JSON object."""
    fields = Fields.of("event", value)
    kind, t = fields.text("event"), fields.number("t")
    fields = Fields(f'event "{kind}" at t={t:g}', fields.data)
    match kind:
        case "state":
            return _state_event(t, fields)
        case "step":
            return _step_event(t, fields)
        case "record":
            return RecordEvent(t, Record.of(fields.get("record")))
        case "trap":
            return TrapEvent(t, dict(Fields.of(f'{fields.what}: field "trap"', fields.get("trap")).data))
        case "note":
            return NoteEvent(t, fields.text("text"))
        case "statistics":
            return _statistics_event(t, fields)
        case "verdict":
            return _verdict_event(t, fields)
    raise RecordError(f"event at t={t:g}: unknown kind {shown(kind)}")


def event_dict(event: Event) -> dict[str, Any]:
    """The JSON object of an event: what `parse_event` reads."""
    out: dict[str, Any] = {"t": round(event.t, 6), "event": event.kind}
    match event:
        case StateEvent():
            out.update(state=event.state, wait=event.wait, limit=event.limit, scale=event.scale)
            out.update(waiting_for=event.waiting_for)
        case StepEvent():
            out.update(state=event.state, name=event.name, seconds=round(event.seconds, 6))
            out.update(outcome=event.outcome, detail=event.detail)
        case RecordEvent():
            out.update(record=event.record.as_dict())
        case TrapEvent():
            out.update(trap=dict(event.trap))
        case NoteEvent():
            out.update(text=event.text)
        case StatisticsEvent():
            out.update(event_fields(event.when, event.reading))
        case VerdictEvent():
            out.update(verdict=event.outcome.value, exit_code=event.exit_code, reason=event.reason)
    return out


def event_line(event: Event) -> str:
    """One line of events.jsonl."""
    return json.dumps(event_dict(event), separators=(",", ":")) + "\n"

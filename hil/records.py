# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind, as types: probe records, events, the manifest, the verdict.

Everything here comes from outside (a probe's output, a file that a killed run left half written), so every reader
validates and raises `RecordError` with the field, what was found there and what is expected. Nothing is guessed: a
record whose numbers contradict each other is refused as a whole.

Units: a `Record` holds clock ticks exactly as the probe counted them; `Record.ns()` converts. Event times are seconds
since the run started.
"""

from __future__ import annotations

import binascii
import enum
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Union

RECORD_MARK = "hil-record "
MAX_TIMELINE = 300
MAX_OUTLIERS = 100
MAX_BUCKETS = 100_000

# The statistics that a record carries besides the counts, in the order in which they are shown.
STATISTICS = ("min", "p50", "p90", "p99", "p99_9", "max", "mean", "stddev")
PERCENTILES = ("min", "p50", "p90", "p99", "p99_9", "max")


class RecordError(ValueError):
    """A record, event or manifest that does not hold what its format says."""


class DamagedRecord(RecordError):
    """A `hil-record` line whose checksum does not match its text: bytes were lost or spliced on the way."""


# --- Reading fields -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fields:
    """One JSON object, and the name under which messages speak of it."""

    what: str
    data: Mapping[str, Any]

    @staticmethod
    def of(what: str, value: object) -> _Fields:
        if not isinstance(value, Mapping):
            raise RecordError(f"{what}: expected a JSON object, found {_shown(value)}")
        return _Fields(what, value)

    def _get(self, key: str) -> Any:
        if key not in self.data:
            raise RecordError(f'{self.what}: field "{key}" is missing')
        return self.data[key]

    def fail(self, key: str, expected: str) -> RecordError:
        return RecordError(f'{self.what}: field "{key}": expected {expected}, found {_shown(self.data.get(key))}')

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key) if default is None else self.data.get(key, default)
        if not isinstance(value, str):
            raise self.fail(key, "text")
        return value

    def number(self, key: str, minimum: float | None = 0, default: float | None = None) -> float:
        value = self._get(key) if default is None else self.data.get(key, default)
        if not _is_number(value) or (minimum is not None and value < minimum):
            raise self.fail(key, "a finite number" if minimum is None else f"a finite number >= {minimum:g}")
        return float(value)

    def integer(self, key: str, minimum: int = 0, default: int | None = None) -> int:
        value = self._get(key) if default is None else self.data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self.fail(key, f"an integer >= {minimum}")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """An object whose values are text, as `{"root": "interrupt"}`; absent means empty."""
        value = self.data.get(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise self.fail(key, "an object of texts")
        return {str(k): v for k, v in value.items()}

    def rows(self, key: str, width: int, limit: int) -> list[tuple[float, ...]]:
        """A list of number rows, each `width` wide; absent means empty."""
        value = self.data.get(key, [])
        shape = f"at most {limit} rows of {width} finite numbers >= 0"
        if not isinstance(value, list) or len(value) > limit:
            raise self.fail(key, shape)
        for row in value:
            if not isinstance(row, list) or len(row) != width or not all(_is_number(n) and n >= 0 for n in row):
                raise RecordError(f'{self.what}: field "{key}": expected {shape}, found the row {_shown(row)}')
        return [tuple(float(n) for n in row) for row in value]


def _is_number(value: object) -> bool:
    # The magnitude first: an integer that no float can hold is not a number that anybody measured.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


# --- Probe records --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """The clock that stamped a series, e.g. CNTVCT_EL0 at 62500000 Hz."""

    name: str
    hz: float


@dataclass(frozen=True)
class Bucket:
    """`count` samples in the half-open interval [low, high), in ticks."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class TimelinePoint:
    """A stretch of the run, from `t` ticks after the first counted exchange: its extremes and median, in ticks."""

    t: float
    min: float
    p50: float
    max: float


@dataclass(frozen=True)
class Outlier:
    """One sample above p99.9, and when it was taken (ticks after the first counted exchange)."""

    t: float
    value: float


@dataclass(frozen=True)
class Record:
    """One measured series. All values are ticks of `clock`; the percentiles are exact, from every sample."""

    probe: str
    series: str
    from_event: str
    to_event: str
    clock: Clock
    mode: Mapping[str, str]
    warmup: int
    count: int
    lost: int
    min: float
    p50: float
    p90: float
    p99: float
    p99_9: float
    max: float
    mean: float
    stddev: float
    duration: float
    histogram: tuple[Bucket, ...] = ()
    timeline: tuple[TimelinePoint, ...] = ()
    outliers: tuple[Outlier, ...] = ()

    def ns(self, ticks: float) -> float:
        """Ticks of this record's clock as nanoseconds."""
        return ticks * 1e9 / self.clock.hz

    def statistic_ns(self, name: str) -> float:
        """One of STATISTICS in nanoseconds."""
        if name not in STATISTICS:
            raise KeyError(name)
        return self.ns(getattr(self, name))

    @property
    def tick_ns(self) -> float:
        """The clock's resolution: no figure of this record can be finer."""
        return 1e9 / self.clock.hz

    @property
    def seconds(self) -> float:
        """How long the counted part took."""
        return self.duration / self.clock.hz

    def as_dict(self) -> dict[str, Any]:
        """The JSON object that `Record.of` reads."""
        return {
            "probe": self.probe,
            "series": self.series,
            "from": self.from_event,
            "to": self.to_event,
            "clock": {"name": self.clock.name, "hz": _plain(self.clock.hz)},
            "mode": dict(self.mode),
            "warmup": self.warmup,
            "count": self.count,
            "lost": self.lost,
            "unit": "ticks",
            **{name: _plain(getattr(self, name)) for name in STATISTICS},
            "histogram": [[_plain(b.low), _plain(b.high), b.count] for b in self.histogram],
            "timeline": [[_plain(p.t), _plain(p.min), _plain(p.p50), _plain(p.max)] for p in self.timeline],
            "outliers": [[_plain(o.t), _plain(o.value)] for o in self.outliers],
            "duration": _plain(self.duration),
        }

    @staticmethod
    def of(value: object) -> Record:
        """The record that a JSON object describes; RecordError names the first field that is wrong."""
        name = value.get("series", "?") if isinstance(value, Mapping) else "?"
        fields = _Fields.of(f"record {_shown(name)}", value)
        unit = fields.text("unit", "ticks")
        if unit != "ticks":
            raise fields.fail("unit", '"ticks"')
        clock = _Fields.of(f'{fields.what}: field "clock"', fields._get("clock"))
        hz = clock.number("hz")
        if hz <= 0:
            raise clock.fail("hz", "a frequency > 0")
        rows = fields.rows("histogram", 3, MAX_BUCKETS)
        if not all(count.is_integer() for _, _, count in rows):
            raise fields.fail("histogram", "whole counts")
        histogram = tuple(Bucket(low, high, int(count)) for low, high, count in rows)
        record = Record(
            probe=fields.text("probe"),
            series=fields.text("series"),
            from_event=fields.text("from"),
            to_event=fields.text("to"),
            clock=Clock(clock.text("name"), hz),
            mode=fields.texts("mode"),
            warmup=fields.integer("warmup"),
            count=fields.integer("count", minimum=1),
            lost=fields.integer("lost", default=0),
            **{key: fields.number(key) for key in (*STATISTICS, "duration")},
            histogram=histogram,
            timeline=tuple(TimelinePoint(*row) for row in fields.rows("timeline", 4, MAX_TIMELINE)),
            outliers=tuple(Outlier(*row) for row in fields.rows("outliers", 2, MAX_OUTLIERS)),
        )
        _check_consistent(record, fields.what)
        return record


def _plain(value: float) -> float | int:
    """Whole numbers without a fraction, so that a record reads back byte for byte."""
    return int(value) if float(value).is_integer() else value


def _check_consistent(record: Record, what: str) -> None:
    """Numbers that contradict each other mean that something was mixed up: no part of them can be trusted."""
    values = [getattr(record, name) for name in PERCENTILES]
    if values != sorted(values):
        shown = ", ".join(f"{name} {_plain(value)}" for name, value in zip(PERCENTILES, values))
        raise RecordError(f"{what}: percentiles must ascend, found {shown}")
    # A mean is a rounded sum: allow for the last digits.
    slack = 1e-6 * max(record.max, 1.0) + 0.5
    if not record.min - slack <= record.mean <= record.max + slack:
        raise RecordError(f"{what}: mean {record.mean:g} lies outside min {record.min:g} … max {record.max:g}")
    _check_histogram(record, what)
    for outlier in record.outliers:
        if not record.p99_9 <= outlier.value <= record.max:
            raise RecordError(f"{what}: outlier {outlier.value:g} outside p99_9 {record.p99_9:g} … max {record.max:g}")
    for point in record.timeline:
        if not record.min <= point.min <= point.p50 <= point.max <= record.max:
            raise RecordError(f"{what}: timeline point at t={point.t:g} contradicts min, p50, max of the series")


def _check_histogram(record: Record, what: str) -> None:
    previous = -1.0
    for bucket in record.histogram:
        if bucket.low < previous or bucket.high <= bucket.low:
            raise RecordError(f"{what}: histogram bucket [{bucket.low:g}, {bucket.high:g}) is out of order or empty")
        previous = bucket.high
    if record.histogram:
        first, last = record.histogram[0], record.histogram[-1]
        if not (first.low <= record.min < first.high and last.low <= record.max < last.high):
            raise RecordError(f"{what}: histogram's ends do not hold min {record.min:g} and max {record.max:g}")
    total = sum(bucket.count for bucket in record.histogram)
    if record.histogram and total != record.count:
        raise RecordError(f"{what}: histogram holds {total} samples, count says {record.count}")


# --- Record lines ---------------------------------------------------------------------------------------------------

_RECORD_LINE = re.compile(r"hil-record ([0-9a-fA-F]{8}) (\{.*\})\s*$")


def record_line(record: Record) -> str:
    """The line that hands a record over: `hil-record <crc32> <json>`, CRC-32 (IEEE) over the JSON's bytes."""
    body = json.dumps(record.as_dict(), separators=(",", ":"), ensure_ascii=True)
    return f"{RECORD_MARK}{binascii.crc32(body.encode()):08x} {body}\n"


def parse_record_line(line: str | bytes) -> Record:
    """The record in one line; DamagedRecord when the checksum disagrees, RecordError when the content does."""
    text = line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line
    match = _RECORD_LINE.search(text)
    if not match:
        raise DamagedRecord(f"not a whole hil-record line: {_shown(text.strip())}")
    body = match.group(2).encode("utf-8", "surrogateescape")
    expected, found = int(match.group(1), 16), binascii.crc32(body)
    if expected != found:
        raise DamagedRecord(f"hil-record line damaged: checksum {expected:08x} announced, {found:08x} found")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"hil-record line: whole, but not JSON: {error}") from error
    return Record.of(value)


@dataclass
class RecordScan:
    """What a probe's output held: whole records, and a message for each line that was damaged or wrong."""

    records: list[Record] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def scan_records(output: str | bytes) -> RecordScan:
    """All records in a probe's output. A record that is repeated (probes may send twice) counts once; of two different
    ones for the same series nobody can tell which is right, so the later one is an error."""
    text = output.decode("utf-8", "surrogateescape") if isinstance(output, bytes) else output
    scan = RecordScan()
    seen: dict[tuple[str, str], Record] = {}
    for line in text.split("\n"):
        if RECORD_MARK.strip() not in line:
            continue
        try:
            record = parse_record_line(line)
        except RecordError as error:
            scan.errors.append(str(error))
            continue
        key = (record.probe, record.series)
        if key not in seen:
            seen[key] = record
            scan.records.append(record)
        elif seen[key] != record:
            scan.errors.append(f'record "{record.series}": two different records for one series')
    return scan


# --- Verdicts -------------------------------------------------------------------------------------------------------


class Verdict(enum.Enum):
    """How a run ended. Infrastructure error: nothing was measured, and the code under test is not to blame."""

    PASS = "pass"
    FAIL = "fail"
    TRAP = "trap"
    INFRASTRUCTURE_ERROR = "infrastructure-error"

    @property
    def exit_code(self) -> int:
        return {"pass": 0, "fail": 1, "trap": 3, "infrastructure-error": 4}[self.value]


EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


# --- Events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StateEvent:
    """The session enters `state`; it may take `limit` seconds (None: no limit) and waits for `waiting_for`."""

    kind: ClassVar[str] = "state"
    t: float
    state: str
    limit: float | None = None
    waiting_for: str = ""


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
class VerdictEvent:
    kind: ClassVar[str] = "verdict"
    t: float
    verdict: Verdict
    exit_code: int
    reason: str = ""


Event = Union[StateEvent, StepEvent, RecordEvent, TrapEvent, NoteEvent, VerdictEvent]


def _state_event(t: float, fields: _Fields) -> StateEvent:
    limit = None if fields.data.get("limit") is None else fields.number("limit")
    return StateEvent(t, fields.text("state"), limit, fields.text("waiting_for", ""))


def _step_event(t: float, fields: _Fields) -> StepEvent:
    outcome = fields.text("outcome")
    if outcome not in ("ok", "failed"):
        raise fields.fail("outcome", '"ok" or "failed"')
    detail = fields.text("detail", "")
    return StepEvent(t, fields.text("state"), fields.text("name"), fields.number("seconds"), outcome, detail)


def _verdict_event(t: float, fields: _Fields) -> VerdictEvent:
    known = [v.value for v in Verdict]
    if fields.text("verdict") not in known:
        raise fields.fail("verdict", "one of " + ", ".join(known))
    verdict = Verdict(fields.text("verdict"))
    return VerdictEvent(t, verdict, fields.integer("exit_code", default=verdict.exit_code), fields.text("reason", ""))


def parse_event(value: object) -> Event:
    """One event from its JSON object."""
    fields = _Fields.of("event", value)
    kind, t = fields.text("event"), fields.number("t")
    fields = _Fields(f'event "{kind}" at t={t:g}', fields.data)
    match kind:
        case "state":
            return _state_event(t, fields)
        case "step":
            return _step_event(t, fields)
        case "record":
            return RecordEvent(t, Record.of(fields._get("record")))
        case "trap":
            return TrapEvent(t, dict(_Fields.of(f'{fields.what}: field "trap"', fields._get("trap")).data))
        case "note":
            return NoteEvent(t, fields.text("text"))
        case "verdict":
            return _verdict_event(t, fields)
    raise RecordError(f"event at t={t:g}: unknown kind {_shown(kind)}")


def event_dict(event: Event) -> dict[str, Any]:
    """The JSON object of an event: what `parse_event` reads."""
    out: dict[str, Any] = {"t": round(event.t, 6), "event": event.kind}
    match event:
        case StateEvent():
            out.update(state=event.state, limit=event.limit, waiting_for=event.waiting_for)
        case StepEvent():
            out.update(state=event.state, name=event.name, seconds=round(event.seconds, 6))
            out.update(outcome=event.outcome, detail=event.detail)
        case RecordEvent():
            out.update(record=event.record.as_dict())
        case TrapEvent():
            out.update(trap=dict(event.trap))
        case NoteEvent():
            out.update(text=event.text)
        case VerdictEvent():
            out.update(verdict=event.verdict.value, exit_code=event.exit_code, reason=event.reason)
    return out


def event_line(event: Event) -> str:
    """One line of events.jsonl."""
    return json.dumps(event_dict(event), separators=(",", ":")) + "\n"


@dataclass
class EventLog:
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

    def verdict(self) -> VerdictEvent:
        """The run's verdict: the last one written. A log without one was cut off: an infrastructure error."""
        for event in reversed(self.events):
            if isinstance(event, VerdictEvent):
                return event
        last = self.events[-1].t if self.events else 0.0
        states = self.states()
        where = f'in state "{states[-1].state}"' if states else "before the first state"
        verdict = Verdict.INFRASTRUCTURE_ERROR
        return VerdictEvent(last, verdict, verdict.exit_code, f"the run was cut off {where}: no verdict was written")


def read_events(path: Path) -> EventLog:
    """events.jsonl; lines that cannot be read are reported in `damage`, the rest is kept. A file that was never begun
    is a log without events. OSError when it is there and cannot be read."""
    if not path.exists():
        return EventLog(damage=[f"{path.name} was never written"])
    return parse_events(path.read_text(encoding="utf-8", errors="surrogateescape").split("\n"))


def parse_events(lines: Iterable[str]) -> EventLog:
    log = EventLog()
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


# --- Manifest -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Manifest:
    """manifest.json: what ran, where, under which conditions. Texts are free; `started` is UTC, ISO 8601.

    `contention` labels what else ran on the machine ("alone", "noisy-neighbour", …): every figure is meaningless
    without it. `emulated` says that the machine is emulated, so that wall-clock figures are not hardware latencies;
    `virtual_time` that its clock counts instructions (QEMU's icount), so that figures are no times at all.
    `versions`: tool name → version (hil, qemu, …). `config_hashes`: file name → sha256 in hex. `host`: name, cpu, ….
    """

    target: str
    bench: str
    started: str
    command: Sequence[str]
    machine: str
    hypervisor: str
    kernel: str
    contention: str
    emulated: bool
    hypervisor_version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    config_hashes: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str] = field(default_factory=dict)
    virtual_time: bool = False

    @property
    def honesty(self) -> str:
        """What the figures are and what they are not, in one or two sentences."""
        if self.virtual_time:
            return (
                "Virtual time: the clock advances one nanosecond per emulated instruction, so these figures count "
                "instructions, on CPUs that take turns; they are no latencies of any hardware and hardly depend on "
                "the host."
            )
        if self.emulated:
            return (
                "The machine is emulated in software: these wall-clock figures contain the emulator's work and the "
                "host's scheduling and are no hardware latencies; compare them only with runs on the same host under "
                "the same contention."
            )
        return (
            "Measured on the machine itself. Memory contention moves such figures far more than the choice of "
            "hypervisor does: compare only runs under the same contention."
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON object that `Manifest.of` reads."""
        return {
            "format": 1,
            "target": self.target,
            "bench": self.bench,
            "started": self.started,
            "command": list(self.command),
            "machine": self.machine,
            "emulated": self.emulated,
            "virtual_time": self.virtual_time,
            "hypervisor": self.hypervisor,
            "hypervisor_version": self.hypervisor_version,
            "kernel": self.kernel,
            "contention": self.contention,
            "versions": dict(self.versions),
            "config_hashes": dict(self.config_hashes),
            "host": dict(self.host),
        }

    @staticmethod
    def of(value: object) -> Manifest:
        fields = _Fields.of("manifest", value)
        if fields.integer("format", default=1) != 1:
            raise fields.fail("format", "1, the one that this version of hil reads")
        command, emulated = fields._get("command"), fields._get("emulated")
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise fields.fail("command", "a list of words")
        if not isinstance(emulated, bool):
            raise fields.fail("emulated", "true or false")
        virtual_time = fields.data.get("virtual_time", False)
        if not isinstance(virtual_time, bool):
            raise fields.fail("virtual_time", "true or false")
        return Manifest(
            **{key: fields.text(key) for key in ("target", "bench", "started", "machine", "hypervisor", "kernel")},
            contention=fields.text("contention"),
            command=tuple(command),
            emulated=emulated,
            hypervisor_version=fields.text("hypervisor_version", ""),
            versions=fields.texts("versions"),
            config_hashes=fields.texts("config_hashes"),
            host=fields.texts("host"),
            virtual_time=virtual_time,
        )


def read_manifest(path: Path) -> Manifest:
    """manifest.json of a run directory; RecordError when its content is wrong, OSError when it cannot be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path}: not JSON: {error}") from error
    return Manifest.of(value)


# --- Console times --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConsoleTime:
    """The byte at `offset` of console.raw arrived `seconds` after the run's start."""

    offset: int
    seconds: float


def parse_console_times(lines: Iterable[str]) -> Iterator[ConsoleTime]:
    """console.times: lines of `<offset> <ns since start>`. Lines that a kill cut short are skipped: they only date."""
    for line in lines:
        words = line.split()
        if len(words) == 2 and all(word.isdigit() for word in words):
            yield ConsoleTime(int(words[0]), int(words[1]) / 1e9)

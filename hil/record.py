# SPDX-License-Identifier: Apache-2.0
"""A record: one measured series, as a probe gives it, in ticks of the clock that stamped it.

A record whose numbers contradict each other is refused as a whole: what was mixed up cannot be trusted in any part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hil.fields import Fields, RecordError, shown


MAX_TIMELINE = 300
MAX_OUTLIERS = 100
MAX_BUCKETS = 100_000

# The statistics that a record carries besides the counts, in the order in which they are shown.
STATISTICS = ("min", "p50", "p90", "p99", "p99_9", "max", "mean", "stddev")
PERCENTILES = ("min", "p50", "p90", "p99", "p99_9", "max")


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
            "clock": {"name": self.clock.name, "hz": plain(self.clock.hz)},
            "mode": dict(self.mode),
            "warmup": self.warmup,
            "count": self.count,
            "lost": self.lost,
            "unit": "ticks",
            **{name: plain(getattr(self, name)) for name in STATISTICS},
            "histogram": [[plain(b.low), plain(b.high), b.count] for b in self.histogram],
            "timeline": [[plain(p.t), plain(p.min), plain(p.p50), plain(p.max)] for p in self.timeline],
            "outliers": [[plain(o.t), plain(o.value)] for o in self.outliers],
            "duration": plain(self.duration),
        }

    @staticmethod
    def of(value: object) -> Record:
        """The record that a JSON object describes; RecordError names the first field that is wrong."""
        name = value.get("series", "?") if isinstance(value, Mapping) else "?"
        fields = Fields.of(f"record {shown(name)}", value)
        unit = fields.text("unit", "ticks")
        if unit != "ticks":
            raise fields.fail("unit", '"ticks"')
        clock = Fields.of(f'{fields.what}: field "clock"', fields.get("clock"))
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


def plain(value: float) -> float | int:
    """Whole numbers without a fraction, so that a record reads back byte for byte."""
    return int(value) if float(value).is_integer() else value


def _check_consistent(record: Record, what: str) -> None:
    """Numbers that contradict each other mean that something was mixed up: no part of them can be trusted."""
    values = [getattr(record, name) for name in PERCENTILES]
    if values != sorted(values):
        shown = ", ".join(f"{name} {plain(value)}" for name, value in zip(PERCENTILES, values))
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

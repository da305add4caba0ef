# SPDX-License-Identifier: Apache-2.0
"""Two runs beside each other, judged by bands that the history of equal runs calibrates.

A fixed percentage says nothing: the spread of repetitions differs by machine, series and percentile. Here each
figure's own spread is taken from at least `NEEDED` earlier passed runs under equal conditions: the median absolute
deviation of the logarithms, scaled to a standard deviation, which a few odd runs do not move. Two runs differ when the
ratio of their figures lies further from 1 than `WIDTH` such deviations of a difference of two, and by more than one
tick of the clock. Without that many runs there is no verdict, only the figures.
"""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hil.record import Record
from reports.history import Conditions, History, mode_text
from reports.run import Run

NEEDED = 10
WIDTH = 4.0
COMPARED = ("min", "p50", "p90", "p99", "p99_9", "max")
# Of 10,000 samples ten lie above p99.9: that and the extremes are shown, but single events decide them.
JUDGED = ("p50", "p90", "p99")
# For a standard deviation from a median absolute deviation of normally distributed values.
_MAD_SCALE = 1.4826


class Finding(enum.Enum):
    """What is said of a figure, or of a whole comparison."""

    SAME = "no difference"
    FASTER = "faster"
    SLOWER = "slower"
    MIXED = "faster and slower"
    UNCALIBRATED = "not calibrated"
    NOT_JUDGED = ""


@dataclass(frozen=True)
class Figure:
    """One statistic of both runs, in ns. `band`: ratios within it are no difference; None when not calibrated."""

    name: str
    before: float
    after: float
    band: tuple[float, float] | None
    finding: Finding

    @property
    def ratio(self) -> float:
        """After over before; 1 when both are 0."""
        if self.before == 0:
            return 1.0 if self.after == 0 else math.inf
        return self.after / self.before


@dataclass(frozen=True)
class SeriesComparison:
    """One series of both runs. `repetitions`: how many earlier runs calibrate the judgement."""

    name: str
    figures: tuple[Figure, ...]
    repetitions: int


@dataclass(frozen=True)
class Comparison:
    """Both runs. `differing`: conditions that are not equal; `missing`: series that only one of them has."""

    before: str
    after: str
    series: tuple[SeriesComparison, ...]
    differing: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def finding(self) -> Finding:
        """The whole in a word."""
        found = {figure.finding for series in self.series for figure in series.figures}
        if {Finding.FASTER, Finding.SLOWER} <= found:
            return Finding.MIXED
        for finding in (Finding.SLOWER, Finding.FASTER):
            if finding in found:
                return finding
        return Finding.UNCALIBRATED if Finding.UNCALIBRATED in found or not found else Finding.SAME

    @property
    def slower(self) -> bool:
        """Whether anything became slower than its band allows."""
        return self.finding in (Finding.SLOWER, Finding.MIXED)


def compare(before: Run, after: Run, history: History) -> Comparison:
    """Compares every series that both runs have, by the same probe and with the same waiting modes."""
    conditions = Conditions.of(before), Conditions.of(after)
    others = {_key(record): record for record in after.records}
    pairs = [(record, others[_key(record)]) for record in before.records if _key(record) in others]
    unpaired = {_key(record) for record in before.records} ^ set(others)
    return Comparison(
        before=before.name,
        after=after.name,
        series=tuple(_series(history, conditions, pair, (before.name, after.name)) for pair in pairs),
        differing=tuple(conditions[0].differences(conditions[1])),
        missing=tuple(sorted(" ".join(part for part in key[1:] if part) for key in unpaired)),
    )


def _key(record: Record) -> tuple[str, str, str]:
    return record.probe, record.series, mode_text(record)


def _series(
    history: History, conditions: tuple[Conditions, Conditions], pair: tuple[Record, Record], names: tuple[str, str]
) -> SeriesComparison:
    """The runs that are compared do not calibrate their own comparison: what is new must not widen the band."""
    past = [history.repetitions(c, record, without=names) for c, record in zip(conditions, pair)]
    tick = max(record.tick_ns for record in pair)
    figures = []
    for name in COMPARED:
        values = pair[0].statistic_ns(name), pair[1].statistic_ns(name)
        spreads = [spread(one.ns[name] for one in repetitions) for repetitions in past]
        figures.append(_figure(name, values, spreads, tick))
    return SeriesComparison(pair[0].series, tuple(figures), min(len(repetitions) for repetitions in past))


def spread(values: Iterable[float]) -> float | None:
    """Standard deviation of the values' logarithms, robustly; None for fewer than NEEDED."""
    logs = [math.log(max(value, 1e-3)) for value in values]
    if len(logs) < NEEDED:
        return None
    middle = statistics.median(logs)
    return _MAD_SCALE * statistics.median(abs(value - middle) for value in logs)


def _figure(name: str, values: tuple[float, float], spreads: Sequence[float | None], tick: float) -> Figure:
    before, after = values
    if name not in JUDGED:
        return Figure(name, before, after, None, Finding.NOT_JUDGED)
    known = [one for one in spreads if one is not None]
    if len(known) < len(spreads):
        return Figure(name, before, after, None, Finding.UNCALIBRATED)
    half = WIDTH * math.hypot(*known)
    band = math.exp(-half), math.exp(half)
    low, high = before * band[0] - tick, before * band[1] + tick
    finding = Finding.FASTER if after < low else Finding.SLOWER if after > high else Finding.SAME
    return Figure(name, before, after, band, finding)

# SPDX-License-Identifier: Apache-2.0
"""How much the figures of equal runs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hil.record import Record

FIGURES = ("min", "p50", "p90", "p99", "p99_9", "max", "mean")


@dataclass
class Spread:
    """One figure of one series over several runs, in ns."""

    series: str
    figure: str
    values: list[float] = field(default_factory=list)

    @property
    def relative(self) -> float:
        """(largest - smallest) / smallest; 0 when all are equal."""
        low, high = min(self.values), max(self.values)
        return (high - low) / low if low else 0.0

    def most_common(self) -> tuple[float, int]:
        """The value that came most often, and how often."""
        return Counter(self.values).most_common(1)[0]


def spreads(runs: Iterable[Sequence[Record]]) -> list[Spread]:
    """A Spread for every series and figure, over the records of several runs."""
    found: dict[tuple[str, str], Spread] = {}
    for records in runs:
        for record in records:
            for figure in FIGURES:
                key = (record.series, figure)
                value = float(getattr(record, figure)) * record.tick_ns
                found.setdefault(key, Spread(*key)).values.append(value)
    return list(found.values())

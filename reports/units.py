# SPDX-License-Identifier: Apache-2.0
"""Durations as people read them. Input is always nanoseconds or seconds; the unit is always printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

NBSP = "\u00a0"
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


@dataclass(frozen=True)
class Unit:
    """A unit of time for a whole table, so that its cells can be compared by eye."""

    name: str
    ns: float

    def text(self, ns: float) -> str:
        """The value alone: the unit stands in the table's head."""
        value = ns / self.ns
        whole = self.name == "ns" and (value >= 100 or float(value).is_integer())
        decimals = 0 if whole else 1 if value >= 100 else 2
        return f"{value:,.{decimals}f}".replace(",", "\u202f")


def common_unit(values_ns: Iterable[float]) -> Unit:
    """The unit in which the larger of these values keep three or more digits and the smaller ones stay readable."""
    largest = max(values_ns, default=0.0)
    for ns, name in _UNITS:
        if largest >= 10 * ns:
            return Unit(name, ns)
    return Unit("ns", 1.0)


def duration(ns: float) -> str:
    """Three significant digits with the fitting unit: 640 ns, 12.3 µs, 1.05 s."""
    for factor, name in _UNITS:
        value = ns / factor
        # 0.9995 would round to 1000 of the smaller unit.
        if value >= 0.9995 or name == "ns":
            decimals = 0 if value >= 99.95 or name == "ns" and value == int(value) else 1 if value >= 9.995 else 2
            return f"{value:.{decimals}f}{NBSP}{name}"
    raise AssertionError("the last unit takes every value")


def seconds(value: float) -> str:
    """A duration that is given in seconds."""
    return duration(value * 1e9)


def frequency(hz: float) -> str:
    for factor, name in ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz")):
        if hz >= factor:
            return f"{hz / factor:g}{NBSP}{name}"
    return f"{hz:g}{NBSP}Hz"


def percent_name(name: str) -> str:
    """p99_9 is p99.9 for people."""
    return name.replace("_", ".")


def utc(started: str) -> datetime | None:
    """An ISO 8601 time as UTC, None when it is something else."""
    try:
        return datetime.fromisoformat(started).astimezone(timezone.utc)
    except ValueError:
        return None

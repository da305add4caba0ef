# SPDX-License-Identifier: Apache-2.0
"""How often cells left for the hypervisor, and why: the counters in sysfs, for each cell and each of its CPUs.

Reading them takes the root cell milliseconds, and each file is a hypercall. A run reads them right before and right
after its probe, so that no figure is measured beside it. With `--statistics SECONDS` a loop beside the probe reads them
meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARK = "hil-stat"
CELLS = "/sys/devices/jailhouse/cells"
# With what the shell can do itself: each program that it started would cost as much as all the files.
_COUNTERS = (
    f'for c in {CELLS}/*; do [ -e "$c/name" ] && read -r name <"$c/name" || continue; '
    'for f in "$c"/statistics/vmexits_* "$c"/statistics/cpu*/vmexits_*; do '
    f'[ -e "$f" ] && read -r n <"$f" && echo "{MARK}:${{f#"$c"/statistics/}}:$n:$name"; done; done'
)
LINE = re.compile(rf"{MARK}:(?:cpu(\d+)/)?vmexits_(\w+):(\d+):([^\r\n]*)")
TURN = re.compile(rf"{MARK}-turn:(\d+\.\d+)")
READ = f"{{ {_COUNTERS}; read -r up rest </proc/uptime; echo {MARK}-turn:$up; }}"
"""One reading; its last line says when, on the root cell's clock."""


@dataclass(frozen=True)
class CellExits:
    """Exits by reason (`total` among them), and the same by CPU."""

    exits: Mapping[str, int]
    cpus: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Reading:
    """The counters of all cells by name, `uptime` seconds after the root cell's start."""

    uptime: float
    cells: Mapping[str, CellExits]


class Readings:
    """The readings in what READ prints, once or often, as its text comes; what is no line of it is left out."""

    def __init__(self) -> None:
        self._partial = ""
        self._exits: dict[str, dict[str, int]] = {}
        self._cpus: dict[str, dict[str, dict[str, int]]] = {}

    def feed(self, text: str) -> list[Reading]:
        """Takes the next text; the readings that are whole with it."""
        *lines, self._partial = (self._partial + text).split("\n")
        return [reading for line in lines if (reading := self._line(line.strip())) is not None]

    def _line(self, line: str) -> Reading | None:
        """The reading that this line ends, if it does."""
        if match := LINE.fullmatch(line):
            cpu, reason, count, name = match.groups()
            of_cell = self._exits.setdefault(name, {})
            of_cpu = of_cell if cpu is None else self._cpus.setdefault(name, {}).setdefault(cpu, {})
            of_cpu[reason] = int(count)
            return None
        if not (turn := TURN.fullmatch(line)):
            return None
        cells = {name: CellExits(exits, self._cpus.get(name, {})) for name, exits in self._exits.items()}
        self._exits, self._cpus = {}, {}
        return Reading(float(turn[1]), cells) if cells else None


def parse(text: str) -> list[Reading]:
    """The readings in the whole of what READ printed."""
    return Readings().feed(f"{text}\n")


def event_fields(when: str, reading: Reading) -> dict[str, object]:
    """The event's fields: `when` is before, during or after."""
    shown = {
        name: {"exits": dict(one.exits), "cpus": {cpu: dict(each) for cpu, each in one.cpus.items()}}
        for name, one in reading.cells.items()
    }
    return {"when": when, "uptime": reading.uptime, "cells": shown}


def beside(program: str, seconds: float) -> str:
    """The shell line that runs `program` and meanwhile prints the counters to its error output, every `seconds`."""
    return f"(while sleep {seconds:g}; do {READ}; done) >&2 & sampler=$!; {program}; code=$?; kill $sampler; exit $code"


def without(text: str) -> str:
    """The error output of what beside() runs without the counters."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith((f"{MARK}:", f"{MARK}-turn:")))


def difference(before: Mapping[str, CellExits], after: Mapping[str, CellExits]) -> dict[str, dict[str, int]]:
    """Exits by cell and reason from one reading to a later one; cells that are in both, reasons that grew."""
    grown = {
        name: {reason: count - before[name].exits.get(reason, 0) for reason, count in one.exits.items()}
        for name, one in after.items()
        if name in before
    }
    return {name: {reason: count for reason, count in by.items() if count > 0} for name, by in grown.items()}


def sentence(grown: Mapping[str, Mapping[str, int]]) -> str:
    """`ivshmem-latency 10,021 (virt_irq 10,002, mmio 19); …`; empty when nothing was counted."""
    parts = []
    for name, by in grown.items():
        reasons = sorted(((count, reason) for reason, count in by.items() if reason != "total"), reverse=True)
        why = ", ".join(f"{reason} {count:,}" for count, reason in reasons if count)
        parts.append(f"{name} {by.get('total', 0):,}" + (f" ({why})" if why else ""))
    return "; ".join(parts)

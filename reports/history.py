# SPDX-License-Identifier: Apache-2.0
"""The history of runs, in one SQLite file: what was measured, under which conditions, with which verdict.

Run directories are the source; the history is made from them and outlives them. Only figures of equal `Conditions`
belong on one axis.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TextIO

from hil.errors import InfrastructureError
from hil.fields import RecordError
from hil.record import STATISTICS, Record
from hil.verdict import Outcome
from hil.run_directory import RUNNING
from reports.run import Run, load

WALL, VIRTUAL = "wall", "virtual"
"""What the figures count: time, or instructions at one nanosecond each (`hil run --virtual-time`)."""
FORMAT = 3
Row = tuple[object, ...]
_SCHEMA = """
CREATE TABLE runs (
    name TEXT PRIMARY KEY, started TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, seconds REAL NOT NULL,
    version TEXT NOT NULL, target TEXT NOT NULL, bench TEXT NOT NULL, machine TEXT NOT NULL, host TEXT NOT NULL,
    hypervisor TEXT NOT NULL, kernel TEXT NOT NULL, contention TEXT NOT NULL, chaos TEXT NOT NULL, clock TEXT NOT NULL
);
CREATE TABLE series (
    run TEXT NOT NULL REFERENCES runs (name) ON DELETE CASCADE, probe TEXT NOT NULL, series TEXT NOT NULL,
    mode TEXT NOT NULL, tick REAL NOT NULL, count INTEGER NOT NULL, lost INTEGER NOT NULL,
    min REAL, p50 REAL, p90 REAL, p99 REAL, p99_9 REAL, max REAL, mean REAL, stddev REAL,
    PRIMARY KEY (run, probe, series)
);
CREATE INDEX runs_by_conditions ON runs (target, bench, machine, host, hypervisor, kernel, contention, started);
"""
# What the formats before this one lack: chaos since 2; the clock since 3, which QEMU's arguments tell.
_FROM_1 = "ALTER TABLE runs ADD COLUMN chaos TEXT NOT NULL DEFAULT '';"
_FROM_2 = (
    f"ALTER TABLE runs ADD COLUMN clock TEXT NOT NULL DEFAULT '{WALL}';"
    f"UPDATE runs SET clock = '{VIRTUAL}' WHERE machine LIKE '% -icount %';"
)


@dataclass(frozen=True)
class Conditions:
    """What must be equal before two figures may be compared as repetitions of each other."""

    target: str
    bench: str
    machine: str
    host: str
    hypervisor: str
    kernel: str
    contention: str
    chaos: str = ""
    clock: str = WALL

    @staticmethod
    def of(run: Run) -> Conditions:
        """Those that a run took place under."""
        m = run.manifest
        host = f"{m.host.get('name', '')} {m.host.get('cpu', '')} x{m.host.get('cpus', '')}"
        clock = VIRTUAL if m.virtual_time else WALL
        return Conditions(m.target, m.bench, m.machine, host, m.hypervisor, m.kernel, m.contention, m.chaos, clock)

    def differences(self, other: Conditions) -> list[str]:
        """Names of the conditions that differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


@dataclass(frozen=True)
class PastRun:
    """A run as the history knows it."""

    name: str
    started: str
    verdict: str
    reason: str
    seconds: float
    version: str
    conditions: Conditions


@dataclass(frozen=True)
class PastSeries:
    """One series of a past run; statistics in nanoseconds by name."""

    run: str
    started: str
    probe: str
    series: str
    mode: str
    count: int
    lost: int
    ns: dict[str, float]


def mode_text(record: Record) -> str:
    """How the sides waited, as one word for a key: `inmate=poll,root=interrupt`."""
    return ",".join(f"{side}={mode}" for side, mode in sorted(record.mode.items()))


class History:
    """The history in `path`, made when it is not there. InfrastructureError when the file is no history of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=20)
            self._db.execute("PRAGMA foreign_keys = ON")
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise InfrastructureError(f"cannot use the history in {path}: {error}; move the file away") from error

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif version in (1, 2):
            missing = _FROM_2 if version == 2 else _FROM_1 + _FROM_2
            self._db.executescript(f"BEGIN; {missing} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif version != FORMAT:
            raise InfrastructureError(f"{self._path} is a history of format {version}; this hil knows {FORMAT}")

    def close(self) -> None:
        """No more questions."""
        self._db.close()

    def add(self, run: Run) -> None:
        """Takes a run in, or anew when it is known already."""
        manifest, verdict = run.manifest, run.verdict
        row: Row = (run.name, manifest.started, verdict.outcome.value, verdict.reason, run.seconds)
        row += (manifest.versions.get("hil", ""), *astuple(Conditions.of(run)))
        with self._db:
            self._db.execute("DELETE FROM runs WHERE name = ?", (run.name,))
            self._db.execute(f"INSERT INTO runs VALUES ({_marks(row)})", _storable(row))
            for record in run.records:
                values: Row = (run.name, record.probe, record.series, mode_text(record), record.tick_ns, record.count)
                values += (record.lost, *(record.statistic_ns(name) for name in STATISTICS))
                self._db.execute(f"INSERT OR REPLACE INTO series VALUES ({_marks(values)})", _storable(values))

    def scan(self, runs_dir: Path) -> list[str]:
        """Takes in every finished run below `runs_dir` that is not known yet; returns what could not be read."""
        known = {name for (name,) in self._db.execute("SELECT name FROM runs")}
        problems = []
        for path in sorted(runs_dir.glob("*/events.jsonl")):
            if path.parent.name in known or (path.parent / RUNNING).exists():
                continue
            try:
                self.add(load(path.parent))
            except (OSError, RecordError) as error:
                problems.append(f"{path.parent.name}: {error}")
        return problems

    def runs(self, target: str = "", bench: str = "", limit: int = 30) -> list[PastRun]:
        """The latest runs, the latest last."""
        rows = self._db.execute(
            "SELECT name, started, verdict, reason, seconds, version, target, bench, machine, host, hypervisor, kernel,"
            " contention, chaos, clock FROM runs WHERE (?1 = '' OR target = ?1) AND (?2 = '' OR bench = ?2)"
            " ORDER BY started DESC, name DESC LIMIT ?3",
            (target, bench, limit),
        ).fetchall()
        return [_past_run(*row) for row in reversed(rows)]

    def series_of(self, run: str) -> list[PastSeries]:
        """What a run measured, in the order in which it did."""
        return list(self._series("WHERE runs.name = ? ORDER BY series.rowid", (run,)))

    def repetitions(
        self, conditions: Conditions, record: Record, without: Iterable[str] = (), limit: int = 40
    ) -> list[PastSeries]:
        """The latest passed runs' figures for the same series, waiting modes and conditions, the latest last."""
        left_out = tuple(without)
        where = " AND ".join(f"runs.{f.name} = ?" for f in fields(Conditions))
        where += " AND probe = ? AND series = ? AND mode = ? AND verdict = ?"
        where += f" AND runs.name NOT IN ({_marks(left_out)})"
        values = (*astuple(conditions), record.probe, record.series, mode_text(record), Outcome.PASS.value, *left_out)
        found = self._series(f"WHERE {where} ORDER BY started DESC, runs.name DESC LIMIT ?", (*values, limit))
        return list(found)[::-1]

    def _series(self, tail: str, values: Row) -> Iterator[PastSeries]:
        names = ", ".join(f"series.{name}" for name in STATISTICS)
        query = f"SELECT runs.name, started, probe, series, mode, count, lost, {names} FROM series"
        for row in self._db.execute(f"{query} JOIN runs ON runs.name = series.run {tail}", values):
            yield _past_series(*row)


def _storable(values: Row) -> Row:
    """SQLite takes UTF-8; a path or a word that was typed may hold bytes that are none."""
    return tuple(value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for value in values)


def _marks(values: Row) -> str:
    return ", ".join("?" * len(values))


def _past_run(  # one parameter a column of the query, in its order
    name: str, started: str, verdict: str, reason: str, seconds: float, version: str, *conditions: str
) -> PastRun:
    return PastRun(name, started, verdict, reason, seconds, version, Conditions(*conditions))


def _past_series(
    run: str, started: str, probe: str, series: str, mode: str, count: int, lost: int, *ns: float
) -> PastSeries:
    return PastSeries(run, started, probe, series, mode, count, lost, dict(zip(STATISTICS, ns)))


@contextmanager
def opened(path: Path) -> Iterator[History]:
    """The history for a with statement."""
    with closing(History(path)) as history:
        yield history


def write_csv(history: History, runs: Iterable[PastRun], out: TextIO) -> None:
    """A line a run, a column a figure, in ns: what Apache Otava's CSV importer and any spreadsheet read. A column is of
    one clock: figures in virtual time have columns of their own.
    """
    table = [(run, _figures(history, run)) for run in runs]
    columns = list(dict.fromkeys(column for _, figures in table for column in figures))
    conditions = [f.name for f in fields(Conditions)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", "run", "version", "verdict", *conditions, *columns])
    for run, figures in table:
        values = [f"{figures[column]:.3f}" if column in figures else "" for column in columns]
        writer.writerow([run.started, run.name, run.version, run.verdict, *astuple(run.conditions), *values])


def _figures(history: History, run: PastRun) -> dict[str, float]:
    measured = history.series_of(run.name)
    clock = "virtual-time." if run.conditions.clock == VIRTUAL else ""
    return {f"{clock}{one.series}.{name}": ns for one in measured for name, ns in one.ns.items()}

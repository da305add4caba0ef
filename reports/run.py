# SPDX-License-Identifier: Apache-2.0
"""A run directory, read: the one source of every report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.records import ConsoleTime, EventLog, Manifest, Record, VerdictEvent
from hil.records import parse_console_times, read_events, read_manifest


@dataclass(frozen=True)
class Run:
    """What a run left: its manifest, its events, its console's bytes and when they came."""

    name: str
    manifest: Manifest
    log: EventLog
    console: bytes
    console_times: tuple[ConsoleTime, ...]

    @property
    def records(self) -> list[Record]:
        return self.log.records()

    @property
    def verdict(self) -> VerdictEvent:
        return self.log.verdict()

    @property
    def seconds(self) -> float:
        """From the run's start to its last event."""
        return max((event.t for event in self.log.events), default=0.0)


def load(run_dir: Path) -> Run:
    """Read a run directory. OSError when a file is not there, RecordError when the manifest is wrong; a console that
    was never opened counts as silent."""
    times = _bytes(run_dir / "console.times").decode("ascii", "replace").split("\n")
    return Run(
        name=run_dir.resolve().name,
        manifest=read_manifest(run_dir / "manifest.json"),
        log=read_events(run_dir / "events.jsonl"),
        console=_bytes(run_dir / "console.raw"),
        console_times=tuple(parse_console_times(times)),
    )


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""

# SPDX-License-Identifier: Apache-2.0
"""A run directory, read: the one source of every report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil.console_times import ConsoleTime, parse_console_times
from hil.events import VerdictEvent
from hil.manifest import Manifest, read_manifest
from hil.record import Record
from hil.run_log import RunLog, read_events


@dataclass(frozen=True)
class Run:
    """What a run left: its manifest, its events, its console's bytes and when they came."""

    name: str
    manifest: Manifest
    log: RunLog
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
    """Read a run directory. A file that the run did not come to write counts as empty, and the log's damage says so.
    RecordError: the manifest is wrong; OSError: a file is there and cannot be read."""
    log = read_events(run_dir / "events.jsonl")
    return Run(
        name=run_dir.resolve().name,
        manifest=_manifest(run_dir / "manifest.json", log),
        log=log,
        console=_bytes(run_dir / "console.raw"),
        console_times=tuple(parse_console_times(_bytes(run_dir / "console.times"))),
    )


def _manifest(path: Path, log: RunLog) -> Manifest:
    """The manifest, or one that knows nothing where the run ended before it was written. Figures of an unknown machine
    are not passed off as hardware's."""
    if path.exists():
        return read_manifest(path)
    log.damage.append(f"{path.name} was never written")
    what = "unknown"
    return Manifest(what, what, "", (), machine=what, hypervisor=what, kernel=what, contention=what, emulated=True)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""

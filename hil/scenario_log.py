# SPDX-License-Identifier: Apache-2.0
"""Logs of scenarios that share a boot: each run directory gets its own events and its own piece of the console."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hil.console_times import console_times, pieces
from hil.event_log import EventLog
from hil.run_directory import writing


class SharedLog(EventLog):
    """An event log that goes on in another file with each scenario. Traps wait until they are explained."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.booted = self.start
        """Zero of the console's times."""

    def go_on_in(self, path: Path) -> None:
        """The next scenario's file; its times begin now."""
        self.close()
        self.path = path
        self.start = time.monotonic()
        with writing(path):
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def trap(self, trap: dict[str, Any]) -> None:
        """The live decoder's trap is not written: the scenario writes the same one with its explanation."""

    def explained(self, trap: dict[str, Any]) -> None:
        """A trap with device, cause and place."""
        self.emit("trap", trap=trap)


class ConsolePiece:
    """The part of a boot's console log that belongs to one scenario. Offsets in bytes, times in nanoseconds."""

    def __init__(self, source: Path, start_ns: int) -> None:
        self._source = source
        self._start_ns = start_ns
        self._begin = self._size()
        self._end: int | None = None

    def end(self) -> None:
        """The piece ends here."""
        self._end = self._size()

    def write(self, directory: Path) -> None:
        """Leaves console.raw and console.times in `directory`, which may be the source's own."""
        raw = self._source / "console.raw"
        if not raw.exists() or self._end is None:
            return
        with raw.open("rb") as file:
            file.seek(self._begin)
            data = file.read(self._end - self._begin)
        times = console_times(self._times())
        with writing(directory):
            for name, content in (("console.raw", data), ("console.times", times)):
                scratch = directory / f".{name}"
                scratch.write_bytes(content)
                scratch.rename(directory / name)

    def _size(self) -> int:
        raw = self._source / "console.raw"
        return raw.stat().st_size if raw.exists() else 0

    def _times(self) -> Iterator[tuple[int, int]]:
        path = self._source / "console.times"
        if not path.exists() or self._end is None:
            return
        for offset, ns in pieces(path.read_bytes()):
            if self._begin <= offset < self._end:
                yield offset - self._begin, max(0, ns - self._start_ns)

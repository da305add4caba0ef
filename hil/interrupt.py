# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and its kin: the first asks for an orderly stop, the second ends everything at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from hil.verdict import EXIT_INTERRUPTED

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP (the terminal closed)"}


_restores: list[Callable[[], None]] = []


@contextmanager
def restored(restore: Callable[[], None]) -> Iterator[None]:
    """Does `restore` at the end, also when everything is ended at once."""
    _restores.append(restore)
    try:
        yield
    finally:
        _restores.remove(restore)
        restore()


class Interrupts:
    """A context in which the signals raise KeyboardInterrupt once. `last_resort` switches the machine off."""

    def __init__(self) -> None:
        self.what = ""
        self.last_resort: Callable[[], None] = lambda: None
        self._before: dict[signal.Signals, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.what:
            try:
                for restore in _restores:
                    restore()
                self.last_resort()
            finally:
                sys.stderr.write("hil: stopped at once; the run directory is marked as unfinished\n")
                os._exit(EXIT_INTERRUPTED)
        self.what = SIGNALS[signal.Signals(number)]
        raise KeyboardInterrupt(self.what)

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup: it is to go on when the terminal closes
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an interruption a further signal ends the process, with the exit code that it has anyway: whatever is
        still to be told is not worth more than that."""
        for number, handler in self._before.items():
            signal.signal(number, _end if self.what else handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)

# SPDX-License-Identifier: Apache-2.0
"""pexpect on our console: for boot loaders, logins and shells, where somebody expects a person to read and type."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pexpect
from pexpect.spawnbase import SpawnBase

from hil.limits import Deadline
from hil.watch import Watch

SLICE = 0.1
ECHOED = 100
"""Characters of an asking, its echo, its answer and a prompt."""


class Dialogue(SpawnBase):  # type: ignore[misc]  # pexpect has no types
    """expect() over the watch: what ends a wait (trap, panic, dead machine) comes out of it as its exception."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(timeout=SLICE, maxread=65536, searchwindowsize=4096, encoding="utf-8")
        self._watch = watch

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:
        """pexpect's way to read: TIMEOUT when nothing came."""
        text = self._watch.text(SLICE if timeout is None else max(0.0, timeout))
        if not text:
            raise pexpect.TIMEOUT("nothing came")
        return text

    def send(self, text: str) -> None:
        """Types `text` as it is."""
        self._watch.console.write(text.encode())

    def isalive(self) -> bool:
        """Asked by pexpect only."""
        return True

    def seconds_for(self, count: int) -> float:
        """What the line itself needs for so many characters."""
        return self._watch.console.seconds_for(count)

    def wait_for(self, pattern: str, deadline: Deadline) -> str:
        """What came before `pattern` (a regular expression). TimeLimit when it does not come."""
        self.came(pattern, deadline, float("inf"))
        return str(self.before)

    def came(
        self, pattern: str, deadline: Deadline, seconds: float, enough: Callable[[], bool] = lambda: False
    ) -> bool:
        """Whether `pattern` came within `seconds` and before `enough`. TimeLimit when the deadline passes before."""
        end = deadline.elapsed + seconds
        while deadline.elapsed < end and not enough():
            try:
                self.expect(pattern, timeout=min(SLICE, max(0.01, end - deadline.elapsed)))
                return True
            except pexpect.TIMEOUT:
                deadline.check(self._watch.hint)
        return False

    def group(self, number: int = 1) -> str:
        """A group of the last pattern."""
        return str(self.match.group(number))

    def await_turn(self, hint: str, deadline: Deadline) -> None:
        """Waits until typing can do no harm: until the console shows `hint`, or is silent for long.

        A UART whose FIFO fills up before its driver is open may never interrupt again (QEMU's PL011 is one). `hint`
        is no proof of anything and need not come.
        """
        self.came(hint, deadline, float("inf"), lambda: self._watch.console.silent_for() > deadline.of("turn"))

    def synchronise(self, deadline: Deadline) -> None:
        """Makes sure that a shell reads what is typed: asks it for a random marker until it comes.

        The marker is typed in two quoted halves, so that its echo cannot match. Each asking has a marker of its own:
        when the last one comes, nothing of the earlier askings is still under way, and none that the line damaged is
        waited for.
        """
        again = deadline.of("marker")
        while True:
            left, right = secrets.token_hex(4), secrets.token_hex(4)
            self.send(f"\necho '{left}''{right}'\n")
            if self.came(left + right, deadline, again + self.seconds_for(ECHOED)):
                return
            self.clear_line()
            again *= 1.5

    def clear_line(self) -> None:
        """Makes a shell forget what a damaged line left: a stopped output (Ctrl-Q), an open quote (Ctrl-C)."""
        self.send("\x11\x03\n")

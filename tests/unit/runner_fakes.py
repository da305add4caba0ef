# SPDX-License-Identifier: Apache-2.0
"""Fakes for the session's logic: a scripted console, a scripted root cell, a machine without a process."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hil.errors import ConsoleLost
from hil.limits import USUAL_LIMITS, WAITS, Deadline, Limits
from hil.shell import Answer, Hear


def limits(seconds: float = 5.0) -> Limits:
    """The same limit for every wait, but for those that usually have a smaller one; never stretched."""
    return Limits({wait: min(seconds, USUAL_LIMITS.get(wait, seconds)) for wait in WAITS}, forced=1.0)


class FakePower:
    """A machine that dies when told to."""

    def __init__(self) -> None:
        self.is_on = False
        self.death: str | None = None
        self.calls: list[str] = []

    def on(self) -> None:
        self.is_on = True
        self.calls.append("on")

    def off(self) -> None:
        self.is_on = False
        self.calls.append("off")

    def died(self) -> str | None:
        return self.death

    def condition(self) -> str:
        return "the fake machine runs"


class FakeConsole:
    """Hands out what it is given, in order. `on_write` may put more into `incoming`."""

    def __init__(self, *incoming: bytes) -> None:
        self.incoming = list(incoming)
        self.written = b""
        self.traps: list[dict[str, Any]] = []
        self.lost = False
        self.texts: dict[str, int] = {}
        self.closed = False
        self.pending = False
        self.on_write: Callable[[bytes], None] = lambda data: None

    def write(self, data: bytes) -> None:
        self.written += data
        self.on_write(data)

    def seconds_for(self, count: int) -> float:
        return 0.0

    def read(self, seconds: float) -> bytes:
        if self.incoming:
            return self.incoming.pop(0)
        if self.lost:
            raise ConsoleLost("the console's other end closed")
        return b""

    def take_traps(self, final: bool = False) -> list[dict[str, Any]]:
        taken, self.traps = self.traps, []
        return taken

    def report_pending(self) -> bool:
        return self.pending

    def text_of(self, writer: str) -> int:
        return self.texts.get(writer, 0)

    def silent_for(self) -> float:
        return 0.5

    def close(self) -> None:
        self.closed = True


class EchoShell:
    """On a FakeConsole: a terminal that echoes what is typed, and a shell that answers `echo` of quoted words."""

    def __init__(self, console: FakeConsole, deaf_for: int = 0, noise: bytes = b"") -> None:
        self._console = console
        console.incoming.append(b"\r\n# ")
        self._deaf_for = deaf_for
        self._noise = noise
        console.on_write = self.typed

    def typed(self, data: bytes) -> None:
        if self._deaf_for > 0:
            self._deaf_for -= 1
            return
        self._console.incoming.append(data.replace(b"\n", b"\r\n"))
        for line in data.decode().split("\n"):
            if match := re.fullmatch(r"echo ('[^']*')+", line):
                words = "".join(re.findall(r"'([^']*)'", match.group(0)))
                self._console.incoming.append(self._noise + words.encode() + b"\r\n# ")


class FakeShell:
    """A RootShell with prepared answers by regular expression; the first that matches wins. Remembers the commands."""

    kind = "fake"

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.answers: list[tuple[str, Callable[[], Answer]]] = []

    def answer(self, pattern: str, code: int = 0, out: bytes = b"", err: bytes = b"") -> None:
        """From now on, commands that match get this answer."""
        self.answers.insert(0, (pattern, lambda: Answer(code, out, err)))

    def act(self, pattern: str, action: Callable[[], Answer]) -> None:
        """From now on, commands that match do this."""
        self.answers.insert(0, (pattern, action))

    def run(self, command: str, deadline: Deadline, hear: Hear | None = None) -> Answer:
        self.commands.append(command)
        for pattern, action in self.answers:
            if re.search(pattern, command):
                return action()
        return Answer(0, b"", b"")

# SPDX-License-Identifier: Apache-2.0
"""A person at a machine's console: keys go in, harmless text comes out, traps are told as they come."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import textwrap
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from hil import progress
from hil.errors import HilError, WrongUse
from hil.harmless_text import harmless_line
from hil.interrupt import restored
from hil.progress import sentence, silence
from hil.verdict import Outcome
from hil.watch import Watch

Explain = Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]
"""Decoded traps as `hil explain` tells them, as many as there were."""
LEAVE = b"\x1d"
"""Ctrl-]"""
WHERE = "\x1b[6n"
"""A shell asks the terminal with each prompt where the cursor is; the answer would be typed into the machine."""


@contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Keys come one by one and without echo, Ctrl-C as a key; as before afterwards. Nothing where it is no terminal."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)

    def restore() -> None:
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    with restored(restore):
        tty.setraw(descriptor)
        yield


def check_keys() -> None:
    """WrongUse when there is no standard input at all, where a person's keys would come from."""
    if sys.stdin is None or sys.stdin.closed:
        raise WrongUse(
            "standard input is closed, and a console's keys come from there; with </dev/null it ends at once"
        )


def shown(text: str) -> str:
    """Console text for a raw terminal: lines end with CR LF, backspace works, other controls become visible."""
    parts = text.replace("\r\n", "\n").replace("\r", "").split("\n")
    return "\r\n".join("\b".join(harmless_line(piece) for piece in part.split("\b")) for part in parts)


class Seat:
    """Connects a terminal to a watch until the person leaves or the machine ends."""

    def __init__(self, watch: Watch, explain: Explain = list, keys: int | None = None) -> None:
        self._watch = watch
        self._explain = explain
        self._keys = sys.stdin.fileno() if keys is None else keys
        self._held = ""
        """The begin of what may become WHERE."""
        self._line_open = False
        """Whether the last thing said ended in the middle of a line."""

    def sit(self) -> None:
        """Returns when Ctrl-] is pressed, the input ends, or the machine or its console are gone."""
        self._watch.traps_end_waits = False
        told = 0
        with raw_terminal(self._keys), self._ended_line():
            while self._forward_keys():
                try:
                    self._say(shown(self._without_where(self._watch.text(0.05))))
                except HilError as end:
                    self._say(f"\r\nhil: {harmless_line(str(end))}\r\n")
                    return
                if told < len(self._watch.traps):
                    for trap in self._explain(self._watch.traps)[told:]:
                        self._tell(trap)
                    told = len(self._watch.traps)

    def _forward_keys(self) -> bool:
        ready, _, _ = select.select([self._keys], [], [], 0)
        if not ready:
            return True
        try:
            keys = os.read(self._keys, 1024)
        except OSError:  # the terminal was closed
            return False
        before, leave, _ = keys.partition(LEAVE)
        if before:
            self._watch.console.write(before.replace(b"\r", b"\n"))
        return bool(keys) and not leave

    def _tell(self, trap: dict[str, Any]) -> None:
        """What `hil explain` says of it first: who, what, why, and what to add to which config."""
        lines = [sentence({"event": "trap", "trap": trap}), trap.get("summary") or ""]
        width = max(20, shutil.get_terminal_size().columns - len("hil: "))
        lines = [piece for line in lines for piece in textwrap.wrap(harmless_line(line), width)]
        lines += (trap.get("fix_yaml") or "").splitlines()
        self._say("\r\n" + "".join(f"hil: {harmless_line(line)}\r\n" for line in lines if line))

    def _say(self, text: str) -> None:
        """Whoever watched may have gone: nobody is told any more, Ctrl-] and the input's end still leave."""
        if not text:
            return
        self._line_open = not text.endswith("\n")
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            silence(sys.stdout)

    def _without_where(self, text: str) -> str:
        """The text without WHERE, which may come in pieces: a begin of it is held back until more has come."""
        text = (self._held + text).replace(WHERE, "")
        begun = next((n for n in range(len(WHERE) - 1, 0, -1) if text.endswith(WHERE[:n])), 0)
        self._held = text[len(text) - begun :]
        return text[: len(text) - begun]

    @contextmanager
    def _ended_line(self) -> Iterator[None]:
        """What is said afterwards begins a line of its own."""
        try:
            yield
        finally:
            if self._line_open:
                self._say("\r\n")


def sit_at(target: str, hypervisor: str, wait: float) -> int:
    """`hil console`: boots the target, seats the person, switches the machine off. The exit code."""
    from hil.options import RunOptions
    from hil.prepare import prepare_console
    from hil.runner import Runner

    options = RunOptions(target, "console", hypervisor, wait=wait, keep=True, command=("hil", *sys.argv[1:]))
    check_keys()
    show = progress.choose(False)
    with show:
        finished = Runner(prepare_console(options), [show.event], None, show.aside).run()
    if finished.verdict.outcome is not Outcome.PASS:
        progress.tell(sys.stderr, harmless_line(f"{finished.verdict.outcome.value}: {finished.verdict.reason}"))
    progress.tell(sys.stdout, f"log: {finished.path / 'console.raw'}")
    return finished.verdict.exit_code

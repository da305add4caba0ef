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
from contextlib import contextmanager
from typing import Any

from hil.errors import HilError
from hil.harmless_text import harmless_line
from hil.interrupt import restored
from hil.progress import sentence
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
    with restored(lambda: termios.tcsetattr(descriptor, termios.TCSADRAIN, before)):
        tty.setraw(descriptor)
        yield


def shown(text: str) -> str:
    """Console text for a raw terminal: lines end with CR LF, backspace works, other controls become visible."""
    parts = text.replace(WHERE, "").replace("\r\n", "\n").replace("\r", "").split("\n")
    return "\r\n".join("\b".join(harmless_line(piece) for piece in part.split("\b")) for part in parts)


class Seat:
    """Connects a terminal to a watch until the person leaves or the machine ends."""

    def __init__(self, watch: Watch, explain: Explain = list, keys: int | None = None) -> None:
        self._watch = watch
        self._explain = explain
        self._keys = sys.stdin.fileno() if keys is None else keys

    def sit(self) -> None:
        """Returns when Ctrl-] is pressed, the input ends, or the machine or its console are gone."""
        self._watch.traps_end_waits = False
        told = 0
        with raw_terminal(self._keys):
            while self._forward_keys():
                try:
                    self._say(shown(self._watch.text(0.05)))
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
        keys = os.read(self._keys, 1024)
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
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()


def sit_at(target: str, hypervisor: str, wait: float) -> int:
    """`hil console`: boots the target, seats the person, switches the machine off. The exit code."""
    from hil.options import RunOptions
    from hil.prepare import prepare_console
    from hil.runner import Runner

    options = RunOptions(target, "console", hypervisor, wait=wait, keep=True, command=("hil", *sys.argv[1:]))
    finished = Runner(prepare_console(options), [], None).run()
    print(f"log: {finished.path / 'console.raw'}")
    return finished.verdict.exit_code

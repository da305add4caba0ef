# SPDX-License-Identifier: Apache-2.0
"""Commands in the root cell, by whatever way: the agent or a plain shell give the same answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hil.limits import Deadline


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and its two outputs, whole."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs for a person, errors last."""
        return (self.out + self.err).decode("utf-8", "replace")


Hear = Callable[[int, bytes], None]
"""Gets the next piece of a command's output: 1 and what it printed, or 2 and what it said on its error output."""


class RootShell(Protocol):
    """Runs commands in the root cell."""

    kind: str
    """`agent` or `plain shell`, for the log."""

    def run(self, command: str, deadline: Deadline, hear: Hear | None = None) -> Answer:
        """Runs a shell command to its end. Raises TimeLimit, AgentLost, or what the watch raises. `hear` gets its
        outputs while it runs, where the shell carries them so early, and at its end where it does not.
        """

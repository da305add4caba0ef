# SPDX-License-Identifier: Apache-2.0
"""Commands in the root cell, by whatever way: the agent or a plain shell give the same answers."""

from __future__ import annotations

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


class RootShell(Protocol):
    """Runs commands in the root cell."""

    kind: str
    """`agent` or `plain shell`, for the log."""

    def run(self, command: str, deadline: Deadline) -> Answer:
        """Runs a shell command to its end. Raises TimeLimit, AgentLost, or what the watch raises."""

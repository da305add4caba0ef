# SPDX-License-Identifier: Apache-2.0
"""The four outcomes of a run, their exit codes, and the sentence that goes with them."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Outcome(enum.Enum):
    """How a run ended. Infrastructure error: nothing was measured, and the code under test is not to blame."""

    PASS = "pass"
    FAIL = "fail"
    TRAP = "trap"
    INFRASTRUCTURE_ERROR = "infrastructure-error"

    @property
    def exit_code(self) -> int:
        return {"pass": 0, "fail": 1, "trap": 3, "infrastructure-error": 4}[self.value]


EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
"""Nobody reads on, as a shell says it: 128 and SIGPIPE."""


@dataclass(frozen=True)
class Verdict:
    """An outcome with its one-line reason. `exit_code` is that of the process."""

    outcome: Outcome
    reason: str
    exit_code: int

    @classmethod
    def of(cls, outcome: Outcome, reason: str) -> Verdict:
        """The verdict with the outcome's usual exit code."""
        return cls(outcome, one_line(reason), outcome.exit_code)

    @classmethod
    def interrupted(cls, reason: str) -> Verdict:
        """The user stopped the run: nothing is known about the system under test."""
        return cls(Outcome.INFRASTRUCTURE_ERROR, one_line(reason), EXIT_INTERRUPTED)

    def event(self) -> dict[str, object]:
        """The fields of the `verdict` event."""
        return {"verdict": self.outcome.value, "exit_code": self.exit_code, "reason": self.reason}


def one_line(text: str) -> str:
    """`text` with line ends and other control characters made into blanks."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

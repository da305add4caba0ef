# SPDX-License-Identifier: Apache-2.0
"""Errors of the runner. Each says what was tried, what was found and what to do; each knows the verdict it leads to."""

from __future__ import annotations

from hil.verdict import Outcome


class HilError(Exception):
    """Base of all errors that end a run. `outcome` is the verdict they lead to."""

    outcome = Outcome.INFRASTRUCTURE_ERROR
    hint = ""
    """What machine and console had to say, where the text tells it already (Watch.hint)."""


class WrongUse(HilError):
    """What the user typed cannot be used (exit 2, no verdict)."""


class InfrastructureError(HilError):
    """The bench did not do its part: machine, console, agent, disk. Says nothing about the system under test."""


class TimeLimit(InfrastructureError):
    """A named wait passed its limit. `stretched`: how the load of the host made the limit what it was, in words."""

    def __init__(self, wait: str, limit: float, waiting_for: str, hint: str = "", stretched: str = "") -> None:
        self.wait = wait
        self.limit = limit
        text = f"'{wait}' passed its limit of {limit:.{0 if limit >= 1 else 1}f} s while waiting for {waiting_for}"
        text += f" ({stretched})" if stretched else ""
        super().__init__(f"{text}; {hint}" if hint else text)
        self.hint = hint


class MachineDied(InfrastructureError):
    """The machine's process ended by itself."""


class ConsoleLost(InfrastructureError):
    """The console's other end closed."""


class AgentLost(InfrastructureError):
    """The agent (or the shell) no longer answers though the machine runs."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(f"{text}; {hint}" if hint else text)
        self.hint = hint


class AgentMissing(AgentLost):
    """The shell says that there is no agent where it was looked for, or none that runs there."""


class Failed(HilError):
    """The system under test gave the wrong answer."""

    outcome = Outcome.FAIL


class CommandFailed(Failed):
    """A command of the root cell ended with another code than 0."""

    def __init__(self, command: str, code: int, output: str, cause: str) -> None:
        self.command = command
        self.code = code
        self.output = output
        self.cause = cause
        said = output.strip().splitlines()[-1] if output.strip() else "no output"
        super().__init__(f"`{command}` ended with code {code}: {said}" + (f"; likely cause: {cause}" if cause else ""))


class Flooded(Failed):
    """Somebody in the machine writes to the console without a pause, and it is not the root cell's kernel."""


class KernelPanic(Failed):
    """The root cell's kernel panicked."""


class Trapped(HilError):
    """The hypervisor reported a trap: a cell failed, a CPU is parked or the hypervisor stopped."""

    outcome = Outcome.TRAP


class Interrupted(HilError):
    """The user asked to stop."""

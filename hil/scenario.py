# SPDX-License-Identifier: Apache-2.0
"""A scenario: a cell failure as data (docs/scenarios.md). This module holds its shape; scenario_file.py reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STARTS = ("enabled", "disabled", "no-module")
LEAVES = ("healthy", "broken", "either")
LIFECYCLE = ("create", "load", "start", "shutdown", "destroy")
VERBS = (*LIFECYCLE, "enable", "disable", "shell", "wait", "root")
NEVER = "never"
"""As an exit code: the command does not come back."""
SYSTEM = "system"
"""Value of `enable`: the scenario's own system config. `default`: the target's."""


@dataclass(frozen=True)
class Changes:
    """What is done to a config. Paths are `key`, `key.key`, or `list.NAME.key` with an entry's name, device or link."""

    set: Mapping[str, Any] = field(default_factory=dict)
    remove: Sequence[str] = ()
    add: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    truncate: int | None = None
    """Bytes of the file that are left."""
    patch: Mapping[int, bytes] = field(default_factory=dict)
    """Bytes of the file by offset."""


@dataclass(frozen=True)
class Damage:
    """What is done to the hypervisor's image: each instruction that equals `instruction` under `mask` becomes 0."""

    instruction: int
    mask: int


@dataclass(frozen=True)
class ScenarioCell:
    """A cell: the target's config it is made from, its changes, and what is loaded into it."""

    key: str
    base: str
    name: str
    changes: Changes
    inmate: str = ""
    command_line: str = ""
    address: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a step may end: its exit code (a number, or NEVER) and patterns that its output must hold."""

    exit: int | str = 0
    says: Sequence[str] = ()


@dataclass(frozen=True)
class Step:
    """One step. `outcomes` are alternatives. `options` are the verb's own."""

    verb: str
    what: Any
    outcomes: Sequence[Outcome] = (Outcome(),)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def may_hang(self) -> bool:
        """Whether one of the outcomes is that the command does not come back."""
        return any(outcome.exit == NEVER for outcome in self.outcomes)

    def __str__(self) -> str:
        what = self.what
        if isinstance(what, Mapping):
            what = " ".join(f"{key} {value}" for key, value in what.items())
        return f"{self.verb} {what}" if what is not True else self.verb


@dataclass(frozen=True)
class Expectation:
    """What must be seen when the steps are done."""

    traps: Sequence[Mapping[str, Any]] = ()
    more_traps: bool = False
    """Whether further traps may follow: a root cell that lost its memory fails on all CPUs, sooner or later."""
    console: Sequence[str] = ()
    never_on_console: Sequence[str] = ()
    states: Mapping[str, Any] = field(default_factory=dict)
    """By cell name: state, list of states, or `absent`."""
    failed_cpus: Mapping[str, Any] = field(default_factory=dict)
    """By cell name: list of CPUs."""


@dataclass(frozen=True)
class Scenario:
    """One scenario. `expect` holds alternatives: one of them must hold as a whole."""

    name: str
    title: str
    known: str
    targets: Sequence[str]
    carries: Sequence[str]
    """The failures of the field that it carries over, such as T4."""
    start: str
    damage: Damage | None
    system: Changes | None
    cells: Mapping[str, ScenarioCell]
    steps: Sequence[Step]
    expect: Sequence[Expectation]
    after: Sequence[Step]
    leaves: str

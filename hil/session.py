# SPDX-License-Identifier: Apache-2.0
"""A session: where the machine stands, and the timed steps that take it further.

States are explicit and their order is fixed. Each transition is one function; the first step that fails stops the walk.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from hil.errors import HilError
from hil.event_log import EventLog
from hil.limits import Deadline, Limits


class State(enum.Enum):
    """How far the machine is. The value is the word in events.jsonl."""

    OFF = "off"
    BOOT = "boot"
    LOGIN = "login"
    SHELL = "shell"
    AGENT = "agent"
    ENABLED = "enabled"
    CREATED = "created"
    LOADED = "loaded"
    RUNNING = "running"
    COLLECTED = "collected"
    DESTROYED = "destroyed"
    DISABLED = "disabled"


ORDER = tuple(State)


class Session:
    """The state machine. `transitions` holds, for each state, what takes the machine there from the state before.

    `goal` is the state that a transition under way works towards: steps and limits are booked to it.
    """

    def __init__(
        self,
        events: EventLog,
        limits: Limits,
        transitions: Mapping[State, Callable[[Session], None]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = State.OFF
        self.goal = State.OFF
        self.events = events
        self.limits = limits
        self._awaited: tuple[str, str] | None = None
        self._failed: tuple[str, str] | None = None
        self._transitions = transitions
        self._now = now

    def transition(self, wanted: State) -> None:
        """Walks forward to `wanted`, one state after the other. Stays in the last state reached when a step fails."""
        start, end = ORDER.index(self.state), ORDER.index(wanted)
        if end < start:
            raise ValueError(f"a session in state {self.state.value} cannot go back to {wanted.value}")
        for state in ORDER[start + 1 : end + 1]:
            self.head_for(state)
            self._transitions[state](self)
            self.skip(state)

    def skip(self, state: State) -> None:
        """Books the machine as being in `state` without doing anything: somebody else brought it there."""
        self.state = self.goal = state
        self._awaited = self._failed = None

    def head_for(self, goal: State) -> None:
        """Books steps and limits to `goal` from now on. What failed on the way to another one is over."""
        self.goal = goal
        self._failed = None

    def repeat(self, state: State, wanted: State) -> None:
        """Goes on from an earlier `state` which the machine is in again, such as AGENT after DISABLED."""
        self.skip(state)
        self.transition(wanted)

    @contextmanager
    def step(self, name: str, wait: str, waiting_for: str = "") -> Iterator[Deadline]:
        """One timed step under the limit named `wait`; its end, good or bad, is an event."""
        what = waiting_for or name
        self._awaited = wait, what
        deadline = Deadline(self.limits, wait, what, self._now)
        self.tell(deadline, what)
        try:
            yield deadline
        except HilError as error:
            self._failed = wait, what
            self.events.step(self.goal.value, name, deadline.elapsed, "failed", str(error))
            raise
        except BaseException as error:
            self._failed = wait, what
            broken = f"broken off: {error or type(error).__name__}"
            self.events.step(self.goal.value, name, deadline.elapsed, "failed", broken)
            raise
        self._awaited = None
        self.events.step(self.goal.value, name, deadline.elapsed, "ok")

    def tell(self, deadline: Deadline, waiting_for: str) -> None:
        """An event that says what is awaited, under which limit."""
        self.events.state(self.goal.value, deadline.wait, deadline.limit, deadline.scale, waiting_for)

    def where(self) -> str:
        """The state reached and what is awaited, by the name of the wait, for a verdict's reason. After a failure it is
        what failed, whatever was asked since.
        """
        wait, what = self._failed or self._awaited or ("", "")
        awaited = f" (wait '{wait}': {what})" if wait else ""
        if self.goal != self.state:
            return f"on the way from '{self.state.value}' to '{self.goal.value}'{awaited}"
        return f"in state '{self.state.value}'{awaited}"

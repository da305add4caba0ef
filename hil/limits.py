# SPDX-License-Identifier: Apache-2.0
"""Named time limits, stretched by how loaded the host is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.errors import TimeLimit, WrongUse

MOST = 8.0
FRESH = 3.0
"""Seconds for which a measured load holds: measuring it takes as long as many a step."""


def forced_scale() -> float | None:
    """HIL_TIMEOUT_SCALE as a factor; None when unset. WrongUse when it is no positive number."""
    typed = os.environ.get("HIL_TIMEOUT_SCALE")
    if not typed:
        return None
    try:
        scale = float(typed)
    except ValueError:
        scale = 0.0
    if not 0 < scale < float("inf"):
        raise WrongUse(f"HIL_TIMEOUT_SCALE is '{typed}'; it must be a positive number such as 2.5")
    return scale


def measured_scale(spin_seconds: float = 0.01) -> float:
    """How much longer work takes now than on an idle host, from 1 to 8.

    Two views, the larger counts: wall time over CPU time of a short spin (what this process gets right now), and the
    runnable tasks of the last minute for each CPU.
    """
    wall, cpu = time.monotonic(), time.thread_time()
    while time.thread_time() - cpu < spin_seconds:
        pass
    stolen = (time.monotonic() - wall) / spin_seconds
    queue = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(MOST, max(1.0, stolen, queue))


@dataclass
class Limits:
    """Limits in seconds by the name of the wait, as the target gives them for an idle host."""

    seconds: Mapping[str, float]
    measure: Callable[[], float] = measured_scale
    forced: float | None = field(default_factory=forced_scale)
    now: Callable[[], float] = time.monotonic
    _last: tuple[float, float] | None = None
    """When the load was measured last, and what came out."""

    def scale(self, again: bool = False) -> float:
        """The factor that holds now: the forced one or the measured one, measured `again` or some seconds ago."""
        if self.forced is not None:
            return self.forced
        if again or self._last is None or self.now() - self._last[0] >= FRESH:
            factor = self.measure()
            self._last = (self.now(), factor)
        return self._last[1]

    def idle(self, wait: str) -> float:
        """The limit of `wait` on an idle host. KeyError when the target does not name it."""
        return self.seconds[wait]


class Deadline:
    """The end of one named wait. When it seems to have come, the load is measured again: load that rose extends it."""

    def __init__(self, limits: Limits, wait: str, waiting_for: str, now: Callable[[], float] = time.monotonic) -> None:
        self.wait = wait
        self.waiting_for = waiting_for
        self._limits = limits
        self._now = now
        self._start = now()
        self._scale = limits.scale()

    @property
    def limit(self) -> float:
        """Seconds from the start, as stretched so far."""
        return self._limits.idle(self.wait) * self._scale

    @property
    def scale(self) -> float:
        """The factor by which the limit is stretched."""
        return self._scale

    @property
    def elapsed(self) -> float:
        """Seconds since the start, on the monotonic clock: a jump of the wall clock does not matter."""
        return self._now() - self._start

    @property
    def left(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.limit - self.elapsed

    def check(self, hint: Callable[[], str] = lambda: "") -> None:
        """TimeLimit when the limit has passed, also after measuring the load again."""
        if self.left > 0:
            return
        self._scale = max(self._scale, self._limits.scale(again=True))
        if self.left <= 0:
            raise TimeLimit(self.wait, self.limit, self.waiting_for, hint())

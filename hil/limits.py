# SPDX-License-Identifier: Apache-2.0
"""Named time limits, stretched by how loaded the host is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.errors import TimeLimit, WrongUse

WAITS = {
    "image": "kernel and initramfs of the root cell: from the cache, or downloaded and built",
    "power": "the machine's process to its console's socket",
    "connect": "the console's line, at first and after each loss",
    "boot": "power on to the kernel's first line",
    "login": "a login on the console",
    "shell": "the first line to a shell that answers",
    "agent": "the start of the agent to its hello",
    "turn": "silence of a console that shows no shell's prompt, before it is typed to all the same",
    "marker": "a shell's echo of a random marker, before it is asked for another one",
    "asking": "the answer of a shell without an agent, before it is asked again; sending an agent learns a better one",
    "send": "the agent on its way to a system that has none",
    "ssh-connect": "ssh to a system that has no agent, to its being let in",
    "unpack": "a system without an agent that unpacks one or takes its checksum, beyond `asking`",
    "enable": "the module and `jailhouse enable`",
    "driver": "uio and uio_ivshmem, in and out",
    "create": "`jailhouse cell create`",
    "load": "`jailhouse cell load`",
    "start": "`jailhouse cell start`",
    "handshake": "an inmate to be ready for the probe in the root cell",
    "exchange": "an inmate's answer to the probe in the root cell",
    "run": "the probe, from its start to its last record",
    "collect": "the records, brought here and checked",
    "destroy": "`jailhouse cell destroy`",
    "disable": "`jailhouse disable` and the module's removal",
    "command": "any other command",
    "answer": "a living root cell's answer to a question of a scenario",
    "hang": "a scenario's command that may hang, before it is taken to do so",
    "silence": "the agent's next frame, while it owes one: then it is lost",
    "hello": "the agent's hello, before its name is typed again",
    "write": "the console's taking what is typed",
    "control": "the machine's answer when it is asked from outside",
    "break-off": "the end of a command whose answer nobody wants any more; a quarter of it is for telling the agent",
    "version": "the word of a program of the host on its version, for the manifest",
    "died": "the machine's process to be seen to end, once its console has ended",
    "report": "silence that ends a trap's report of which something is missing",
    "report-whole": "silence after which no second report follows a whole one; never stretched",
    "dump": "the end of a dump or report that goes on and on",
    "settle": "all that a scenario expects, once its steps are done",
    "after-trap": "a scenario's command that may hang, once there was a trap",
    "talk": "silence of a console that others write to, before a scenario's verdict",
    "off": "the end of the machine's process, once it was killed",
}
"""Every wait of a session, by its name: what is awaited."""

USUAL_LIMITS: Mapping[str, float] = {
    "image": 1800.0,
    "handshake": 20.0,
    "exchange": 1.0,
    "turn": 5.0,
    "marker": 1.0,
    "asking": 2.0,
    "send": 600.0,
    "ssh-connect": 10.0,
    "unpack": 1.0,
    "answer": 2.0,
    "hang": 4.0,
    "silence": 15.0,
    "hello": 2.0,
    "write": 10.0,
    "control": 2.0,
    "break-off": 2.0,
    "version": 10.0,
    "died": 1.0,
    "report": 0.3,
    "report-whole": 0.05,
    "dump": 5.0,
    "settle": 5.0,
    "after-trap": 0.5,
    "talk": 1.0,
    "off": 10.0,
}
"""Seconds on an idle host for the waits that hardly depend on the target: target.yaml may name them and need not."""

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
        """The limit of `wait` on an idle host. KeyError when it has none."""
        return self.seconds[wait] if wait in self.seconds else USUAL_LIMITS[wait]

    def stretched(self, wait: str) -> float:
        """The limit of `wait` as the load stretches it now, for a wait that others do for us."""
        return self.idle(wait) * self.scale()

    def told(self, wait: str, scale: float) -> str:
        """What `scale` made of the limit of `wait`, in words; empty where it left it alone."""
        if scale == 1.0:
            return ""
        by = "by HIL_TIMEOUT_SCALE" if self.forced is not None else "for the load that was measured"
        return f"{self.idle(wait):g} s on an idle host, times {scale:.2g} {by}"


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

    def of(self, wait: str) -> float:
        """Seconds of another wait that is part of this one, stretched alike."""
        return self._limits.idle(wait) * self._scale

    def passed(self, hint: str = "") -> TimeLimit:
        """The error of this wait's limit having passed."""
        told = self._limits.told(self.wait, self._scale)
        return TimeLimit(self.wait, self.limit, self.waiting_for, hint, told)

    def check(self, hint: Callable[[], str] = lambda: "") -> None:
        """TimeLimit when the limit has passed, also after measuring the load again."""
        if self.left > 0:
            return
        self._scale = max(self._scale, self._limits.scale(again=True))
        if self.left <= 0:
            raise self.passed(hint())

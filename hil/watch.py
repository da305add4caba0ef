# SPDX-License-Identifier: Apache-2.0
"""The one place where the runner waits. Whatever it waits for, a trap, a panic, a dead machine end the wait at once."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from hil.background import TICK, Background
from hil.console import Console
from hil.errors import ConsoleLost, Flooded, KernelPanic, MachineDied, Trapped
from hil.flood import FloodGauge
from hil.limits import Deadline, Limits
from hil.verdict import one_line

T = TypeVar("T")

PANIC = re.compile(r"Kernel panic - not syncing: ?([^\r\n]*)[\r\n]")
TAIL = 640


class Machine(Protocol):
    """What the watch asks about the machine."""

    def died(self) -> str | None:
        """How the machine ended by itself, in words; None while it runs."""

    def condition(self) -> str:
        """What the machine says of itself when asked from outside, in words."""


class Watch:
    """Reads the console while something is awaited.

    `traps` collects every trap seen. While `traps_end_waits` holds, a trap raises Trapped; a scenario that provokes one
    turns that off and looks at `traps` itself. With `flood`, a flood of text that nobody owns raises Flooded.
    """

    def __init__(
        self,
        console: Console,
        machine: Machine,
        on_trap: Callable[[dict[str, Any]], None],
        limits: Limits | None = None,
    ) -> None:
        self.console = console
        self.machine = machine
        self.traps: list[dict[str, Any]] = []
        self.traps_end_waits = True
        self.listeners: list[Callable[[str], None]] = []
        self._limits = limits or Limits({})
        self._on_trap = on_trap
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""
        self._worker: Background[Any] | None = None
        self.flood: FloodGauge | None = None

    def text(self, seconds: float) -> str:
        """Console text that comes within `seconds`; may be empty. Raises what ends every wait."""
        try:
            text = self._read(seconds)
        except ConsoleLost as lost:
            self._collect(final=True)
            self._judge()
            raise self._machine_died() or lost from None
        self._collect()
        self._judge()
        self._gauge()
        if not text and (died := self._machine_died(at_once=True)) is not None:
            raise died
        return text

    def work(self, job: Callable[[], T], deadline: Deadline, meanwhile: Callable[[], None] = lambda: None) -> T:
        """Runs a blocking `job` in a thread of its own and reads the console meanwhile, calling `meanwhile` each time
        and once more at the end."""
        work = Background(job, "agent")
        self._worker = work
        while not work.over():
            self.text(0.0)
            meanwhile()
            deadline.check(self.hint)
        self.text(0.0)
        meanwhile()
        return work.result()

    @property
    def working(self) -> bool:
        """Whether the last work is still under way."""
        return self._worker is not None and self._worker.alive

    def end(self, patience: float | None = None) -> None:
        """Waits, as long as the limit `break-off` unless told otherwise, for work that was broken off and is about to
        end. Where it does not, its thread ends with the process: no verdict depends on it."""
        if self._worker is not None:
            self._worker.join(self._limits.stretched("break-off") if patience is None else patience)

    def pause(self, seconds: float) -> None:
        """Waits and watches."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.text(min(left, 0.1))

    def drain(self) -> None:
        """Reads on until the console is quiet, so that a dump is whole. Raises nothing. A machine that is slower than
        its limits say costs a report its last lines; the verdict is the same."""
        scale = self._limits.scale()
        now = quiet = time.monotonic()
        end = now + self._limits.idle("dump") * scale
        while now < end and (left := quiet + self._patience(scale) - now) > 0:
            try:
                text = self._read(min(left, TICK))
            except ConsoleLost:
                break
            now = time.monotonic()
            quiet = now if text else quiet
        self._collect(final=True)

    def _patience(self, scale: float) -> float:
        """Seconds of silence that end a drain. CPUs that are parked together report back to back: where a report is
        whole, nothing is owed that a busy host could delay."""
        whole = bool(self.traps) and all(trap.get("outcome") in ("parked", "stopped") for trap in self.traps)
        if whole and not self.console.report_pending():
            return self._limits.idle("report-whole")
        return self._limits.idle("report") * scale

    def hint(self) -> str:
        """What is known when a wait passes its limit: the machine's word, the console's silence, its last lines."""
        said = [self.machine.condition(), f"the console has been silent for {self.console.silent_for():.1f} s"]
        return "; ".join(s for s in [*said, self.last_words()] if s)

    def last_words(self) -> str:
        """The console's last lines, for a reason; says so where there is none."""
        lines = [f'"{line}"' for line in self.last_lines()]
        return f"the console's last lines: {' | '.join(lines)}" if lines else "the console has shown no line"

    def last_lines(self, count: int = 3) -> list[str]:
        """The last lines on the console that hold anything, without control characters."""
        # Of a damaged agent frame only its being there is worth telling.
        tail = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", re.sub("\ufffd[\ufffd\u0080-\u07ff]*", "\ufffd", self._tail))
        lines = [one_line(line) for line in tail.splitlines()]
        return [line[-160:] for line in lines if line][-count:]

    def _read(self, seconds: float) -> str:
        text = self._decoder.decode(self.console.read(seconds))
        if text:
            self._tail = (self._tail + text)[-max(TAIL, len(text)) :]
            for listener in self.listeners:
                listener(text)
        return text

    def _collect(self, final: bool = False) -> None:
        for trap in self.console.take_traps(final):
            self.traps.append(trap)
            self._on_trap(trap)

    def _judge(self) -> None:
        if self.traps and self.traps_end_waits:
            self.drain()
            raise Trapped(describe(self.traps))
        if panic := PANIC.search(self._tail):
            self.drain()
            raise KernelPanic(f"the root cell's kernel panicked: {one_line(panic.group(1))}")
        self._tail = self._tail[-TAIL:]

    def _gauge(self) -> None:
        if self.flood is None or (rate := self.flood.feed(self.console.text_of("unattributed"))) is None:
            return
        self.flood = None
        lines = " | ".join(f'"{line}"' for line in self.last_lines(2))
        raise Flooded(f"the console is flooded with {rate / 1000:.0f} kB/s of text that is not the kernel's: {lines}")

    def _machine_died(self, at_once: bool = False) -> MachineDied | None:
        """How the machine died, once its console has ended. Its end takes a moment to be seen (the limit `died`); a
        longer one costs the reason a word, the verdict is the same."""
        end = time.monotonic() + (0.0 if at_once else self._limits.stretched("died"))
        while (how := self.machine.died()) is None and time.monotonic() < end:
            time.sleep(TICK)
        return MachineDied(how) if how is not None else None


def describe(traps: list[dict[str, Any]]) -> str:
    """One sentence about the first trap, and how many followed."""
    first = traps[0]
    access, address = first.get("access"), first.get("address")
    what = f"{first.get('kind') or 'unknown'} {access}" if access else f"{first.get('kind') or 'unknown'} trap"
    where = f" at {address}" if address else ""
    cell, cpu, outcome = first.get("cell"), first.get("cpu"), first.get("outcome") or "unknown"
    who = f' of cell "{cell}"' if cell else ""
    cpus = f", CPU {cpu} {outcome}" if cpu is not None else f", outcome {outcome}"
    more = f" (and {len(traps) - 1} more)" if len(traps) > 1 else ""
    return one_line(f"{what}{where}{who}{cpus}{more}")

# SPDX-License-Identifier: Apache-2.0
"""A run from its options to its verdict: everything is put together here, and taken apart again whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import reports

from hil import hypervisor as hypervisors
from hil import leftovers, manifest, places, target
from hil.console import Console
from hil.errors import HilError, InfrastructureError, WrongUse
from hil.event_log import EventLog, Observer
from hil.interactive import Seat
from hil.interrupt import Interrupts
from hil.lifecycle import Lifecycle, Plan, complete
from hil.limits import Limits
from hil.lock import TargetLock
from hil.native import open_console, start_agent
from hil.options import RunOptions
from hil.qemu_power import QemuPower
from hil.root_image import ImageInputs, RootImage, root_image
from hil.root_packages import ImageSpec
from hil.run_directory import RunDirectory
from hil.session import Session, State
from hil.target import Target
from hil.uio_walk import virtual_pci
from hil.verdict import Outcome, Verdict


Live = Callable[[str, str], None]
"""Gets each line of the console and its writer."""


@dataclass(frozen=True)
class Prepared:
    """Everything that was typed, looked up and found good."""

    options: RunOptions
    target: Target
    hypervisor: hypervisors.Hypervisor
    plan: Plan
    cells: Path
    goal: State = State.DISABLED


@dataclass(frozen=True)
class Finished:
    """A run that has its verdict. `path` is the run directory."""

    verdict: Verdict
    path: Path


def prepare(options: RunOptions) -> Prepared:
    """Looks up what the user named. WrongUse when something is not there."""
    machine = target.load(options.target)
    probe = machine.probe(options.probe)
    build = places.build()
    cells = build / "cells" / machine.name
    needed = {cells / machine.root_config: "system config"}
    needed |= {cells / cell.config: "cell config" for cell in probe.cells}
    needed |= {build / "arm64" / "inmates" / cell.inmate: "inmate" for cell in probe.cells}
    for path, what in needed.items():
        if not path.is_file():
            raise InfrastructureError(
                f"{what} {path} is not built; bin/hil builds it, build/logs says why it could not"
            )
    values = options.placeholders()
    plan = Plan(
        root_config=machine.root_config,
        root_cell=machine.root_cell,
        cells=[complete(cell, values) for cell in probe.cells],
        program=probe.program.format(**values),
        series=probe.series,
        uio=virtual_pci(cells / machine.root_config) if probe.uio else None,
        shell=options.shell,
        shell_hint=machine.shell_hint,
    )
    return Prepared(options, machine, hypervisors.find(options.hypervisor), plan, cells)


def prepare_console(options: RunOptions) -> Prepared:
    """A run that boots and stops there, for a person to go on."""
    machine = target.load(options.target)
    plan = Plan(machine.root_config, machine.root_cell, shell_hint=machine.shell_hint)
    cells = places.build() / "cells" / machine.name
    return Prepared(options, machine, hypervisors.find(options.hypervisor), plan, cells, State.BOOT)


def build_image(prepared: Prepared) -> RootImage:
    """The kernel and initramfs of this run."""
    build = places.build() / "arm64"
    hypervisor = prepared.hypervisor
    files = {"hil/jailhouse.ko": hypervisor.module, "hil/jailhouse": hypervisor.tool}
    files |= {f"lib/firmware/{path.name}": path for path in hypervisor.firmware}
    inputs = ImageInputs(programs=build / "root", cells=prepared.cells, inmates=build / "inmates", files=files)
    return root_image(ImageSpec.load(prepared.target.directory / "image.yaml"), inputs)


class Runner:
    """Carries out one prepared run. Observers see every event; `live` sees the console's text."""

    def __init__(self, prepared: Prepared, observers: Sequence[Observer], live: Live | None) -> None:
        self._prepared = prepared
        self._observers = observers
        self._live = live
        self._interrupts = Interrupts()

    def run(self) -> Finished:
        """Runs to a verdict. Raises only when not even a run directory can be had."""
        options = self._prepared.options
        found = leftovers.clean()
        lock = TargetLock(self._prepared.target.name, f"hil run {options.probe}")
        with self._interrupts:
            lock.acquire(options.wait, lambda holder: self._tell_waiting(holder))
            try:
                directory = RunDirectory(self._prepared.target.name, options.probe)
                return self._in_directory(directory, found)
            finally:
                lock.release()

    def _in_directory(self, directory: RunDirectory, found: list[str]) -> Finished:
        events = EventLog(directory.path / "events.jsonl")
        for observer in self._observers:
            events.observe(observer)
        for sentence in found:
            events.note(f"an earlier run was killed: {sentence}")
        try:
            verdict = self._judge(directory, events)
            events.verdict(verdict)
            events.close()
            reports.write_all(directory.path)
        finally:
            directory.finish()
        return Finished(verdict, directory.path)

    def _judge(self, directory: RunDirectory, events: EventLog) -> Verdict:
        """Whatever happens in the machine or to us becomes a verdict; the machine is off afterwards."""
        machine = _Machine(self._prepared, directory, events, self._live)
        self._interrupts.last_resort = machine.off
        try:
            machine.session.transition(self._before_keeping())
            machine.keep()
            machine.session.transition(self._prepared.goal)
            return Verdict.of(Outcome.PASS, machine.summary())
        except WrongUse:
            raise
        except HilError as error:
            machine.note_last_words()
            return Verdict.of(error.outcome, f"{machine.session.where()}: {error}")
        except KeyboardInterrupt:
            return Verdict.interrupted(f"{machine.session.where()}: stopped by {self._interrupts.what}")
        except OSError as error:
            return Verdict.of(Outcome.INFRASTRUCTURE_ERROR, f"{machine.session.where()}: {error}")
        finally:
            machine.off()

    def _before_keeping(self) -> State:
        """Where a machine that is kept is handed to the user: measured, with its cells still there."""
        goal = self._prepared.goal
        return State.COLLECTED if self._prepared.options.keep and goal is State.DISABLED else goal

    def _tell_waiting(self, holder: str) -> None:
        for observer in self._observers:
            observer({"t": 0.0, "event": "note", "text": f"waiting for the target: it is in use by {holder}"})


class _Machine:
    """The machine of a run with its session; off() takes it apart from any state."""

    def __init__(self, prepared: Prepared, directory: RunDirectory, events: EventLog, live: Live | None) -> None:
        self._prepared = prepared
        self._directory = directory
        self._events = events
        self._live = live
        self._power: QemuPower | None = None
        self._console: Console | None = None
        self._lifecycle: Lifecycle | None = None
        limits = Limits(prepared.target.limits)
        self.session = Session(events, limits, {State.BOOT: self._boot, **self._later()})

    def off(self) -> None:
        """Machine off, console log closed."""
        if self._power is not None:
            self._power.off()
        if self._console is not None:
            console, self._console = self._console, None
            console.close()
            if self._lifecycle is not None and self._lifecycle.watching:
                self._lifecycle.watch.end()

    def keep(self) -> None:
        """With --keep: the user sits at the console until leaving it."""
        if self._prepared.options.keep and self._lifecycle is not None:
            print("hil: the machine is kept; this is its console, Ctrl-] ends it", file=sys.stderr)
            Seat(self._lifecycle.watch).sit()

    def summary(self) -> str:
        """One line for a verdict `pass`."""
        assert self._lifecycle is not None
        records = self._lifecycle.records
        if not records:
            return f"reached state '{self.session.state.value}'"
        return f"{len(records)} series measured: {', '.join(record.series for record in records)}"

    def note_last_words(self) -> None:
        """The console's last line and the machine's condition, for whoever reads the report."""
        if self._lifecycle is not None and self._lifecycle.watching:
            self._events.note(self._lifecycle.watch.hint())

    def _boot(self, session: Session) -> None:
        """Makes image, manifest and machine, then hands over to the lifecycle."""
        with session.step("root image", "boot", "kernel and initramfs from the cache, or built"):
            image = build_image(self._prepared)
        options, machine = self._prepared.options, self._prepared.target
        inputs = {cell.config: self._prepared.cells / cell.config for cell in self._prepared.plan.cells}
        inputs[machine.root_config] = self._prepared.cells / machine.root_config
        inputs |= {cell.inmate: places.build() / "arm64/inmates" / cell.inmate for cell in self._prepared.plan.cells}
        facts = manifest.make(
            options, machine, self._prepared.hypervisor, image.manifest, inputs, self._directory.started
        )
        self._directory.write_manifest(facts.as_dict())
        self._power = QemuPower(
            machine.machine,
            image.kernel,
            image.initramfs,
            self._directory.scratch,
            self._directory.path / "qemu.log",
            self._directory.hold,
        )
        self._lifecycle = Lifecycle(self._prepared.plan, self._power, self._open_console, start_agent, self._events)
        self._lifecycle.boot(session)

    def _open_console(self) -> Console:
        assert self._power is not None
        console = open_console(
            f"unix:{self._power.console_socket}",
            self._directory.path / "console.raw",
            self._directory.path / "console.times",
            self._events.start,
            self._events.note,
            self._live,
        )
        self._console = console
        return console

    def _later(self) -> dict[State, Callable[[Session], None]]:
        """Transitions after boot, looked up when they are due: the lifecycle exists by then."""

        def make(state: State) -> Callable[[Session], None]:
            def go(session: Session) -> None:
                assert self._lifecycle is not None
                self._lifecycle.transitions()[state](session)

            return go

        return {state: make(state) for state in State if state not in (State.OFF, State.BOOT)}

# SPDX-License-Identifier: Apache-2.0
"""The machine of one run: image, power, console, lifecycle and session, put together and taken apart."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hil import places, provenance
from hil.background import within
from hil.chaos import floods
from hil.console import Console
from hil.console_sender import ConsoleSender
from hil.errors import TimeLimit
from hil.event_log import EventLog
from hil.interactive import Seat
from hil.lifecycle import Lifecycle
from hil.limits import Limits
from hil.manifest import Manifest
from hil.native import open_console, start_agent
from hil.prepare import Prepared
from hil.qemu_power import QemuPower
from hil.root_image import ImageInputs, RootImage, root_image
from hil.root_packages import ImageSpec
from hil.run_directory import RunDirectory
from hil.run_explainer import RunExplainer
from hil.session import Session, State
from hil.ssh_sender import SshSender

SEAT = (
    "hil: the machine is kept; this is its console, Ctrl-] ends it. Escape sequences are shown, not obeyed: "
    "what draws on the whole screen (vi, top) is of no use here"
)
Live = Callable[[str, str], None]
"""Gets each line of the console and its writer."""


def build_image(prepared: Prepared) -> RootImage:
    """The kernel and initramfs of this run."""
    build = places.build() / "arm64"
    hypervisor = prepared.hypervisor
    files = {"hil/jailhouse.ko": hypervisor.module, "hil/jailhouse": hypervisor.tool}
    files |= {f"lib/firmware/{path.name}": path for path in hypervisor.firmware}
    inputs = ImageInputs(programs=build / "root", cells=prepared.cells, inmates=build / "inmates", files=files)
    return root_image(ImageSpec.load(prepared.target.directory / "image.yaml"), inputs)


class Machine:
    """The machine of a run with its session; off() takes it apart from any state."""

    def __init__(self, prepared: Prepared, directory: RunDirectory, events: EventLog, live: Live | None) -> None:
        self._prepared = prepared
        self._directory = directory
        self._events = events
        self._live = live
        self._explainer = RunExplainer(prepared)
        self._power: QemuPower | None = None
        self._console: Console | None = None
        self._lifecycle: Lifecycle | None = None
        self._facts: Manifest | None = None
        limits = Limits(prepared.target.limits)
        self.session = Session(events, limits, {State.BOOT: self._boot, **self._later()})

    @property
    def lifecycle(self) -> Lifecycle:
        """There from state `boot` on."""
        assert self._lifecycle is not None, "no lifecycle before state 'boot'"
        return self._lifecycle

    @property
    def line_floods(self) -> bool:
        """Whether floods on the console may be --chaos's own."""
        return floods(self._prepared.options.chaos)

    def off(self) -> None:
        """Machine off, console log closed."""
        if self._power is not None:
            try:
                self._power.off()
            except TimeLimit as error:  # the run has its verdict, or gets it: this is for whoever meets the process
                self._events.note(f"the machine is not off: {error}")
        if self._console is not None:
            console, self._console = self._console, None
            console.close()
            if self._lifecycle is not None and self._lifecycle.watching:
                self._lifecycle.watch.end()

    def keep(self) -> None:
        """The user sits at the console until leaving it."""
        shared = self.session.state is not State.BOOT  # nobody else uses the console before
        if shared:
            self.lifecycle.lend_console(self.session)
        print(SEAT, file=sys.stderr)
        Seat(self.lifecycle.watch, self._explained).sit()
        if shared:
            self.lifecycle.take_console(self.session)

    def summary(self) -> str:
        """One line for a verdict `pass`."""
        records = self.lifecycle.records
        if not records:
            return f"reached state '{self.session.state.value}'"
        return f"{len(records)} series measured: {', '.join(record.series for record in records)}"

    def log_traps(self) -> None:
        """Puts the traps that were seen into the log, explained as far as that is possible."""
        traps = self._lifecycle.watch.traps if self._lifecycle is not None and self._lifecycle.watching else []
        for trap in self._explained(traps):
            self._events.trap(trap)

    def _explained(self, traps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return self._explainer.explain(traps)
        except (ValueError, OSError) as error:
            self._events.note(f"the trap is not explained: {error}")
            return list(traps)

    def reason(self, why: str, told: bool = False) -> str:
        """A verdict's reason: the state, what was awaited, why it ended, and the console's last lines unless `why` has
        `told` them."""
        words = ""
        if not told and self._lifecycle is not None and self._lifecycle.watching:
            words = self._lifecycle.watch.last_words()
        return f"{self.session.where()}: {why}" + (f"; {words}" if words else "")

    def _boot(self, session: Session) -> None:
        """Makes image and machine, switches it on and waits for its first text."""
        with session.step("root image", "image", "kernel and initramfs from the cache, or built") as deadline:
            image = within(deadline, lambda: build_image(self._prepared), "root image")
        self._power = QemuPower(
            self._prepared.target.machine_of(self._prepared.options.virtual_time),
            image.kernel,
            image.initramfs,
            self._directory.scratch,
            self._directory.path / "qemu.log",
            self._directory.hold,
            self.session.limits,
        )
        address = self._prepared.target.ssh
        self._lifecycle = Lifecycle(
            self._prepared.plan,
            self._power,
            self._open_console,
            start_agent,
            self._events,
            senders=[*([SshSender(address)] if address is not None else []), ConsoleSender()],
        )
        self._lifecycle.listeners.append(self._explainer.hear)
        self._lifecycle.power_on(session)
        self._write_manifest(image)  # while the machine boots: versions are asked of programs
        self._lifecycle.first_text(session)

    def _write_manifest(self, image: RootImage) -> None:
        options, machine, plan = self._prepared.options, self._prepared.target, self._prepared.plan
        configs = [machine.root_config, *(cell.config for cell in plan.cells)]
        inputs = {name: self._prepared.cells / name for name in configs}
        inputs |= {cell.inmate: places.build() / "arm64/inmates" / cell.inmate for cell in plan.cells}
        hypervisor, started = self._prepared.hypervisor, self._directory.started
        facts = provenance.gather(options, machine, hypervisor, image.manifest, inputs, started, self.session.limits)
        self._directory.write_manifest(facts.as_dict())
        self._facts = facts

    def _show_shell(self) -> None:
        """The manifest says which way commands take, once that is known."""
        if self._facts is not None:
            self._facts = replace(self._facts, shell=self.lifecycle.shell_shown)
            self._directory.write_manifest(self._facts.as_dict())

    def _open_console(self) -> Console:
        assert self._power is not None
        chaos, limits = self._prepared.options.chaos, self.session.limits
        if chaos:
            self._events.note(f"chaos on the console's line: {chaos}")
        console = open_console(
            f"unix:{self._power.console_socket}",
            self._directory.path / "console.raw",
            self._directory.path / "console.times",
            self._events.start,
            self._events.note,
            self._live,
            chaos,
            limits,
            self._prepared.target.line,
        )
        self._console = console
        return console

    def _later(self) -> dict[State, Callable[[Session], None]]:
        """Transitions after boot, looked up when they are due: the lifecycle exists by then."""

        def make(state: State) -> Callable[[Session], None]:
            def go(session: Session) -> None:
                self.lifecycle.transitions()[state](session)
                if state is State.AGENT:
                    self._show_shell()

            return go

        return {state: make(state) for state in State if state not in (State.OFF, State.BOOT)}

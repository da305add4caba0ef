# SPDX-License-Identifier: Apache-2.0
"""The transitions of a session: what takes a machine from off to disabled, and what each state leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hil.causes import likely_cause
from hil.cell_statistics import READ, Readings, beside, parse, without
from hil.console import Console
from hil.errors import CommandFailed, Failed, HilError, InfrastructureError, Trapped
from hil.event_log import EventLog
from hil.flood import RATE, FloodGauge
from hil.plain_shell import PlainShell
from hil.power import Power
from hil.record import Record
from hil.record_line import RECORD_MARK, scan_records
from hil.root_cell import RootCell
from hil.limits import Deadline
from hil.session import Session, State
from hil.shell import Answer
from hil.sent_agent import Sender, StartAgent
from hil.shell_choice import ShellChoice
from hil.target import CellUse
from hil.uio_walk import VirtualPci
from hil.verdict import one_line
from hil.watch import Watch, describe


RECORD_LINE_AT_MOST = 1 << 20
"""Characters: a console that never ends a line must not fill the memory."""
AGENT_LEAVES = b"\x03\x03\x03"
"""Ctrl-C three times: hil-agent gives its terminal back to the shell; a shell does not mind."""
NOTHING_MEASURED = 4
"""Exit code of a root-cell program that had nothing to measure with: the same as of `hil run`."""


@dataclass(frozen=True)
class Plan:
    """What a run does once the hypervisor is enabled. Command lines are complete. Without a `program` in the root cell,
    the records of `series` are awaited from the console, where the inmates print them."""

    root_config: str
    root_cell: str
    cells: Sequence[CellUse] = ()
    program: str = ""
    series: Sequence[str] = ()
    uio: VirtualPci | None = None
    shell_hint: str = r"[#$] $"
    """What a console shows when it may be typed to; see Dialogue.await_turn."""
    shell: str = "auto"
    """One of hil.options.SHELLS."""
    statistics: float = 0.0
    """Seconds between two readings of the cells' counters while the program runs; 0: only before and after."""


class OpenConsole(Protocol):
    """Connects to the machine's console."""

    def __call__(self) -> Console:
        ...


@dataclass
class Lifecycle:
    """Carries out a plan. What a transition makes (watch, root cell, records) is here for the next ones."""

    plan: Plan
    power: Power
    open_console: OpenConsole
    start_agent: StartAgent
    events: EventLog
    records: list[Record] = field(default_factory=list)
    listeners: list[Callable[[str], None]] = field(default_factory=list)
    senders: Sequence[Sender] = ()
    """How an agent gets to a system that has none, in the order of trying."""
    shell_shown: str = ""
    """The way that commands take, and why no better one; there from state `agent` on."""
    output: str | bytes = b""
    """What holds the probe's records."""
    _watch: Watch | None = None
    _root: RootCell | None = None

    @property
    def watch(self) -> Watch:
        """The watch on the console; there from state `boot` on."""
        assert self._watch is not None, "no console before state 'boot'"
        return self._watch

    @property
    def watching(self) -> bool:
        """Whether there is a console to watch."""
        return self._watch is not None

    @property
    def root(self) -> RootCell:
        """The root cell's commands; there from state `agent` on."""
        assert self._root is not None, "no root cell before state 'agent'"
        return self._root

    def transitions(self) -> dict[State, Callable[[Session], None]]:
        """For Session."""
        return {
            State.BOOT: self.boot,
            State.LOGIN: self.login,
            State.SHELL: self.shell,
            State.AGENT: self.agent,
            State.ENABLED: self.enabled,
            State.CREATED: self.created,
            State.LOADED: self.loaded,
            State.RUNNING: self.running,
            State.COLLECTED: self.collected,
            State.DESTROYED: self.destroyed,
            State.DISABLED: self.disabled,
        }

    def boot(self, session: Session) -> None:
        """Power on, console connected, first text."""
        self.power_on(session)
        self.first_text(session)

    def power_on(self, session: Session) -> None:
        """The machine runs and its console is watched."""
        with session.step("power on", "boot", "the machine's process and its console"):
            self.power.on()
            console = self.open_console()
            self._watch = Watch(console, self.power, self._on_trap, session.limits)
            self._watch.listeners.extend(self.listeners)

    def first_text(self, session: Session) -> None:
        """Somebody in the machine has written to the console."""
        with session.step("first console text", "boot") as deadline:
            while not self.watch.text(0.1):
                deadline.check(self.watch.hint)

    def login(self, session: Session) -> None:
        """Nothing to do where the image's init puts a shell on the console."""

    def shell(self, session: Session) -> None:
        """A shell reads what is typed."""
        with session.step("shell answers", "shell", "a shell that echoes a random marker") as deadline:
            plain = PlainShell(self.watch)
            plain.synchronise(deadline, self.plan.shell_hint)
        self._root = RootCell(session, plain)

    def agent(self, session: Session) -> None:
        """The best way to run commands: the agent, or the plain shell, chosen and shown."""
        choice = ShellChoice(self.plan.shell, self.watch, self.start_agent, self.senders)
        self._root = RootCell(session, choice.choose(session))
        self.shell_shown = choice.shown(self._root.shell)
        self.events.note(f"commands in the root cell go through: {self.shell_shown}")

    def lend_console(self, session: Session) -> None:
        """Gives the root cell's terminal back to a shell that a person can type to."""
        with session.step("the shell comes back", "shell", "a shell that echoes a random marker") as deadline:
            self.watch.console.write(AGENT_LEAVES)
            plain = PlainShell(self.watch)
            plain.synchronise(deadline)
            if self.root.shell.kind == plain.kind:
                plain.restore()

    def take_console(self, session: Session) -> None:
        """After lend_console(): commands go their old way again, whatever the person left on the terminal."""
        self.watch.traps_end_waits = True
        with session.step("the shell answers again", "shell", "a shell that echoes a random marker") as deadline:
            plain = PlainShell(self.watch)
            plain.synchronise(deadline)
            if self.plan.shell == "plain":
                plain.prepare(deadline)
        self._root = RootCell(session, plain)
        self.agent(session)

    def enabled(self, session: Session) -> None:
        """The hypervisor has the machine; the root cell's ivshmem devices have their driver."""
        self.root.enable(self.plan.root_config)
        if self.plan.uio is not None:
            self._load_driver(self.plan.uio)

    def created(self, session: Session) -> None:
        """All cells exist. The tool says yes to a config of another architecture too: so the cell is looked for."""
        self.watch.flood = FloodGauge()
        for cell in self.plan.cells:
            self.root.create(cell)
            if cell.name not in self.root.cell_states():
                raise Failed(f"`jailhouse cell create` of {cell.config} ended well, but there is no cell '{cell.name}'")

    def loaded(self, session: Session) -> None:
        """All inmates are in their cells."""
        for cell in self.plan.cells:
            self.root.load(cell)

    def running(self, session: Session) -> None:
        """All cells run and the probe has come to its end."""
        heard = RecordLines()
        self.watch.listeners.append(heard.hear)
        for cell in self.plan.cells:
            self.root.start(cell)
        if not self.plan.program:
            if self.plan.series:
                self.read_statistics("before")
                self._hear_records(session, heard)
                self.read_statistics("after")
            return
        self.read_statistics("before")
        try:
            with session.step(f"run {self.plan.program.split()[0]}", "run", "the probe's records") as deadline:
                answer = self._probe(deadline)
                self.output = answer.out
                if answer.code != 0:
                    text = answer.text
                    if answer.code == NOTHING_MEASURED:
                        raise InfrastructureError(f"{one_line(text)[-400:]} (`{self.plan.program}`)")
                    raise CommandFailed(self.plan.program, answer.code, text, likely_cause(text))
        except CommandFailed as failure:
            self._blame_cell(failure)
            raise
        self.read_statistics("after")

    def read_statistics(self, when: str) -> None:
        """The cells' exit counters as an event, where the hypervisor counts."""
        text = self.root.script(f"{READ}; true", "command", "read the cells' statistics").out
        for reading in parse(text.decode("utf-8", "replace")):
            self.events.statistics(when, reading)

    def _probe(self, deadline: Deadline) -> Answer:
        """Runs the plan's program; with `statistics`, beside a loop that reads the counters."""
        if not self.plan.statistics:
            return self.root.shell.run(self.plan.program, deadline)
        readings = Readings()

        def hear(stream: int, data: bytes) -> None:
            for reading in readings.feed(data.decode("utf-8", "replace")) if stream == 2 else []:
                self.events.statistics("during", reading)

        answer = self.root.shell.run(beside(self.plan.program, self.plan.statistics), deadline, hear)
        return replace(answer, err=without(answer.err.decode("utf-8", "replace")).encode())

    def collected(self, session: Session) -> None:
        """All records that the probe owes are there and undamaged."""
        if not self.plan.series:
            return
        with session.step("collect records", "collect"):
            scan = scan_records(self.output)
            for error in scan.errors:
                self.events.note(f"dropped a record: {error}")
            for record in scan.records:
                self.events.record(record.as_dict())
                self.records.append(record)
            missing = set(self.plan.series) - {record.series for record in scan.records}
            if missing and scan.errors:
                raise InfrastructureError(f"records arrived damaged: {scan.errors[0]}")
            if missing:
                raise Failed(f"the probe gave no record for {', '.join(sorted(missing))}")

    def destroyed(self, session: Session) -> None:
        """The cells are gone, their CPUs and memory are the root cell's again."""
        self.watch.flood = None
        for cell in self.plan.cells:
            self.root.destroy(cell)

    def stop_flood(self) -> str:
        """Shuts the cells down, one after the other, until the flood ends. What was done, in words."""
        self.watch.flood = None
        for cell in self.plan.cells:
            try:
                self.root.run(["jailhouse", "cell", "shutdown", "--name", cell.name], "command")
                self.watch.pause(0.5)  # what was under way
                before = self.watch.console.text_of("unattributed")
                self.watch.pause(1.0)
            except HilError as error:
                said = one_line(str(error))[:200]
                return f"the root cell could not shut cell '{cell.name}' down, the machine is switched off: {said}"
            if self.watch.console.text_of("unattributed") - before < RATE:
                return f"the root cell still answered and ended it by shutting cell '{cell.name}' down"
        return "shutting all cells down did not end it, the machine is switched off"

    def disabled(self, session: Session) -> None:
        """The machine is Linux's alone again."""
        if self.plan.uio is not None:
            self.root.run(["rmmod", "uio_ivshmem"], "driver", "rmmod uio_ivshmem")
        self.root.disable()

    def _hear_records(self, session: Session, heard: RecordLines) -> None:
        """Inmates repeat a record: a copy that another writer cut is dropped, the next one may be whole."""
        with session.step("hear the inmates' records", "run", "the records on the console") as deadline:
            read = time.monotonic()
            while set(self.plan.series) - {record.series for record in scan_records(heard.lines).records}:
                self.watch.text(0.1)
                deadline.check(self.watch.hint)
                if self.plan.statistics and time.monotonic() - read >= self.plan.statistics:
                    self.read_statistics("during")
                    read = time.monotonic()
        self.output = heard.lines

    def _load_driver(self, pci: VirtualPci) -> None:
        self.root.script("modprobe uio", "driver", "modprobe uio")
        shown = self.root.script("grep -ls 0x110a /sys/bus/pci/devices/*/vendor", "driver", "look for PCI", (0, 1, 2))
        words = ["insmod", "/hil/uio_ivshmem.ko"]
        if not shown.out.strip():
            self.events.note("the kernel's PCI core shows no ivshmem device: the driver walks the virtual ECAM itself")
            words += pci.module_parameters()
        self.root.run(words, "driver", "insmod uio_ivshmem.ko")

    def _blame_cell(self, failure: CommandFailed) -> None:
        """A probe that fails while a cell is in state failed: the cell is what went wrong."""
        for name, state in self.root.cell_states().items():
            self.events.note(f"cell '{name}' is in state '{state}'")
            if state.startswith("failed"):
                raise Trapped(f"cell '{name}' failed without a trap on the console; {one_line(str(failure))}")

    def _on_trap(self, trap: dict[str, Any]) -> None:
        """Told at once; the trap itself goes to the log when it has been explained."""
        self.events.note(f"trap: {describe([trap])}")


class RecordLines:
    """The lines of a console that may hold a record."""

    def __init__(self) -> None:
        self.lines = ""
        self._partial = ""

    def hear(self, text: str) -> None:
        """Takes the console's next text; keeps the last part until its line end comes."""
        *whole, partial = (self._partial + text).split("\n")
        self._partial = partial[-RECORD_LINE_AT_MOST:]
        self.lines += "".join(f"{line.strip()}\n" for line in whole if RECORD_MARK in line)


def complete(cell: CellUse, options: dict[str, Any]) -> CellUse:
    """The cell with the options put into its command line."""
    return replace(cell, command_line=cell.command_line.format(**options))

# SPDX-License-Identifier: Apache-2.0
"""System tests boot the qemu target. Boots are shared where a test leaves the machine as it found it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from hil import hypervisor, places, target
from hil.event_log import EventLog
from hil.lifecycle import Plan
from hil.machine import Machine
from hil.options import RunOptions
from hil.prepare import Prepared
from hil.root_cell import RootCell
from hil.run_directory import RunDirectory
from hil.self_measuring import by_itself
from hil.session import State
from hil.target import CellUse
from hil.uio_walk import virtual_pci
from hil.watch import Watch

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = "qemu"
CELLS = REPOSITORY / "targets" / TARGET / "cells"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory boots a machine."""
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.system)


def plan(**changes: Any) -> Plan:
    """A plan of the qemu target; without changes it has no cells and no program."""
    machine = target.load(TARGET)
    config = places.build() / "cells" / TARGET / machine.root_config
    return Plan(
        machine.root_config,
        machine.root_cell,
        uio=virtual_pci(config),
        shell_hint=machine.shell_hint,
        **changes,
    )


def prepared(
    wanted: Plan,
    kernel_args: str = "",
    model: str = "",
    smp: int = 0,
    extra: tuple[str, ...] = (),
    alone: Sequence[str] = (),
    **options: Any,
) -> Prepared:
    """What a Machine needs, for a plan and on a machine of one's own: kernel command line, model, CPUs; `extra`:
    more arguments for QEMU in virtual time; `alone`: what the root cell does by itself there before anybody may type.
    """
    chosen = RunOptions(TARGET, "system-test", command=("pytest",), **options)
    cells = places.build() / "cells" / TARGET
    machine = target.load(TARGET)
    if kernel_args:
        machine = replace(machine, machine=replace(machine.machine, kernel_args=kernel_args))
    if extra and machine.virtual_machine:
        more = replace(machine.virtual_machine, extra=machine.virtual_machine.extra + extra)
        machine = replace(machine, virtual_machine=more)
    if model:
        machine = replace(machine, machine=replace(machine.machine, machine=model))
    if smp:
        machine = replace(machine, machine=replace(machine.machine, smp=smp))
    found = Prepared(chosen, machine, hypervisor.find(chosen.hypervisor), wanted, cells)
    return by_itself(found, alone) if alone else found


@dataclass
class Bed:
    """A booted machine whose root cell takes commands. `lines` are the console's, from the start; `control` is QEMU's
    control socket."""

    machine: Machine
    directory: Path
    lines: list[str]
    control: Path

    @property
    def root(self) -> RootCell:
        return self.machine.lifecycle.root

    @property
    def watch(self) -> Watch:
        return self.machine.lifecycle.watch

    def wait_for_line(self, text: str, seconds: float = 20.0) -> str:
        """The first console line that holds `text`, waited for."""
        from hil.limits import Deadline, Limits

        deadline = Deadline(Limits({"line": seconds}), "line", f"a console line with {text!r}")
        while True:
            for line in self.lines:
                if text in line:
                    return line
            self.watch.text(0.05)
            deadline.check(self.watch.hint)

    def park_root_cpus(self, peeks: str, count: int) -> None:
        """Has the root cell's kernel do what parks so many of its CPUs at once (gaol-check's parameters), and waits
        until all of them are told."""
        from hil.errors import Trapped
        from hil.limits import Deadline, Limits

        self.watch.traps_end_waits = True
        with pytest.raises(Trapped, match='of cell "qemu-root"'):
            self.root.script(f"insmod /hil/gaol-check.ko {peeks}", "command")
        self.watch.traps_end_waits = False
        deadline = Deadline(Limits({"line": 20.0}), "line", f"{count} traps")
        while len(self.watch.traps) < count:
            self.watch.text(0.05)
            deadline.check(self.watch.hint)

    def start(self, cell: CellUse) -> None:
        """Creates, loads and starts a cell."""
        self.root.create(cell)
        self.root.load(cell)
        self.root.start(cell)


def cell_file(bed: Bed, text: str, name: str) -> str:
    """Compiles a cell config and puts it into the machine; its path there."""
    import _hil

    devices = (CELLS.parent / "devices.yaml").read_text()
    encoded = base64.b64encode(_hil.cell_compile(text, devices)).decode()
    path = f"/tmp/{name}.cell"
    bed.root.script(f"echo {encoded} | base64 -d > {path}", "command", f"write {path}")
    return path


class Boot(Protocol):
    """Boots a machine up to its agent, or up to `upto`. `model`: QEMU's -machine; `smp`: its CPUs, 0: the target's.
    `options`: fields of RunOptions, and `extra` and `alone` of prepared()."""

    def __call__(
        self,
        wanted: Plan,
        kernel_args: str = "",
        upto: State = State.AGENT,
        model: str = "",
        smp: int = 0,
        **options: Any,
    ) -> Bed:
        ...


@pytest.fixture(scope="session", autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs and locks of this test process: another one may test the same target beside it."""
    own = tmp_path_factory.mktemp("hil")
    os.environ["HIL_RUNS"], os.environ["HIL_LOCKS"] = str(own / "runs"), str(own / "locks")


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boot]:
    """Boots machines up to their agent; they are off when the module is done."""
    beds: list[tuple[Machine, RunDirectory]] = []

    def start(
        wanted: Plan,
        kernel_args: str = "",
        upto: State = State.AGENT,
        model: str = "",
        smp: int = 0,
        **options: Any,
    ) -> Bed:
        directory = RunDirectory(TARGET, "system-test", base=tmp_path_factory.mktemp("runs"))
        events = EventLog(directory.path / "events.jsonl")
        lines: list[str] = []
        machine = Machine(
            prepared(wanted, kernel_args, model, smp, **options),
            directory,
            events,
            lambda line, writer: lines.append(line),
        )
        beds.append((machine, directory))
        machine.session.transition(upto)
        return Bed(machine, directory.path, lines, directory.scratch / "control")

    yield start
    for machine, directory in beds:
        machine.off()
        directory.finish()


@pytest.fixture(scope="module")
def bed(boot: Boot) -> Bed:
    """One machine for a module, with the hypervisor enabled and the ivshmem driver loaded."""
    started = boot(plan())
    started.machine.session.transition(State.ENABLED)
    return started


@dataclass
class Command:
    """The real command line in a process of its own, with runs and locks apart from the user's."""

    runs: Path

    def environment(self, **more: str) -> dict[str, str]:
        own = {"HIL_ROOT": str(REPOSITORY), "HIL_RUNS": str(self.runs), "HIL_LOCKS": str(self.runs / "locks")}
        return {**os.environ, **own, **more}

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "hil", *words]

    def run(
        self, *words: str, seconds: float = 300, before: Sequence[str] = (), **more: str
    ) -> subprocess.CompletedProcess[str]:
        """`before`: a program that becomes the command line, and its words."""
        return subprocess.run(
            [*before, *self.words(*words)],
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words),
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def only_run(self) -> Path:
        """The one run directory that there is."""
        (found,) = [path for path in self.runs.iterdir() if path.name != "locks"]
        return found


@pytest.fixture
def hil(tmp_path: Path) -> Command:
    """The command line."""
    return Command(tmp_path / "runs")

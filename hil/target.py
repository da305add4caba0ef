# SPDX-License-Identifier: Apache-2.0
"""A target: a machine that runs happen on, as targets/<name>/target.yaml describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hil import places
from hil.errors import WrongUse
from hil.limits import USUAL_LIMITS, WAITS
from hil.names import choose
from hil.ssh_address import SshAddress


@dataclass(frozen=True)
class QemuMachine:
    """What QEMU is told. `kernel_args` are the kernel's."""

    program: str
    machine: str
    cpu: str
    smp: int
    memory: str
    kernel_args: str
    extra: tuple[str, ...] = ()

    def model(self) -> list[str]:
        """QEMU's arguments that say what machine it is, and how its time passes."""
        return [
            *("-machine", self.machine, "-cpu", self.cpu),
            *("-smp", str(self.smp), "-m", self.memory),
            *self.extra,
        ]


@dataclass(frozen=True)
class LineUse:
    """What a target knows of its console's line. `baud`: 0 where it does not matter, or the stream's name says it;
    `longest_line`: characters that the console takes without a line end, 0 where no such limit is known.
    """

    baud: int = 0
    longest_line: int = 0


@dataclass(frozen=True)
class CellUse:
    """A cell that a probe needs: the config's file name and cell name, the inmate image, its command line."""

    config: str
    name: str
    inmate: str
    command_line: str = ""
    load_address: int = 0
    command_line_address: int = 0x1000


@dataclass(frozen=True)
class ProbeUse:
    """How a probe runs on this target. `program` and command lines may name options in braces: {root}, {count}…"""

    name: str
    title: str
    cells: tuple[CellUse, ...]
    program: str
    series: tuple[str, ...] = ()
    uio: bool = False


@dataclass(frozen=True)
class Target:
    """One target. `directory` holds its cells and its image's description."""

    name: str
    title: str
    directory: Path
    emulated: bool
    root_config: str
    root_cell: str
    shell_hint: str
    machine: QemuMachine
    virtual_machine: QemuMachine | None
    """The same machine with a clock that counts instructions, where the target has one."""
    limits: Mapping[str, float]
    memory_map: tuple[Mapping[str, Any], ...]
    probes: Mapping[str, ProbeUse]
    line: LineUse = LineUse()
    ssh: SshAddress | None = None
    """Where the root cell's system listens, for a system without an agent."""

    def machine_of(self, virtual_time: bool) -> QemuMachine:
        """The machine with the clock asked for; WrongUse when the target has none that counts instructions."""
        if not virtual_time:
            return self.machine
        if self.virtual_machine is None:
            raise WrongUse(f"target '{self.name}' has no virtual time; run without --virtual-time")
        return self.virtual_machine

    def probe(self, typed: str) -> ProbeUse:
        """The probe of that name; WrongUse with the nearest name when there is none."""
        return self.probes[choose("probe", typed, self.probes)]


def names() -> list[str]:
    """All targets that have a target.yaml."""
    return sorted(path.parent.name for path in places.targets().glob("*/target.yaml"))


def load(typed: str) -> Target:
    """The target of that name. WrongUse when there is none or its description cannot be used."""
    name = choose("target", typed, names())
    path = places.targets() / name / "target.yaml"
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise WrongUse(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise WrongUse(f"{path} is not YAML: {error}") from error
    try:
        return _target(name, path.parent, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WrongUse(f"{path}: field {error} is missing or of the wrong kind") from error


def _target(name: str, directory: Path, data: dict[str, Any]) -> Target:
    virtual = data.get("virtual_time")
    return Target(
        name=name,
        title=str(data["title"]),
        directory=directory,
        emulated=bool(data["emulated"]),
        root_config=str(data["root_cell"]["config"]),
        root_cell=str(data["root_cell"]["name"]),
        shell_hint=str(data["shell_hint"]),
        machine=_machine(data["machine"]),
        virtual_machine=None if virtual is None else _machine(data["machine"] | virtual),
        limits=_limits(directory, data["limits"]),
        memory_map=tuple(data.get("memory_map", ())),
        probes={str(key): _probe(str(key), probe) for key, probe in data.get("probes", {}).items()},
        line=LineUse(**{str(key): int(value) for key, value in data.get("console", {}).items()}),
        ssh=_ssh(directory, data),
    )


def _limits(directory: Path, data: Mapping[Any, Any]) -> Mapping[str, float]:
    limits = {**USUAL_LIMITS, **{str(wait): float(seconds) for wait, seconds in data.items()}}
    where = f"{directory}/target.yaml: limits"
    for wait, seconds in limits.items():
        choose(f"wait (in {where})", wait, WAITS)
        if not 0 < seconds < float("inf"):
            raise WrongUse(f"{where}: '{wait}' is {seconds:g}; it must be a number of seconds")
    if missing := [wait for wait in WAITS if wait not in limits]:
        raise WrongUse(f"{where}: none for {', '.join(missing)}")
    return limits


def _ssh(directory: Path, data: dict[str, Any]) -> SshAddress | None:
    if "ssh" not in data:
        return None
    config = directory / str(data["ssh_config"]) if "ssh_config" in data else None
    return SshAddress.parse(str(data["ssh"]), config)


def _machine(data: Any) -> QemuMachine:
    values: dict[str, Any] = dict(data)
    values["extra"] = tuple(values.get("extra", ()))
    return QemuMachine(**values)


def _probe(name: str, data: dict[str, Any]) -> ProbeUse:
    return ProbeUse(
        name=name,
        title=str(data["title"]),
        cells=tuple(CellUse(**cell) for cell in data["cells"]),
        program=str(data.get("program", "")),
        series=tuple(data.get("series", ())),
        uio=bool(data.get("uio", False)),
    )

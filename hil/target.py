# SPDX-License-Identifier: Apache-2.0
"""A target: a machine that runs happen on, as targets/<name>/target.yaml describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from hil import places
from hil.errors import WrongUse
from hil.limits import USUAL_LIMITS, WAITS
from hil.names import choose
from hil.ssh_address import SshAddress

LONGEST = 1e6
"""Seconds of a limit, at most: eleven days."""
MOST_OF_LINE = 1_000_000_000


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
    except KeyError as error:
        raise WrongUse(f"{path}: the field {error} is missing; docs/targets.md says what it holds") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise WrongUse(
            f"{path}: a field is of the wrong kind ({error}); docs/targets.md says what each holds"
        ) from error


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
        line=_line(directory, data.get("console", {})),
        ssh=_ssh(directory, data),
    )


def _limits(directory: Path, data: Any) -> Mapping[str, float]:
    where = f"{directory}/target.yaml: limits"
    limits = dict(USUAL_LIMITS)
    for wait, seconds in _mapping(where, data).items():
        choose(f"wait (in {where})", wait, WAITS)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST:
            said = f"{seconds:g}" if isinstance(seconds, float) else repr(seconds)
            raise WrongUse(
                f"{where}: '{wait}' is {said}; it must be a number of seconds above 0, at most {LONGEST:,.0f}"
            )
        limits[wait] = float(seconds)
    if missing := [wait for wait in WAITS if wait not in limits]:
        raise WrongUse(f"{where}: none for {', '.join(missing)}")
    return limits


def _line(directory: Path, data: Any) -> LineUse:
    where, known = f"{directory}/target.yaml: console", [field.name for field in fields(LineUse)]
    for name, value in _mapping(where, data).items():
        choose(f"field (in {where})", name, known)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_OF_LINE:
            raise WrongUse(f"{where}: '{name}' is {value!r}; it must be a whole number from 0 to {MOST_OF_LINE:,}")
    return LineUse(**data)


def _mapping(where: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise WrongUse(f"{where} holds {data!r}; it must hold names with values, one a line")
    return {str(key): value for key, value in data.items()}


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

# SPDX-License-Identifier: Apache-2.0
"""From what was typed to what a run needs: every name looked up, every file found, before anything is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hil import hypervisor as hypervisors
from hil import places, target
from hil.errors import InfrastructureError
from hil.lifecycle import Plan, complete
from hil.limits import Limits
from hil.native import check_chaos
from hil.options import RunOptions
from hil.session import State
from hil.target import Target
from hil.uio_walk import virtual_pci


@dataclass(frozen=True)
class Prepared:
    """Everything that was typed, looked up and found good."""

    options: RunOptions
    target: Target
    hypervisor: hypervisors.Hypervisor
    plan: Plan
    cells: Path
    goal: State = State.DISABLED


def prepare(options: RunOptions) -> Prepared:
    """Looks up what the user named. WrongUse when something is not there."""
    machine = target.load(options.target)
    machine.machine_of(options.virtual_time)
    check_chaos(options.chaos)
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
    values = options.placeholders() | patience(machine)
    plan = Plan(
        root_config=machine.root_config,
        root_cell=machine.root_cell,
        cells=[complete(cell, values) for cell in probe.cells],
        program=probe.program.format(**values),
        series=probe.series,
        uio=virtual_pci(cells / machine.root_config) if probe.uio else None,
        shell=options.shell,
        statistics=options.statistics,
        shell_hint=machine.shell_hint,
    )
    return Prepared(options, machine, hypervisors.find(options.hypervisor), plan, cells)


def patience(machine: Target) -> dict[str, str]:
    """What a program in the machine is told of its waits, in seconds: it is as patient as what waits outside."""
    limits = Limits(machine.limits)
    return {wait: f"{max(0.1, limits.stretched(wait)):.1f}" for wait in ("handshake", "exchange")}


def prepare_console(options: RunOptions) -> Prepared:
    """A run that boots and stops there, for a person to go on."""
    machine = target.load(options.target)
    plan = Plan(machine.root_config, machine.root_cell, shell_hint=machine.shell_hint)
    cells = places.build() / "cells" / machine.name
    return Prepared(options, machine, hypervisors.find(options.hypervisor), plan, cells, State.BOOT)

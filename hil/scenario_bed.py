# SPDX-License-Identifier: Apache-2.0
"""A machine that scenarios share: booted when needed, brought to where the next one starts, given up when broken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hil.errors import Failed
from hil.machine import Live, Machine
from hil.prepare import Prepared
from hil.root_cell import CELLS, SYSFS
from hil.run_directory import RunDirectory
from hil.scenario_log import SharedLog
from hil.scenario_match import CellSeen
from hil.session import State

MODULE = "/hil/jailhouse.ko"


class Bed:
    """One boot. It lives in the run directory of the scenario that needed it first, and logs there or where told."""

    def __init__(self, prepared: Prepared, directory: RunDirectory, events: SharedLog, live: Live | None) -> None:
        self.directory = directory
        self.events = events
        self.machine = Machine(prepared, directory, events, live)
        self._root_config = prepared.target.root_config
        self._online = ""
        self.broken = False
        """Whether no further scenario may use it."""

    def boot(self) -> None:
        """Up to a root cell that takes commands. Whatever answers us there stays on CPU 0, the console's, and keeps its
        timers there: a CPU that a scenario loses must not take it along."""
        self.machine.session.transition(State.AGENT)
        pin = "for p in $PPID $(pidof hil-agent); do taskset -p 1 $p; done; echo 0 >/proc/sys/kernel/timer_migration"
        self.machine.lifecycle.root.script(pin, "command", "keep to CPU 0")
        self._online = self._read("/sys/devices/system/cpu/online")

    def bring_to(self, start: str) -> None:
        """Enabled with the target's config, disabled, or without the module."""
        session, root = self.machine.session, self.machine.lifecycle.root
        session.head_for(State.ENABLED if start == "enabled" else State.AGENT)
        state = self._state()
        if start != "enabled" and state == "enabled":
            root.run(["jailhouse", "disable"], "disable")
            state = "disabled"
        if start == "no-module" and state == "disabled":
            root.run(["rmmod", "jailhouse"], "disable")
        if start != "no-module" and state == "no-module":
            root.run(["insmod", MODULE], "enable")
            state = "disabled"
        if start == "enabled" and state == "disabled":
            root.run(["jailhouse", "enable", f"{CELLS}/{self._root_config}"], "enable")

    def check_health(self, cells: Mapping[str, CellSeen] | None) -> None:
        """Destroys the cells that are left; Failed when something cannot be had back."""
        self.machine.session.head_for(State.DESTROYED)
        if cells is None:
            raise Failed("the root cell does not answer")
        root = self.machine.lifecycle.root
        for name, cell in cells.items():
            if name != self.root_cell:
                root.run(["jailhouse", "cell", "destroy", "--name", name], "destroy")
            elif cell.failed_cpus:
                raise Failed(f"the root cell has lost CPU {', '.join(map(str, cell.failed_cpus))}")
        if (online := self._read("/sys/devices/system/cpu/online")) != self._online:
            raise Failed(f"CPUs {online} are online in the root cell; before they were {self._online}")

    @property
    def root_cell(self) -> str:
        """The root cell's name."""
        return self.machine.lifecycle.plan.root_cell

    def manifest(self) -> dict[str, Any]:
        """What the machine's manifest says; empty when the boot did not get that far."""
        path = self.directory.path / "manifest.json"
        if not path.exists():
            return {}
        data = json.loads(path.read_text())
        assert isinstance(data, dict)
        return data

    def off(self) -> None:
        """Machine off."""
        self.machine.off()

    def _state(self) -> str:
        word = self._read(f"{SYSFS}/enabled")
        return {"1": "enabled", "0": "disabled"}.get(word, "no-module")

    def _read(self, path: str) -> str:
        root = self.machine.lifecycle.root
        return root.script(f"cat {path} 2>/dev/null; true", "command", f"read {path}").text.strip()

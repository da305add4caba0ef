# SPDX-License-Identifier: Apache-2.0
"""The commands of a lifecycle as the root cell runs them, each a timed step with its own limit."""

from __future__ import annotations

import shlex

from hil.causes import likely_cause
from hil.errors import CommandFailed
from hil.session import Session
from hil.shell import Answer, RootShell
from hil.target import CellUse

CELLS = "/hil/cells"
INMATES = "/hil/inmates"
SYSFS = "/sys/devices/jailhouse"


class RootCell:
    """Runs commands through a RootShell; a code other than 0 is CommandFailed with errno's meaning. Cells are named by
    `--name`: a name of digits is no id, and one that begins with a dash no option.
    """

    def __init__(self, session: Session, shell: RootShell) -> None:
        self._session = session
        self.shell = shell

    def run(self, words: list[str], wait: str, name: str = "", allowed: tuple[int, ...] = (0,)) -> Answer:
        """Runs the words as one command, each quoted, under the limit `wait`."""
        return self.script(" ".join(shlex.quote(word) for word in words), wait, name, allowed)

    def script(self, script: str, wait: str, name: str = "", allowed: tuple[int, ...] = (0,)) -> Answer:
        """Runs a line of shell. Its text must not hold anything that came from the machine."""
        with self._session.step(name or script, wait) as deadline:
            answer = self.shell.run(script, deadline)
            if answer.code not in allowed:
                raise CommandFailed(script, answer.code, answer.text, likely_cause(answer.text))
            return answer

    def enable(self, config: str) -> None:
        """Loads the module and enables the hypervisor with a system config."""
        self.run(["insmod", "/hil/jailhouse.ko"], "enable", "insmod jailhouse.ko")
        self.run(["jailhouse", "enable", f"{CELLS}/{config}"], "enable")

    def create(self, cell: CellUse) -> None:
        """Creates a cell from its config."""
        self.run(["jailhouse", "cell", "create", f"{CELLS}/{cell.config}"], "create")

    def load(self, cell: CellUse) -> None:
        """Loads a cell's inmate, and its command line as a second image where it has one."""
        words = ["jailhouse", "cell", "load", "--name", cell.name]
        words += [f"{INMATES}/{cell.inmate}", "-a", hex(cell.load_address)]
        if cell.command_line:
            words += ["-s", cell.command_line, "-a", hex(cell.command_line_address)]
        self.run(words, "load")

    def start(self, cell: CellUse) -> None:
        """Starts a loaded cell."""
        self.run(["jailhouse", "cell", "start", "--name", cell.name], "start")

    def destroy(self, cell: CellUse) -> None:
        """Shuts a cell down and gives its resources back to the root cell."""
        self.run(["jailhouse", "cell", "destroy", "--name", cell.name], "destroy")

    def cell_states(self) -> dict[str, str]:
        """State by cell name, from sysfs (`running`, `running/locked`, `shut down`, `failed`, …)."""
        # With what the shell can do itself: each program that it started would cost as much as the whole.
        look = '[ -e "$c/name" ] && read -r name <"$c/name" && read -r state <"$c/state" && echo "$state:$name"'
        script = f"for c in {SYSFS}/cells/*; do {look}; done; true"
        lines = self.script(script, "command", "look at the cells").out.decode("utf-8", "replace").splitlines()
        pairs = (line.partition(":") for line in lines if ":" in line)
        return {name: state for state, _, name in pairs}

    def disable(self) -> None:
        """Disables the hypervisor and unloads the module."""
        self.run(["jailhouse", "disable"], "disable")
        self.run(["rmmod", "jailhouse"], "disable", "rmmod jailhouse")

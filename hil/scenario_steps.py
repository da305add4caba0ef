# SPDX-License-Identifier: Apache-2.0
"""Carries out a scenario's steps in the root cell of a machine that runs."""

from __future__ import annotations

import base64
import re
import shlex
import time
from collections.abc import Callable, Mapping

from hil.errors import AgentLost, Failed, TimeLimit
from hil.limits import Deadline, Limits
from hil.machine import Machine
from hil.root_cell import CELLS, INMATES, SYSFS
from hil.scenario import NEVER, SYSTEM, Scenario, Step
from hil.scenario_configs import Config
from hil.scenario_match import CellSeen, outcome_difference
from hil.session import State

DIRECTORY = "/tmp/scenario"
PIECE = 2000
"""Characters of base64 in a command: it must fit into a terminal's line."""
GOALS = {
    "enable": State.ENABLED,
    "create": State.CREATED,
    "load": State.LOADED,
    "start": State.RUNNING,
    "shutdown": State.RUNNING,
    "destroy": State.DESTROYED,
    "disable": State.DISABLED,
}
WAITS = {"shutdown": "destroy", "shell": "command"}
"""The limit of a verb where the target has none of its name."""
POLL = 0.1


class NotAsExpected(Failed):
    """A step ended otherwise than the scenario says."""


class StepRunner:
    """The steps of one scenario. `console` gives the console's text since the scenario began."""

    def __init__(self, machine: Machine, scenario: Scenario, configs: Mapping[str, Config], root_config: str) -> None:
        self._machine = machine
        self._scenario = scenario
        self._configs = configs
        self._root_config = root_config
        self._number = 0
        self.console = ""
        self.lost = False
        """Whether the root cell has once not answered: it is not asked for its cells again."""
        machine.lifecycle.watch.listeners.append(self._listen)

    def close(self) -> None:
        """Listens no longer."""
        self._machine.lifecycle.watch.listeners.remove(self._listen)

    def _listen(self, text: str) -> None:
        self.console += text

    @property
    def _limits(self) -> Limits:
        return self._machine.session.limits

    def deliver(self) -> None:
        """Puts the scenario's configs into the root cell, by commands that fit into a terminal's line."""
        lines = [f"rm -rf {DIRECTORY}; mkdir -p {DIRECTORY}"]
        for config in self._configs.values():
            text = base64.b64encode(config.data).decode()
            path = f"{DIRECTORY}/{config.file}"
            lines += [f"echo {text[at:at + PIECE]} >>{path}.64" for at in range(0, len(text), PIECE)]
            lines += [f"base64 -d {path}.64 >{path}"]
        script = ""
        for line in lines:
            if script and len(script) + len(line) > PIECE:
                self._machine.lifecycle.root.script(script, "command", "deliver configs")
                script = ""
            script += f"{' && ' if script else ''}{line}"
        self._machine.lifecycle.root.script(script, "command", "deliver configs")

    def run(self, step: Step) -> None:
        """One step. NotAsExpected when it ends otherwise than it should."""
        self._machine.session.head_for(GOALS.get(step.verb, self._machine.session.goal))
        if step.verb == "wait":
            self._wait(step)
        elif step.verb == "root":
            self._root(step)
        elif step.may_hang:
            self._judged(step, self._in_background)
        else:
            self._judged(step, self._in_foreground)

    def ask_cells(self) -> dict[str, CellSeen] | None:
        """All cells by name; None when the root cell does not answer."""
        if self.lost:
            return None
        text = self._ask(
            f'for c in {SYSFS}/cells/*; do [ -e "$c/name" ] && '
            'echo "$(cat $c/state):$(cat $c/cpus_failed_list):$(cat $c/name)"; done; true',
            None,
        )
        if text is None:
            self.lost = True
            return None
        found = {}
        for line in text.splitlines():
            state, failed, name = line.split(":", 2)
            found[name] = CellSeen(state, tuple(cpu_list(failed)))
        return found

    # --- commands ---

    def _judged(self, step: Step, way: Callable[[str, Step, Deadline], tuple[int | str, str]]) -> None:
        wait = WAITS.get(step.verb, step.verb)
        with self._machine.session.step(str(step), wait) as deadline:
            code, text = way(self._script(step), step, deadline)
            if difference := outcome_difference(step.outcomes, code, text):
                raise NotAsExpected(f"{step}: {difference}")

    def _script(self, step: Step) -> str:
        if step.verb == "shell":
            return str(step.what)
        return " ".join(shlex.quote(word) for word in self._words(step))

    def _words(self, step: Step) -> list[str]:
        if step.verb == "enable":
            own = f"{DIRECTORY}/{self._configs[SYSTEM].file}" if step.what == SYSTEM else ""
            return ["jailhouse", "enable", own or f"{CELLS}/{self._root_config}"]
        if step.verb == "disable":
            return ["jailhouse", "disable"]
        cell = self._scenario.cells[step.what]
        if step.verb == "create":
            return ["jailhouse", "cell", "create", f"{DIRECTORY}/{self._configs[cell.key].file}"]
        words = ["jailhouse", "cell", step.verb, "--name", cell.name]
        if step.verb == "load":
            inmate = step.options.get("inmate", cell.inmate)
            line = step.options.get("command-line", cell.command_line)
            words += [f"{INMATES}/{inmate}.bin", "-a", hex(step.options.get("address", cell.address))]
            words += ["-s", line, "-a", "0x1000"] if line else []
        return words

    def _in_foreground(self, script: str, step: Step, deadline: Deadline) -> tuple[int | str, str]:
        answer = self._machine.lifecycle.root.shell.run(script, deadline)
        return answer.code, answer.text

    def _in_background(self, script: str, step: Step, deadline: Deadline) -> tuple[int | str, str]:
        """Started and left alone: its code and output are fetched if it comes back.

        It runs on the last CPU that is online: when that one is lost, the console's interrupts still have theirs.
        """
        self._number += 1
        base = f"{DIRECTORY}/step-{self._number}"
        inner = shlex.quote(f"sleep 0.1; ({script}) >{base}.o 2>&1 </dev/null; echo $? >{base}.t; mv {base}.t {base}.c")
        shell = self._machine.lifecycle.root.shell
        last = "$((1 << $(sed 's/.*[-,]//' /sys/devices/system/cpu/online)))"
        shell.run(f"taskset {last} setsid sh -c {inner} >/dev/null 2>&1 </dev/null &", deadline)
        traps = self._machine.lifecycle.watch.traps
        end = time.monotonic() + float(step.options.get("within", self._limits.idle("hang"))) * min(3.0, deadline.scale)
        before, trapped = len(traps), False
        while time.monotonic() < end:
            self._machine.lifecycle.watch.pause(POLL)
            if len(traps) > before and not trapped:
                trapped, end = True, min(end, time.monotonic() + deadline.of("after-trap"))
            answer = self._ask(f"cat {base}.c 2>/dev/null && cat {base}.o; true", None)
            if answer is None:
                return NEVER, ""
            code, _, text = answer.partition("\n")
            if code:
                return int(code), text
        return NEVER, ""

    def _ask(self, script: str, seconds: float | None) -> str | None:
        """What the root cell answers within `seconds`, or the target's limit `answer`; None when it does not."""
        limit = self._limits.idle("answer") if seconds is None else seconds
        deadline = Deadline(Limits({"answer": limit}), "answer", "the root cell's answer")
        try:
            return self._machine.lifecycle.root.shell.run(script, deadline).text
        except (TimeLimit, AgentLost):
            return None

    def answers(self, seconds: float | None = None) -> bool:
        """Whether the root cell answers."""
        return self._ask("echo alive", seconds) == "alive\n"

    # --- steps that run nothing ---

    def _root(self, step: Step) -> None:
        with self._machine.session.step(f"root cell {step.what}", "command"):
            alive = self.answers(step.options.get("within"))
            if alive != (step.what == "alive"):
                raise NotAsExpected(f"the root cell {'answers' if alive else 'does not answer'}; expected: {step.what}")

    def _wait(self, step: Step) -> None:
        what = dict(step.what)
        watch = self._machine.lifecycle.watch
        if "seconds" in what:
            with self._machine.session.step(str(step), "run"):
                watch.pause(float(what["seconds"]))
            return
        with self._machine.session.step(str(step), "start") as deadline:
            try:
                while not self._reached(what):
                    watch.text(POLL)
                    deadline.check(watch.hint)
            except TimeLimit as limit:
                raise NotAsExpected(f"waited for {step.what}: it did not come; {limit}") from limit

    def _reached(self, what: Mapping[str, object]) -> bool:
        if "traps" in what:
            return len(self._machine.lifecycle.watch.traps) >= int(str(what["traps"]))
        if "line" in what:
            return re.search(str(what["line"]), self.console, re.MULTILINE) is not None
        states = what["state"]
        assert isinstance(states, Mapping)
        seen = self.ask_cells() or {}
        return all(name in seen and seen[name].state == state for name, state in states.items())


def cpu_list(text: str) -> list[int]:
    """`0,2-3` as numbers."""
    result: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        result += range(int(first), int(last or first) + 1)
    return result

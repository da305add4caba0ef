# SPDX-License-Identifier: Apache-2.0
"""The agent against base64 by hand, over the same line in the same boot: `python3 -m hil.line_bench` makes the table in
docs/performance.md.

By hand means what a person does on a console without an agent: `base64 FILE` and the text caught, or `base64 -d` and
the text typed, as fast as the line takes it. Files are random bytes, which nothing packs; the output is numbered
lines of text.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from hil.dialogue import Dialogue
from hil.errors import HilError
from hil.event_log import EventLog
from hil.limits import Deadline
from hil.machine import Machine
from hil.native import AgentShell
from hil.options import RunOptions
from hil.prepare import prepare
from hil.run_directory import RunDirectory
from hil.session import State
from hil.shell import RootShell

LINES = ("", "rate=11520")
"""QEMU's socket as it is, and as a line of 115200 baud."""
DIRECTORY = "/tmp/line-bench"
END_OF_FILE = "\x04"
CHUNK = 3800
"""Characters typed at once: whole lines, no more than a terminal keeps."""


class Hand:
    """A shell on the console, and base64."""

    def __init__(self, machine: Machine) -> None:
        self._dialogue = Dialogue(machine.lifecycle.watch)
        self._machine = machine

    def type(self, line: str) -> str:
        """Types a command; what the console shows until it is done."""
        with self._machine.session.step("type", "run") as deadline:
            left, right = secrets.token_hex(4), secrets.token_hex(4)
            self._dialogue.send(f"{line}; echo '{left}''{right}'\n")
            return self._dialogue.wait_for(left + right, deadline)

    def get(self, path: str) -> bytes:
        """A file's bytes, as far as they arrived well."""
        text = self.type(f"base64 {path}")
        return base64.b64decode("".join(re.findall(r"[A-Za-z0-9+/=]{4,}\r?\n", text)))

    def output(self, command: str) -> bytes:
        """What a command prints."""
        text = self.type(f"({command}) | base64")
        return base64.b64decode("".join(re.findall(r"[A-Za-z0-9+/=]{4,}\r?\n", text)))

    def put(self, path: str, content: bytes) -> None:
        """Types a file."""
        lines = base64.encodebytes(content).decode()
        self._dialogue.send(f"base64 -d >{path}\n")
        while lines:
            end = lines.rindex("\n", 0, CHUNK) + 1
            self._dialogue.send(lines[:end])
            lines = lines[end:]
        self._dialogue.send(END_OF_FILE)
        self.type("true")


class Agent:
    """hil-agent."""

    def __init__(self, machine: Machine) -> None:
        self._root = machine.lifecycle.root
        self._deadline: Callable[[], Deadline] = lambda: Deadline(machine.session.limits, "run", "the agent")
        self.shell: RootShell = self._root.shell

    def get(self, path: str) -> bytes:
        """A file's bytes."""
        return self._agent.read_file(path, self._deadline())

    def output(self, command: str) -> bytes:
        """What a command prints."""
        return self.shell.run(command, self._deadline()).out

    def put(self, path: str, content: bytes) -> None:
        """A file's bytes."""
        self._agent.write_file(path, content, self._deadline())

    @property
    def _agent(self) -> AgentShell:
        assert isinstance(self.shell, AgentShell)
        return self.shell


@dataclass(frozen=True)
class Row:
    """What was moved over a line, and the seconds that both ways took; `whole`: whether all arrived by hand."""

    line: str
    what: str
    count: int
    hand: float
    agent: float
    whole: bool

    def __str__(self) -> str:
        hand = f"{self.hand:.2f}" + ("" if self.whole else " (damaged)")
        rate = self.count / self.agent / 1000
        cells = [self.line or "as it is", self.what, f"{self.count / 1000:.0f} kB", hand, f"{self.agent:.2f}"]
        return f"| {' | '.join(cells)} | {rate:.1f} kB/s | {self.hand / self.agent:.2f} |"


def measure(chaos: str, count: int, base: Path) -> list[Row]:
    """Boots a machine on such a line and moves `count` bytes each way."""
    directory = RunDirectory("qemu", "line-bench", base=base)
    machine = Machine(
        prepare(RunOptions("qemu", "ivshmem-latency", chaos=chaos)),
        directory,
        EventLog(directory.path / "events.jsonl"),
        None,
    )
    content = random.Random(1).randbytes(count)
    text = b"".join(b"line %d of some output\n" % number for number in range(count // 25))
    command = f"i=0; while [ $i -lt {count // 25} ]; do echo line $i of some output; i=$((i+1)); done"
    taken: dict[tuple[str, str], float] = {}
    right: dict[str, bool] = {}

    def timed(who: str, what: str, move: Callable[[], bytes | None], expected: bytes) -> None:
        begun = time.monotonic()
        got = move()
        taken[who, what] = time.monotonic() - begun
        if got is None:
            check = machine.lifecycle.root.script(f"md5sum <{DIRECTORY}/{who}", "run").out.decode().split()[0]
            good = check == hashlib.md5(expected).hexdigest()
        else:
            good = got == expected
        right[what] = right.get(what, True) and (good or who == "hand")
        right[f"{who} {what}"] = good

    try:
        machine.session.transition(State.SHELL)
        hand = Hand(machine)
        hand.type(f"stty -echo; PS1=; mkdir -p {DIRECTORY}")
        begun = time.monotonic()
        hand.put(f"{DIRECTORY}/hand", content)
        taken["hand", "file to the machine"] = time.monotonic() - begun
        machine.session.transition(State.AGENT)
        agent = Agent(machine)
        timed("agent", "file to the machine", lambda: agent.put(f"{DIRECTORY}/agent", content), content)
        stored = machine.lifecycle.root.script(f"md5sum <{DIRECTORY}/hand", "run").out.decode().split()[0]
        right["hand file to the machine"] = stored == hashlib.md5(content).hexdigest()
        timed("agent", "file from the machine", lambda: agent.get(f"{DIRECTORY}/agent"), content)
        timed("agent", "output of a command", lambda: agent.output(command), text)
        machine.lifecycle.lend_console(machine.session)
        hand.type("stty -echo; PS1=")
        timed("hand", "file from the machine", lambda: hand.get(f"{DIRECTORY}/agent"), content)
        timed("hand", "output of a command", lambda: hand.output(command), text)
    finally:
        machine.off()
        directory.finish()
    if not all(right[f"agent {what}"] for _, what in taken):
        raise AssertionError(f"the agent moved something wrong: {right}")
    wanted = ("file to the machine", "file from the machine", "output of a command")
    return [
        Row(chaos, what, count, taken["hand", what], taken["agent", what], right[f"hand {what}"]) for what in wanted
    ]


@click.command()
@click.argument("lines", nargs=-1)
@click.option("--kilobytes", type=click.IntRange(1, 10_000), default=50, show_default=True)
def main(lines: Sequence[str], kilobytes: int) -> None:
    """Makes the table for LINES (as --chaos takes them), or for the usual two. Exit code 1 when a line failed."""
    print("| line | what | size | seconds by hand | seconds by the agent | agent | by hand / agent |")
    print("|---|---|---|---|---|---|---|")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="hil-line-") as base:
        for line in lines or LINES:
            try:
                for row in measure(line, kilobytes * 1000, Path(base)):
                    print(row, flush=True)
            except HilError as error:
                failed = 1
                print(f"{line or 'as it is'}: {error}", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()

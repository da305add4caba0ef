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
from statistics import median

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
HAND, AGENT = "hand", "agent"
TO_MACHINE, FROM_MACHINE, OUTPUT = "file to the machine", "file from the machine", "output of a command"
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
    """What was moved over a line, and the seconds that both ways took (medians); `whole`: all arrived by hand."""

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


class Times:
    """Seconds of each move by whom and what, and whether what arrived was right."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._taken: dict[tuple[str, str], list[float]] = {}
        self._right: dict[tuple[str, str], bool] = {}

    def move(
        self, who: str, what: str, move: Callable[[], bytes | None], right: Callable[[bytes | None], bool]
    ) -> None:
        """Does it several times."""
        for _ in range(self._times):
            begun = time.monotonic()
            got = move()
            self._taken.setdefault((who, what), []).append(time.monotonic() - begun)
            self._right[who, what] = self._right.get((who, what), True) and right(got)

    def row(self, line: str, what: str, count: int) -> Row:
        """The medians of one of the things moved. AssertionError when the agent moved it wrong."""
        if not self._right[AGENT, what]:
            raise AssertionError(f"the agent moved something wrong: {what}")
        hand, agent = (median(self._taken[who, what]) for who in (HAND, AGENT))
        return Row(line, what, count, hand, agent, self._right[HAND, what])


def measure(chaos: str, count: int, times: int, base: Path) -> list[Row]:
    """Boots a machine on such a line and moves `count` bytes each way, each of it several times."""
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
    taken = Times(times)
    try:
        machine.session.transition(State.SHELL)
        hand = Hand(machine)
        hand.type(f"stty -echo; PS1=; mkdir -p {DIRECTORY}")

        def stored_by_hand(_: bytes | None) -> bool:
            return hashlib.md5(content).hexdigest() in hand.type(f"md5sum <{DIRECTORY}/{HAND}")

        taken.move(HAND, TO_MACHINE, lambda: hand.put(f"{DIRECTORY}/{HAND}", content), stored_by_hand)
        machine.session.transition(State.AGENT)
        agent = Agent(machine)

        def stored(_: bytes | None) -> bool:
            return hashlib.md5(content).hexdigest().encode() in agent.output(f"md5sum <{DIRECTORY}/{AGENT}")

        taken.move(AGENT, TO_MACHINE, lambda: agent.put(f"{DIRECTORY}/{AGENT}", content), stored)
        taken.move(AGENT, FROM_MACHINE, lambda: agent.get(f"{DIRECTORY}/{AGENT}"), lambda got: got == content)
        taken.move(AGENT, OUTPUT, lambda: agent.output(command), lambda got: got == text)
        machine.lifecycle.lend_console(machine.session)
        hand.type("stty -echo; PS1=")
        taken.move(HAND, FROM_MACHINE, lambda: hand.get(f"{DIRECTORY}/{AGENT}"), lambda got: got == content)
        taken.move(HAND, OUTPUT, lambda: hand.output(command), lambda got: got == text)
    finally:
        machine.off()
        directory.finish()
    return [taken.row(chaos, what, count) for what in (TO_MACHINE, FROM_MACHINE, OUTPUT)]


@click.command()
@click.argument("lines", nargs=-1)
@click.option("--kilobytes", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--times", type=click.IntRange(1, 100), default=5, show_default=True, help="Of which the median counts.")
def main(lines: Sequence[str], kilobytes: int, times: int) -> None:
    """Makes the table for LINES (as --chaos takes them), or for the usual two. Exit code 1 when a line failed."""
    print("| line | what | size | seconds by hand | seconds by the agent | agent | by hand / agent |")
    print("|---|---|---|---|---|---|---|")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="hil-line-") as base:
        for line in lines or LINES:
            try:
                for row in measure(line, kilobytes * 1000, times, Path(base)):
                    print(row, flush=True)
            except HilError as error:
                failed = 1
                print(f"{line or 'as it is'}: {error}", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()

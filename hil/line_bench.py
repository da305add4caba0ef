# SPDX-License-Identifier: Apache-2.0
"""The agent against base64 by hand, over the same line in the same boot: `python3 -m hil.line_bench` makes the table in
docs/performance.md.

By hand means what a person does on a console without an agent: `base64 FILE` and the text caught, or `base64 -d` and
the text typed, as fast as the line takes it; "gzip" means that the person packs what travels, too. One file is random
bytes, which nothing packs; one is a program, as people send them; the output is numbered lines of text. The ways take
turns, so that none of them has the emulator's good or bad minutes to itself.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import re
import secrets
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import eq
from pathlib import Path
from statistics import median

import click

from hil import places
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
HAND, GZIP, AGENT = "hand", "gzip", "agent"
WHO = (HAND, GZIP, AGENT)
RANDOM, PROGRAM = "random bytes", "a program"
OUTPUT = "output of a command"
END_OF_FILE = "\x04"
CHUNK = 3800
"""Characters typed at once: whole lines, no more than a terminal keeps."""


class Hand:
    """A shell on the console, and base64; gzip as well where the person thinks of it."""

    def __init__(self, machine: Machine, packs: bool) -> None:
        self._dialogue = Dialogue(machine.lifecycle.watch)
        self._machine = machine
        self._pack, self._unpack = ("| busybox gzip", "| busybox gunzip") if packs else ("", "")
        self._packs = packs

    def type(self, line: str) -> str:
        """Types a command; what the console shows until it is done."""
        with self._machine.session.step("type", "run") as deadline:
            left, right = secrets.token_hex(4), secrets.token_hex(4)
            self._dialogue.send(f"{line}; echo '{left}''{right}'\n")
            return self._dialogue.wait_for(left + right, deadline)

    def get(self, path: str) -> bytes:
        """A file's bytes, as far as they arrived well."""
        return self.output(f"cat {path}")

    def output(self, command: str) -> bytes:
        """What a command prints, nothing where that cannot be made out of what arrived."""
        text = self.type(f"({command}) {self._pack} | base64")
        try:
            content = base64.b64decode("".join(re.findall(r"[A-Za-z0-9+/=]{4,}\r?\n", text)))
            return gzip.decompress(content) if self._packs else content
        except (ValueError, OSError, EOFError, zlib.error):
            return b""

    def put(self, path: str, content: bytes) -> None:
        """Types a file."""
        lines = base64.encodebytes(gzip.compress(content) if self._packs else content).decode()
        self._dialogue.send(f"base64 -d {self._unpack} >{path}\n")
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
    """What was moved over a line, and the seconds that it took each way (medians); `whole`: all arrived."""

    line: str
    what: str
    count: int
    seconds: dict[str, float]
    whole: dict[str, bool]

    def __str__(self) -> str:
        cells = [self.line or "as it is", self.what, f"{self.count / 1000:.0f} kB"]
        cells += [f"{self.seconds[who]:.2f}" + ("" if self.whole[who] else " (damaged)") for who in WHO]
        agent = self.seconds[AGENT]
        cells += [f"{self.count / agent / 1000:.1f} kB/s", f"{self.seconds[HAND] / agent:.2f}"]
        return f"| {' | '.join(cells)} | {self.seconds[GZIP] / agent:.2f} |"


class Times:
    """Seconds of each move by whom and what, and whether what arrived was right."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], list[float]] = {}
        self._right: dict[tuple[str, str], bool] = {}

    def move(
        self, who: str, what: str, move: Callable[[], bytes | None], right: Callable[[bytes | None], bool]
    ) -> None:
        """Does it."""
        begun = time.monotonic()
        got = move()
        self._taken.setdefault((who, what), []).append(time.monotonic() - begun)
        self._right[who, what] = self._right.get((who, what), True) and right(got)

    def row(self, line: str, what: str, count: int) -> Row:
        """The medians of one of the things moved. AssertionError when the agent moved it wrong."""
        if not self._right[AGENT, what]:
            raise AssertionError(f"the agent moved something wrong: {what}")
        seconds = {who: median(self._taken[who, what]) for who in WHO}
        return Row(line, what, count, seconds, {who: self._right[who, what] for who in WHO})


@dataclass(frozen=True)
class Load:
    """What is moved: files by what they are, and a command whose output is known."""

    files: dict[str, bytes]
    command: str
    text: bytes

    @staticmethod
    def of(count: int) -> Load:
        """About `count` bytes of each; the program is one of the inmates, whole or its beginning."""
        program = (places.build() / "arm64/inmates/timer-jitter.bin").read_bytes()
        lines = count // 25
        return Load(
            {RANDOM: random.Random(1).randbytes(count), PROGRAM: program[:count]},
            f"i=0; while [ $i -lt {lines} ]; do echo line $i of some output; i=$((i+1)); done",
            b"".join(b"line %d of some output\n" % number for number in range(lines)),
        )


def move_all(mover: Hand | Agent, who: str, load: Load, taken: Times) -> None:
    """Every file to the machine and back, and the output."""
    for what, content in load.files.items():
        path = f"{DIRECTORY}/{what.split()[-1]}"
        known = hashlib.md5(content).hexdigest()

        def stored(_: bytes | None, path: str = path, known: str = known) -> bool:
            return known in mover.output(f"md5sum <{path}").decode()

        taken.move(who, f"{what} to the machine", partial(mover.put, path, content), stored)
        taken.move(who, f"{what} from the machine", partial(mover.get, path), partial(eq, content))
    taken.move(who, OUTPUT, partial(mover.output, load.command), partial(eq, load.text))


def measure(chaos: str, count: int, times: int, base: Path) -> list[Row]:
    """Boots a machine on such a line and moves `count` bytes each way, each of it several times."""
    directory = RunDirectory("qemu", "line-bench", base=base)
    machine = Machine(
        prepare(RunOptions("qemu", "ivshmem-latency", chaos=chaos)),
        directory,
        EventLog(directory.path / "events.jsonl"),
        None,
    )
    load = Load.of(count)
    taken = Times()
    try:
        machine.session.transition(State.SHELL)
        for turn in range(times):
            if turn > 0:
                machine.lifecycle.lend_console(machine.session)
            for who in (HAND, GZIP):
                hand = Hand(machine, who == GZIP)
                hand.type(f"stty -echo; PS1=; mkdir -p {DIRECTORY}")
                move_all(hand, who, load, taken)
            if turn == 0:
                machine.session.transition(State.AGENT)
            else:
                machine.lifecycle.take_console(machine.session)
            move_all(Agent(machine), AGENT, load, taken)
    finally:
        machine.off()
        directory.finish()
    sizes = {
        f"{what} {way} the machine": len(content) for what, content in load.files.items() for way in ("to", "from")
    }
    return [taken.row(chaos, what, size) for what, size in (sizes | {OUTPUT: len(load.text)}).items()]


@click.command()
@click.argument("lines", nargs=-1)
@click.option("--kilobytes", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--times", type=click.IntRange(1, 100), default=5, show_default=True, help="Of which the median counts.")
def main(lines: Sequence[str], kilobytes: int, times: int) -> None:
    """Makes the table for LINES (as --chaos takes them), or for the usual two. Exit code 1 when a line failed."""
    ratios = "by hand / agent | with gzip / agent"
    print(f"| line | what | size | seconds by hand | by hand with gzip | by the agent | agent | {ratios} |")
    print("|---|---|---|---|---|---|---|---|---|")
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

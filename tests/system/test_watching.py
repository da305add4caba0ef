# SPDX-License-Identifier: Apache-2.0
"""A person watches: on a real terminal, with keys, with colours, with a machine that tries to steer the terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import termios
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest
from conftest import Command

from hil.run_directory import RUNNING
from hil.run_log import read_events
from hil.verdict import Outcome

NIGHTLY = bool(os.environ.get("HIL_NIGHTLY"))
LIMIT = 120
"""Seconds for anything to come: the host may be loaded."""
STEERING = re.compile(r"\x1b(?!\[[0-9;?]*[mKAhlGJH])|\x07|\x9b")
"""What may not reach a terminal but as pictures; beside colours and the living line's own moves."""
TOUCH = "devmem 0xc000000 32"


class Person:
    """Sits at a terminal of 200 columns where a shell runs `hil`; the shell is there when `hil` has ended."""

    def __init__(self, hil: Command, *words: str) -> None:
        quoted = " ".join(f"'{word}'" for word in hil.words(*words))
        shell = ["-c", f"{quoted}; echo \"ended with $?\"; stty -a; echo 'that is all'"]
        self.terminal = pexpect.spawn(
            "/bin/sh", shell, env=hil.environment(TERM="xterm"), encoding="utf-8", timeout=LIMIT, dimensions=(50, 200)
        )
        self.modes: list[Any] = termios.tcgetattr(self.terminal.child_fd)
        self.seen = ""

    def expect(self, pattern: str) -> str:
        """What came up to and with the pattern."""
        self.terminal.expect(pattern)
        came = str(self.terminal.before) + str(self.terminal.after)
        self.seen += came
        return came

    def type(self, keys: str) -> None:
        self.terminal.send(keys)

    @property
    def raw(self) -> bool:
        """Whether keys come one by one and without echo."""
        return not termios.tcgetattr(self.terminal.child_fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def left(self) -> int:
        """The exit code of `hil`, and the terminal is as it was."""
        self.expect(r"ended with (\d+)")
        code = int(self.terminal.match.group(1))
        modes = self.expect("that is all")
        assert re.search(r" icanon .* echo ", modes.replace("\r\n", " ")), modes
        assert termios.tcgetattr(self.terminal.child_fd)[:4] == self.modes[:4]
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()
        return code


def test_a_person_at_the_console(hil: Command) -> None:
    person = Person(hil, "console", "--target", "qemu")
    person.expect("hil# ")
    assert person.raw
    person.type("echo he''llo; printf '\\033]0;title\\007\\033[31mred\\033[2J\\n'\r")
    person.expect(re.escape("hello\r\n^[]0;title^G^[[31mred^[[2J\r\n"))
    person.type("\x03echo Ctrl-C is''a key\r")
    person.expect("Ctrl-C isa key")
    person.type(f"insmod /hil/jailhouse.ko; jailhouse enable /hil/cells/qemu-root.cell; {TOUCH}\r")
    person.expect("hil: trap: data read 0xc000000 qemu-root parked")
    told = person.expect(r"hil: +flags: [^\r]*\r\n")
    assert "Cause: qemu-root.yaml: no memory region of the cell holds the address" in told
    person.type("\x1d")
    person.expect(r"log: (\S+)")
    log = Path(person.terminal.match.group(1))
    assert person.left() == 0 and not STEERING.search(person.seen)
    raw = log.read_bytes()
    assert b"hello\r\n\x1b]0;title\x07" in raw and b"Parking CPU" in raw, "the log holds the bytes as they came"
    assert read_events(log.parent / "events.jsonl").traps(), "and the trap is kept"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP] if NIGHTLY else [signal.SIGTERM])
def test_a_seat_that_is_ended_from_outside_gives_the_terminal_back(hil: Command, ending: signal.Signals) -> None:
    person = Person(hil, "console", "--target", "qemu")
    person.expect("hil# ")
    run = hil.only_run()
    controller = json.loads((run / RUNNING).read_text())["controller"]["pid"]
    begun = time.monotonic()
    while (run / RUNNING).exists() and time.monotonic() - begun < LIMIT:  # the second one may come at any time
        try:
            os.kill(controller, ending)
        except ProcessLookupError:
            break
        time.sleep(0.002)
    assert person.left() == 130


@pytest.mark.parametrize("shell", ["agent", "plain"] if NIGHTLY else ["agent"])
def test_a_run_that_keeps_its_machine(hil: Command, shell: str) -> None:
    words = ("run", "--target", "qemu", "ivshmem-latency", "--count", "100", "--keep", "-v", "--shell", shell)
    person = Person(hil, *words)
    person.expect("the machine is kept; this is its console")
    person.type("\r")
    person.type("echo st''ill; cat /sys/devices/jailhouse/cells/*/state; printf '\\033]0;title\\007\\n'\r")
    person.expect(r"still\r\n")
    quiet = person.expect(re.escape("^[]0;title^G"))
    assert quiet.count("running") >= 1 and "waiting for" not in quiet, quiet
    person.type("\x1d")
    code = person.left()
    assert code == 0 and not STEERING.search(person.seen), STEERING.search(person.seen)
    assert "round-trip" in person.seen and "jailhouse cell destroy" in person.seen
    assert read_events(hil.only_run() / "events.jsonl").verdict().outcome is Outcome.PASS


def test_a_replay_takes_its_time_or_none(hil: Command) -> None:
    run = hil.runs / "replayed"
    run.mkdir(parents=True)
    (run / "console.raw").write_bytes(b"early \x1b[2Jline\r\nlate line\r\n")
    (run / "console.times").write_text(f"0 0\n{len(b'early ' + bytes(4) + b'line') + 2} 4000000000\n")
    (run / "events.jsonl").write_text('{"t": 2.0, "event": "note", "text": "between"}\n')
    taken = []
    for speed in ("0", "2"):
        begun = time.monotonic()
        said = hil.run("replay", "replayed", "--speed", speed).stdout
        taken.append(time.monotonic() - begun)
        assert re.search("early \\^\\[\\[2Jline.*between.*late line", said, re.DOTALL), said
    assert taken[1] > 2.0
    assert hil.run("replay", "last").stdout == said

# SPDX-License-Identifier: Apache-2.0
"""The binding of console and agent: what Python sees, with the real agent on a pty."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pexpect.fdpexpect
import pytest

import _hil

AGENT = Path(_hil.__file__).parents[1] / "driver/agent/hil-agent"


class Line:
    """A pty with the agent on its inner end."""

    def __init__(self, directory: Path) -> None:
        outer, inner = pty.openpty()
        tty.setraw(outer)
        self.agent = subprocess.Popen([AGENT], stdin=inner, stdout=inner, start_new_session=True)
        self.inner = inner
        self.raw = directory / "console.raw"
        self.console = _hil.Console(
            f"fd:{outer}", str(self.raw), str(directory / "console.times"), start=time.monotonic()
        )
        os.close(outer)
        self.console.wait_open(5)

    def close(self) -> None:
        """Ends the agent."""
        self.agent.kill()
        self.agent.wait()
        os.close(self.inner)
        self.console.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.close()


def test_agent_answers(line: Line) -> None:
    agent = _hil.Agent(line.console)
    assert agent.hello(10)["lane"] == "high"
    rc, out, err = agent.run("echo out; echo err >&2; exit 4")
    assert (rc, out, err) == (4, b"out\n", b"err\n")
    late = agent.run(["sleep", "20"], limit=0.2)
    assert (late.rc, late.ending) == (-signal.SIGTERM, "timed-out")
    assert agent.run(["/no/such/program"]).ending == "refused"
    pieces: list[tuple[int, bytes]] = []
    agent.run("echo live", on_output=lambda stream, data: pieces.append((stream, data)))
    assert pieces == [(0, b"live\n")]
    agent.bye()
    assert line.agent.wait(5) == 0


def test_text_traps_and_facts_come_apart(line: Line) -> None:
    os.write(line.inner, b'Created cell "a<b>"\r\nParking CPU 2 (Cell: "a<b>")\r\nhil# ')
    reader = pexpect.fdpexpect.fdspawn(line.console.tee, timeout=5)
    reader.expect_exact("hil# ")
    assert b"Parking CPU 2" in reader.before
    facts = []
    end = time.monotonic() + 5
    while len(facts) < 2 and time.monotonic() < end:
        facts += [event for event in line.console.poll(0.1) if event["event"] == "lifecycle"]
    assert [(fact["kind"], fact["cell"], fact["cpu"]) for fact in facts] == [
        ("cell-created", "a<b>", None),
        ("cpu-parked", "a<b>", 2),
    ]
    assert [trap["cpu"] for trap in line.console.take_traps(final=True)] == [2]
    assert line.console.take_traps(final=True) == []
    # The agent announces itself with a frame when it comes up, before or after the text.
    raw = line.raw.read_bytes()
    assert bytes(byte for byte in raw if byte < 0x80).endswith(b"hil# ")


def test_ctrl_c_ends_every_wait(line: Line) -> None:
    agent = _hil.Agent(line.console)
    agent.hello(10)
    waits = [
        lambda: line.console.read(30),
        lambda: line.console.wait_quiet(30, 30),
        lambda: agent.run("sleep 30", limit=60),
    ]
    for wait in waits:
        while line.console.poll(0):  # nothing is left to read
            pass
        while line.console.read(0.05):
            pass
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            wait()
        assert time.monotonic() - begin < 5
        timer.join()


def test_waiting_lets_other_threads_run(line: Line) -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.01):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    line.console.wait_quiet(0.5, 5)
    done.set()
    thread.join()
    assert ticks > 10


def test_errors_say_what_happened(line: Line) -> None:
    with pytest.raises(ValueError, match="unknown kind of stream 'pigeon'"):
        _hil.Console("pigeon:x")
    with pytest.raises(ValueError, match="chaos"):
        _hil.Console("unix:/x", chaos="dorp=0.1")
    missing = _hil.Console("unix:/nonexistent/line", connect_limit=0.1)
    with pytest.raises(_hil.ConsoleLost, match="/nonexistent/line"):
        missing.wait_open(5)
    with pytest.raises(_hil.AgentLost, match="hello"):
        _hil.Agent(line.console).run("true")
    line.agent.kill()
    line.agent.wait()
    lost = _hil.Agent(line.console, silence=0.5)
    with pytest.raises(_hil.AgentLost, match="no agent answered"):
        lost.hello(0.5)


def test_errors_quote_what_is_not_utf8(line: Line) -> None:
    line.agent.kill()
    line.agent.wait()
    os.write(line.inner, b"caf\xc3\xa9 \xff\r\n")
    with pytest.raises(_hil.AgentLost, match=r"no agent answered .* Last text: (?s:.*)caf\u00e9 \\xff"):
        _hil.Agent(line.console).hello(0.5)

# SPDX-License-Identifier: Apache-2.0
"""A UART behind a server of RFC 2217: gensio, which is what ser2net is made of, between the console and the agent."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import _hil
from hil.limits import measured_scale
from hil.process import start_bound

AGENT = Path(_hil.__file__).parents[1] / "driver/agent/hil-agent"
EVERY_BYTE = "".join(f"\\{value:03o}" for value in range(256))
OUTPUT_SPEED = 5
"""Index in what tcgetattr gives."""


def _pump(source: int, sink: int) -> None:
    """Carries bytes until one side is closed."""
    try:
        while data := os.read(source, 4096):
            while data:
                data = data[os.write(sink, data) :]
    except OSError:
        return


@dataclass
class Uart:
    """A terminal whose outer side is a board's UART: the agent sits behind it. `device`: what a server opens."""

    device: str
    outer: int

    def speed(self) -> int:
        """The rate that the device was set to, as termios names it."""
        return int(termios.tcgetattr(self.outer)[OUTPUT_SPEED])


@pytest.fixture
def uart() -> Iterator[Uart]:
    outer, device = pty.openpty()
    far, inner = pty.openpty()
    for end in (device, inner):
        tty.setraw(end)
    agent = subprocess.Popen([AGENT], stdin=inner, stdout=inner, start_new_session=True)
    for ends in ((outer, far), (far, outer)):
        threading.Thread(target=_pump, args=ends, daemon=True).start()
    yield Uart(os.ttyname(device), outer)
    agent.kill()
    agent.wait()
    for end in (device, inner):  # the pumps end at this, and keep their descriptors until then
        os.close(end)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(uart: Uart, port: int, log: Path) -> subprocess.Popen[bytes]:
    """A server for one connection, which leaves the device at 9600 baud until its client says otherwise."""
    words = ["gensiot", "-a", "-p", "-i", f"serialdev,{uart.device},9600n81,local"]
    with log.open("wb") as out:
        process = start_bound([*words, f"telnet(rfc2217),tcp,127.0.0.1,{port}"], out)
    end = time.monotonic() + 10 * measured_scale()
    while time.monotonic() < end and process.poll() is None:
        if str(port) in log.read_text():
            return process
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"gensiot does not listen: {log.read_text()}")


def _open(stream: str, directory: Path) -> _hil.Console:
    console = _hil.Console(
        stream, str(directory / "console.raw"), str(directory / "console.times"), start=time.monotonic(), reconnect=True
    )
    console.wait_open(10 * measured_scale())
    return console


def _use(console: _hil.Console, uart: Uart) -> _hil.Agent:
    """Every byte there is, and more text than any buffer on the way holds; at the rate that was asked for."""
    agent = _hil.Agent(console)
    agent.hello(10 * measured_scale())
    rc, out, _ = agent.run(f"printf '{EVERY_BYTE}'; seq 20000")
    assert (rc, out) == (0, bytes(range(256)) + b"".join(b"%d\n" % n for n in range(1, 20001)))
    assert uart.speed() == termios.B115200
    return agent


def test_the_agent_behind_a_server_that_goes_and_comes(uart: Uart, tmp_path: Path) -> None:
    assert uart.speed() != termios.B115200
    port = _free_port()
    server = _serve(uart, port, tmp_path / "server.log")
    console = _open(f"rfc2217:127.0.0.1:{port}@115200", tmp_path)
    try:
        agent = _use(console, uart)
        server.kill()
        server.wait()
        server = _serve(uart, port, tmp_path / "server.log")
        assert agent.run("echo again") == (0, b"again\n", b"")
    finally:
        console.close()
        server.kill()
        server.wait()

# SPDX-License-Identifier: Apache-2.0
"""A serial adapter that is pulled out and put back: the console's line is gone, and comes back under the same name.

A pseudo terminal stands for the adapter, a link for its by-id path; what is behind the adapter goes on meanwhile.
"""

from __future__ import annotations

import os
import pty
import select
import socket
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Boot, plan
from verdict_checks import check

import hil.machine
from hil.runner import judged
from hil.session import State
from hil.verdict import Outcome


class Adapter:
    """Carries bytes between a machine's socket and a pseudo terminal that can be pulled out."""

    def __init__(self, by_id: Path) -> None:
        self.by_id = by_id
        self._machine = socket.socket(socket.AF_UNIX)
        self._master = -1
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._carrier = threading.Thread(target=self._carry, daemon=True)

    def connect(self, path: str) -> None:
        """To the machine, whose socket this is."""
        self._machine.connect(path)
        self.plug_in()
        self._carrier.start()

    def plug_in(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        link = self.by_id.with_suffix(".new")
        link.symlink_to(os.ttyname(slave))
        with self._lock:
            self._master, self._slave = master, slave
        link.rename(self.by_id)

    def pull_out(self) -> None:
        """Whoever has the terminal open sees it hang up; its name is gone."""
        self.by_id.unlink()
        with self._lock:
            master, self._master = self._master, -1
        os.close(self._slave)
        os.close(master)

    def close(self) -> None:
        self._stop.set()
        self._carrier.join(5)
        self._machine.close()
        if self._master >= 0:
            self.pull_out()

    def _carry(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                master = self._master
                if master >= 0:
                    self._move(master)
            time.sleep(0 if master >= 0 else 0.02)

    def _move(self, master: int) -> None:
        ready = select.select([self._machine, master], [], [], 0.02)[0]
        if self._machine in ready:
            data = self._machine.recv(512)
            while data:
                data = data[os.write(master, data) :]
        if master in ready:
            self._machine.sendall(os.read(master, 512))


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Adapter]:
    """What the next machine's console goes through."""
    by_id = tmp_path / "usb-Example_Adapter_0001-if00-port0"
    one = Adapter(by_id)
    real = hil.machine.open_console

    def through_the_adapter(stream: str, *rest: object) -> object:
        one.connect(stream.removeprefix("unix:"))
        return real(f"pty:{by_id}", *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(hil.machine, "open_console", through_the_adapter)
    yield one
    one.close()


def test_an_adapter_that_is_pulled_out_and_put_back(boot: Boot, adapter: Adapter) -> None:
    """A command that is under way meanwhile is answered, once and right."""
    started = boot(plan())

    def pull_and_put_back() -> None:
        time.sleep(1.0)
        adapter.pull_out()
        time.sleep(1.5)
        adapter.plug_in()

    hand = threading.Thread(target=pull_and_put_back)
    hand.start()
    answer = started.root.script("echo once >>/tmp/ran; sleep 4; seq 2000; cat /tmp/ran", "run")
    hand.join()
    assert answer.out == "".join(f"{number}\n" for number in range(1, 2001)).encode() + b"once\n"
    notes = (started.directory / "events.jsonl").read_text()
    assert "the console's line was lost" in notes and "is open again" in notes


def test_an_adapter_that_is_not_put_back(boot: Boot, adapter: Adapter) -> None:
    started = boot(plan(), upto=State.SHELL)
    adapter.pull_out()
    verdict = judged(started.machine, lambda: started.machine.session.transition(State.AGENT))
    said = ("to 'agent' (wait 'agent'", str(adapter.by_id), "'connect' has a limit of", "the console's last lines: ")
    check(started, verdict, Outcome.INFRASTRUCTURE_ERROR, *said)

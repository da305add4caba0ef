# SPDX-License-Identifier: Apache-2.0
"""The agent is sent over a console: real shells on a pty, bad lines, poor systems, broken transfers."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from far_system import USUAL, FarSystem
from runner_fakes import limits

import _hil
from hil.checked_shell import SILENCES, CheckedShell
from hil.cksum import cksum
from hil.console_sender import ConsoleSender
from hil.dialogue import Dialogue
from hil.errors import AgentLost, TimeLimit
from hil.limits import Deadline
from hil.native import start_agent
from hil.sent_agent import AgentFile, version

AGENT = Path(_hil.__file__).parents[1] / "root/hil-agent"
Far = Callable[..., FarSystem]


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    """Makes far systems that are closed at the end."""
    made: list[FarSystem] = []

    def make(**wanted: Any) -> FarSystem:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(FarSystem(directory, **wanted))
        return made[-1]

    yield make
    for one in made:
        one.close()


def program(size: int) -> AgentFile:
    """Something that says its version as the agent does, with bytes that do not pack: 4 kB are quick on a bad line."""
    script = f"#!/bin/sh\necho {version()}\nexit\n".encode()
    return AgentFile(script + random.Random(size).randbytes(size))


def sender(system: FarSystem, agent: AgentFile, directories: tuple[str, ...] = ()) -> ConsoleSender:
    return ConsoleSender(lambda machine: agent, directories or (str(system.files),))


def deadline(seconds: float = 400.0) -> Deadline:
    return Deadline(limits(seconds), "send", "the agent's transfer")


def alive(system: FarSystem) -> None:
    """The shell has its console back: it answers, and what is typed is echoed again."""
    dialogue = Dialogue(system.watch)
    dialogue.synchronise(deadline(20))


def test_the_checksum_is_the_one_of_posix() -> None:
    assert [cksum(data) for data in (b"", b"hil", bytes(range(256)) * 3)] == [4294967295, 3691435654, 794916923]


@pytest.mark.parametrize("shell", [("dash", "-i"), ("bash", "--norc", "-i")], ids=lambda s: s[0])
def test_other_shells_do_as_well(far: Far, shell: tuple[str, ...]) -> None:
    system, agent = far(shell=shell), program(20_000)
    path = sender(system, agent).send(system.watch, deadline(), lambda text: None)
    assert Path(path).read_bytes() == agent.content
    alive(system)


def test_a_shell_that_comes_late_takes_more_than_a_line(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a terminal is raw, dash takes all that is there at once: its `read` never sees what it has taken."""
    system = far(shell=("dash", "-i"))
    send = Dialogue.send

    def send_to_a_busy_host(dialogue: Dialogue, text: str) -> None:
        if "for a in" in text:
            system.shell.send_signal(signal.SIGSTOP)
            threading.Timer(0.3, system.shell.send_signal, [signal.SIGCONT]).start()
        send(dialogue, text)

    monkeypatch.setattr(Dialogue, "send", send_to_a_busy_host)
    shell = CheckedShell(system.watch, deadline(20))
    shell.open()
    assert shell.value("r=$((6*7))") == "42"
    shell.close()


def test_the_agent_itself_is_sent_and_runs(far: Far) -> None:
    system, told = far(), []
    agent = AgentFile(AGENT.read_bytes())
    path = sender(system, agent).send(system.watch, deadline(), told.append)
    assert Path(path).read_bytes() == agent.content
    assert "xz, as base64" in told[0] and "s on a line of 115200 baud" in told[0] and any("9" in t for t in told[5:])
    shell_there = start_agent(system.watch, deadline(30), path)
    answer = shell_there.run("echo $((6*7)); exit 3", deadline(20))
    assert (answer.code, answer.out) == (3, b"42\n")


def test_a_hello_that_nobody_waits_for_any_more_is_broken_off(far: Far) -> None:
    """A host that stood still: the deadline has passed while the agent's hello is still awaited."""
    system, ahead = far(), [0.0]
    threading.Timer(0.3, lambda: ahead.__setitem__(0, 1000.0)).start()
    late = Deadline(limits(20), "agent", "the agent's hello", lambda: time.monotonic() + ahead[0])
    with pytest.raises(TimeLimit):
        start_agent(system.watch, late, "cat")
    assert not system.watch.working


@pytest.mark.parametrize(
    "missing, added, named",
    [
        (["xz"], [], "gzip, as base64"),
        (["xz", "gzip"], [], "unpacked, as base64"),
        (["base64", "xz", "md5sum"], ["uudecode"], "gzip, as uudecode"),
        (["base64"], ["openssl"], "xz, as openssl base64"),
        (["base64", "md5sum"], [], "xz, as octal numbers"),
        (["base64", "cksum", "wc", "xz", "gzip"], [], ""),
        (["base64", "wc", "xz", "gzip", "stty", "dmesg", "md5sum"], [], "unpacked, as octal"),
        (["cksum"], [], "xz, as base64"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_poor_systems(far: Far, missing: list[str], added: list[str], named: str) -> None:
    system, told = far(programs=[name for name in USUAL if name not in missing] + added), []
    agent = program(3000)
    if not named:
        with pytest.raises(AgentLost):
            sender(system, agent).send(system.watch, deadline(), told.append)
        alive(system)
        return
    path = sender(system, agent).send(system.watch, deadline(), told.append)
    assert Path(path).read_bytes() == agent.content and named in told[0]
    alive(system)


@pytest.mark.parametrize(
    "chaos",
    ["seed=1,drop=0.006", "seed=2,corrupt=0.004", "seed=3,double=0.005", "seed=4,splice=0.002,delay=0.002,delay_ms=60"],
)
def test_bad_lines(far: Far, chaos: str) -> None:
    system, agent = far(chaos=chaos), program(200)
    path = sender(system, agent).send(system.watch, deadline(), lambda text: None)
    assert Path(path).read_bytes() == agent.content


def _stop_at(percent: str) -> Callable[[str], None]:
    """The user stops when the progress begins with that."""

    def tell(text: str) -> None:
        if " % of " in text and text.startswith(percent):
            raise KeyboardInterrupt

    return tell


def test_a_broken_transfer_goes_on_where_it_stopped(far: Far) -> None:
    system, agent = far(), program(40_000)
    first = sender(system, agent)
    with pytest.raises(KeyboardInterrupt):
        first.send(system.watch, deadline(), _stop_at("3"))
    second, told = sender(system, agent), []
    path = second.send(system.watch, deadline(), told.append)
    assert Path(path).read_bytes() == agent.content
    assert first.sent > 12_000 and first.sent + second.sent < 41_000  # no piece twice; packing costs a little
    assert any("are there already" in text for text in told)
    third = sender(system, agent)
    assert third.send(system.watch, deadline(), told.append) == path
    assert third.sent == 0


def test_what_was_left_there_by_others_is_thrown_away(far: Far) -> None:
    """A file of the right name with other bytes is no beginning of ours."""
    system, agent = far(), program(20_000)
    with pytest.raises(KeyboardInterrupt):
        sender(system, agent).send(system.watch, deadline(), _stop_at("4"))
    (part,) = [path for path in (system.files / agent.directory).iterdir() if path.name != "hil-agent"]
    part.write_bytes(b"x" + part.read_bytes()[1:])
    again, told = sender(system, agent), []
    path = again.send(system.watch, deadline(), told.append)
    assert Path(path).read_bytes() == agent.content
    assert again.sent > 20_000 and not any("there already" in text for text in told)


def test_where_programs_cannot_be_run(far: Far) -> None:
    system, agent = far(), program(100)
    with pytest.raises(AgentLost, match="nowhere on the far side.*tried /proc, /no/where"):
        sender(system, agent, ("/proc", "/no/where")).send(system.watch, deadline(), lambda text: None)
    alive(system)
    path = sender(system, agent, ("/proc", str(system.files))).send(system.watch, deadline(), lambda text: None)
    assert path.startswith(str(system.files))


def test_a_program_that_does_not_run_there(far: Far) -> None:
    system = far()
    with pytest.raises(AgentLost, match="does not run there"):
        sender(system, AgentFile(b"\x7fELF no program")).send(system.watch, deadline(), lambda text: None)
    alive(system)


def test_a_far_side_that_does_not_answer(far: Far) -> None:
    system = far(shell=("sleep", "100"))
    with pytest.raises(TimeLimit, match="'send' passed its limit"):
        sender(system, program(10)).send(system.watch, deadline(2), lambda text: None)


def test_a_shell_that_lost_its_reader_is_not_believed(far: Far) -> None:
    """A bare shell runs what is typed, damaged or not; only a reader knows a line's checksum."""
    system, agent = far(), program(100)
    shell = CheckedShell(system.watch, deadline())
    shell.open()
    for _ in range(5):  # it learns how quick the far side is
        assert shell.value("r=fine") == "fine"
    line = b"break 9"
    system.console.write(b"\n%d %s\n" % (cksum(line), line))
    assert shell.value("r=again") == "again"
    assert shell.damaged >= SILENCES  # no answer of the bare shell's counted, and a reader was started anew
    shell.close()
    alive(system)
    assert sender(system, agent).send(system.watch, deadline(), lambda text: None)


def test_a_damaged_reader_ends_by_itself(far: Far) -> None:
    """Without Ctrl-C, which does nothing on a console that is nobody's controlling terminal."""
    system = far()
    Dialogue(system.watch).synchronise(deadline(20))
    system.console.write(b"\nfor a in x x x x;do read -r a b;: $(nonsense);done\n")
    shell = CheckedShell(system.watch, deadline())
    shell.open()
    assert shell.value("r=fine") == "fine"


def test_the_agent_over_a_slow_line(far: Far) -> None:
    """11,520 bytes a second each way: nothing is typed twice, and the estimate is that of the line."""
    system, agent, told = far(chaos="rate=11520"), program(15_000), []
    begun = time.monotonic()
    one = sender(system, agent)
    path = one.send(system.watch, deadline(), told.append)
    assert Path(path).read_bytes() == agent.content
    assert one.damaged == 0 and "s on this line" in told[0]
    assert time.monotonic() - begun > 15_000 * 1.35 / 11520  # it was slow
    shell_there = start_agent(system.watch, deadline(30), str(AGENT))
    assert shell_there.run("echo fast enough", deadline(20)).out == b"fast enough\n"

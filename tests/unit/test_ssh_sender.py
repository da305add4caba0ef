# SPDX-License-Identifier: Apache-2.0
"""The agent by ssh: addresses that could be options, and what ssh says when it cannot connect.

A program stands for ssh here; test_ssh_server.py has a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from far_system import FarSystem
from runner_fakes import limits
from test_console_sender import AGENT

from hil.errors import AgentLost
from hil.limits import Deadline
from hil.sent_agent import AgentFile
from hil.ssh_address import SshAddress
from hil.ssh_sender import SshSender


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "@host",
        "-oProxyCommand=x@host",
        "a@-oProxyCommand=x",
        "a@h:0",
        "a@h:65536",
        "a@h:x",
        "a@h;x",
        "a b@h",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not user@host"):
        SshAddress.parse(text)


def test_words_of_ssh() -> None:
    words = SshAddress.parse("root@board-1.lab:2222", Path("/t/ssh_config")).words(10)
    assert words[-4:] == ["-p", "2222", "--", "root@board-1.lab"] and words[1:3] == ["-F", "/t/ssh_config"]
    assert "BatchMode=yes" in words and "ConnectTimeout=10" in words
    assert "-p" not in SshAddress.parse("root@board").words(10)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[FarSystem]:
    made = FarSystem(tmp_path)
    yield made
    made.close()


def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    program = tmp_path / "path/ssh"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_the_agent_is_placed_and_asked_for_its_version(
    system: FarSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh(tmp_path, monkeypatch, 'for last; do :; done; exec sh -c "$last"')
    monkeypatch.setattr("hil.ssh_sender.DIRECTORIES", ("/proc", str(tmp_path)))
    agent = AgentFile(AGENT.read_bytes())
    used, told = SshSender(SshAddress.parse("root@far"), lambda machine: agent), []
    path = used.send(system.watch, Deadline(limits(30), "send", "ssh"), told.append)
    assert Path(path).read_bytes() == agent.content and path.startswith(str(tmp_path))
    assert "by ssh to root@far" in told[0]


def test_what_ssh_says_is_the_reason(system: FarSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ssh(tmp_path, monkeypatch, "echo 'connect to host far: No route to host' >&2; exit 255")
    with pytest.raises(AgentLost, match="ssh to root@far: connect to host far: No route to host"):
        SshSender(SshAddress.parse("root@far")).send(system.watch, Deadline(limits(30), "send", "ssh"), print)

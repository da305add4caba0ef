# SPDX-License-Identifier: Apache-2.0
"""The agent by ssh: OpenSSH's client and a dropbear on the loopback, as a server is met in the field."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from far_system import FarSystem
from runner_fakes import limits
from test_console_sender import AGENT

from hil import ssh_sender
from hil.errors import AgentLost, TimeLimit
from hil.limits import Deadline, Limits, measured_scale
from hil.native import start_agent
from hil.process import start_bound
from hil.sent_agent import AgentFile
from hil.ssh_address import SshAddress
from hil.ssh_sender import SshSender

USER = "hiltest"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A dropbear with a user whose home is `home`. `config`: the client's ssh_config, with the key that is let in."""

    home: Path
    config: Path
    port: int
    public_key: str

    @property
    def address(self) -> SshAddress:
        return SshAddress.parse(f"{USER}@127.0.0.1:{self.port}", self.config)

    def allow(self, options: str = "") -> None:
        """Lets the key in; options as in authorized_keys."""
        (self.home / ".ssh/authorized_keys").write_text(f"{options} {self.public_key}".lstrip())

    def know(self) -> None:
        """Makes the server's key a known one."""
        keys = subprocess.run(
            ["ssh-keyscan", "-p", str(self.port), "127.0.0.1"], capture_output=True, text=True, check=True
        )
        (self.home.parent / "known_hosts").write_text(keys.stdout)


def _make(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """With its key known to the client and the client's key known to it."""
    home, key, passwd = tmp_path / "home", tmp_path / "key", tmp_path / "passwd"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    _make("dropbearkey", "-t", "ed25519", "-f", tmp_path / "host_key")
    _make("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    passwd.write_text(f"{USER}:x:{os.getuid()}:{os.getgid()}::{home}:/bin/sh\n")
    (tmp_path / "group").write_text(f"{USER}:x:{os.getgid()}:\n")
    config = tmp_path / "ssh_config"
    config.write_text(
        f"IdentityFile {key}\nIdentitiesOnly yes\nIdentityAgent none\n"
        f"UserKnownHostsFile {tmp_path}/known_hosts\nGlobalKnownHostsFile /dev/null\n"
    )
    port = free_port()
    wrapped = {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_PASSWD": passwd, "NSS_WRAPPER_GROUP": tmp_path / "group"}
    words = ["env", *(f"{name}={value}" for name, value in wrapped.items())]
    words += ["dropbear", "-F", "-E", "-m", "-p", f"127.0.0.1:{port}"]
    words += ["-r", str(tmp_path / "host_key"), "-P", str(tmp_path / "pid")]
    with (tmp_path / "server.log").open("wb") as log:
        process = start_bound(words, log)
    made = Server(home, config, port, key.with_suffix(".pub").read_text())
    try:
        _await(port, tmp_path / "server.log")
        made.allow()
        made.know()
        yield made
    finally:
        process.kill()
        process.wait()


def _await(port: int, log: Path) -> None:
    end = time.monotonic() + 10 * measured_scale()
    while time.monotonic() < end:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the ssh server does not listen: {log.read_text()}")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[FarSystem]:
    (tmp_path / "system").mkdir()
    made = FarSystem(tmp_path / "system")
    yield made
    made.close()


def deadline(seconds: float = 60.0) -> Deadline:
    return Deadline(limits(seconds * measured_scale()), "send", "ssh")


def send(system: FarSystem, address: SshAddress, agent: AgentFile, until: Deadline | None = None) -> str:
    return SshSender(address, lambda machine: agent).send(system.watch, until or deadline(), lambda text: None)


def test_the_agent_comes_by_ssh_and_answers_on_the_console(
    server: Server, system: FarSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_sender, "DIRECTORIES", ("/proc", str(tmp_path)))
    agent = AgentFile(AGENT.read_bytes())
    path = send(system, server.address, agent)
    assert Path(path).read_bytes() == agent.content and path.startswith(str(tmp_path))
    answer = start_agent(system.watch, deadline(30), path).run("echo $((6*7)); exit 3", deadline(20))
    assert (answer.code, answer.out) == (3, b"42\n")


def test_what_a_login_says_first_does_no_harm(
    server: Server, system: FarSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_sender, "DIRECTORIES", (str(tmp_path),))
    login = tmp_path / "login"
    login.write_text('#!/bin/sh\necho welcome to the lab\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    login.chmod(0o700)
    server.allow(f'command="{login}"')
    assert Path(send(system, server.address, AgentFile(AGENT.read_bytes()))).exists()


def test_an_unknown_host_is_no_question(server: Server, system: FarSystem, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").unlink()
    with pytest.raises(AgentLost, match=rf"ssh to {USER}@127.0.0.1:.*Host key verification failed.*see to the known"):
        send(system, server.address, AgentFile(b""))


def test_another_host_key_is_an_error(server: Server, system: FarSystem, tmp_path: Path) -> None:
    other = tmp_path / "other"
    _make("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other)
    public = other.with_suffix(".pub").read_text()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {public}")
    with pytest.raises(AgentLost, match="Host key verification failed"):
        send(system, server.address, AgentFile(b""))


def test_a_password_is_asked_of_nobody(server: Server, system: FarSystem) -> None:
    (server.home / ".ssh/authorized_keys").write_text("")
    with pytest.raises(AgentLost, match="Permission denied.*nobody is asked for a password"):
        send(system, server.address, AgentFile(b""))


def test_a_server_that_is_silent(system: FarSystem, tmp_path: Path) -> None:
    (tmp_path / "ssh_config").touch()
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = SshAddress.parse(f"{USER}@127.0.0.1:{silent.getsockname()[1]}", tmp_path / "ssh_config")
        with pytest.raises(AgentLost, match="timed out"):
            send(system, address, AgentFile(b""), Deadline(Limits({"send": 60.0, "ssh-connect": 1.0}), "send", "ssh"))


def test_a_session_that_hangs_ends_at_the_limit(server: Server, system: FarSystem) -> None:
    server.allow('command="sleep 100"')
    with pytest.raises(TimeLimit, match="'send' passed its limit"):
        send(system, server.address, AgentFile(b""), Deadline(limits(3), "send", "ssh"))

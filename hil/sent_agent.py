# SPDX-License-Identifier: Apache-2.0
"""The agent as it is sent to a system that has none: which build of it, where it may go, how it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hil import places
from hil.errors import AgentLost
from hil.limits import Deadline
from hil.shell import RootShell
from hil.watch import Watch

IMAGE_AGENT = "/hil/hil-agent"
"""Where our own images have it."""
DIRECTORIES = ("/run", "/dev/shm", "/tmp", "/var/tmp", "/root")
"""Where a far side can have room for a program: those in memory first. Some of them are mounted noexec."""
BUILDS = {
    "aarch64": "arm64/root/hil-agent",
    "x86_64": "host/root/hil-agent",
}
"""The agent by what `uname -m` says, below the build directory. All are static."""


def version() -> str:
    """What an agent that we can talk to says to --version."""
    import _hil  # checked by hil.native.library() before anything is sent

    return f"hil-agent {_hil.AGENT_PROTOCOL}"


@dataclass(frozen=True)
class AgentFile:
    """A build of the agent. `version` is what it says to --version."""

    content: bytes
    version: str = field(default_factory=version)

    @property
    def directory(self) -> str:
        """The name of a directory for this content alone."""
        return f".hil-agent-{hashlib.sha256(self.content).hexdigest()[:12]}"


class StartAgent(Protocol):
    """Starts the agent in the root cell by typing its path into the shell; the RootShell that speaks with it."""

    def __call__(self, watch: Watch, deadline: Deadline, path: str = IMAGE_AGENT) -> RootShell:
        """AgentMissing when there is none at that path, AgentLost when it does not answer."""


class Sender(Protocol):
    """A way to bring the agent to a far side that has none."""

    name: str
    """`ssh` or `console`."""

    def send(self, watch: Watch, deadline: Deadline, tell: Callable[[str], None]) -> str:
        """Brings the agent there and sees that it runs; its path there. `tell` is told how it goes. AgentLost."""


def agent_for(machine: str) -> AgentFile:
    """The agent for a machine of that name (`uname -m`). AgentLost when there is none."""
    if machine not in BUILDS:
        raise AgentLost(f"there is no agent for a machine '{machine[:20]}', only for {', '.join(BUILDS)}")
    path = places.build() / BUILDS[machine]
    return AgentFile(read(path))


def read(path: Path) -> bytes:
    """A build of the agent; AgentLost when it is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise AgentLost(f"the agent {path} cannot be read ({error.strerror}); bin/hil builds it") from error

# SPDX-License-Identifier: Apache-2.0
"""Where a system can be reached by ssh, as target.yaml names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FORM = re.compile(
    r"(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*)(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True)
class SshAddress:
    """`config`: an ssh_config(5) of the target's own (keys, known hosts, jumps); None: the user's."""

    user: str
    host: str
    port: int | None = None
    config: Path | None = None

    @staticmethod
    def parse(text: str, config: Path | None = None) -> SshAddress:
        """Reads `user@host[:port]`. ValueError for anything else: a word of ssh must not look like an option."""
        match = FORM.fullmatch(text)
        if match is None or not 0 < int(match["port"] or 22) < 65536:
            raise ValueError(f"ssh: '{text}' is not user@host or user@host:port")
        return SshAddress(match["user"], match["host"], int(match["port"]) if match["port"] else None, config)

    def words(self, connect_seconds: int) -> list[str]:
        """The command line of the system's ssh without the command: it asks nobody for anything."""
        settings = {
            "BatchMode": "yes",  # no password, no passphrase, no question about a host's key
            "ConnectTimeout": connect_seconds,
            "ServerAliveInterval": max(5, connect_seconds // 2),  # a line that died ends the session
            "ServerAliveCountMax": 3,
        }
        options = ["-T", "-a", "-x", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
        config = ["-F", str(self.config)] if self.config is not None else []
        port = ["-p", str(self.port)] if self.port is not None else []
        return ["ssh", *config, *options, *port, "--", f"{self.user}@{self.host}"]

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port is not None else "")

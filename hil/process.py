# SPDX-License-Identifier: Apache-2.0
"""Processes that must not outlive us, and how to know one again later (pid and start time, never pid alone)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hil.errors import InfrastructureError


@dataclass(frozen=True)
class ProcessId:
    """A process of this boot: `start` is in clock ticks since boot (field 22 of /proc/PID/stat, proc(5))."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The identity of a living process; None when there is none or it is a zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), boot_id())

    def alive(self) -> bool:
        """Whether this very process still runs, not another one that got its number."""
        return ProcessId.of(self.pid) == self

    def end(self, patience: float) -> bool:
        """Kills it (its group too when it leads one). True when it is gone within `patience` seconds."""
        if not self.alive():
            return True
        try:
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        end = time.monotonic() + patience
        while self.alive() and time.monotonic() < end:
            time.sleep(0.02)
        return not self.alive()


def boot_id() -> str:
    """The host's boot: process start times mean nothing in another one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_bound(command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, so that Ctrl-C does not reach it, killed by the kernel when we die.

    setpriv (util-linux) sets PR_SET_PDEATHSIG and executes the command in its place: the pid is the command's.
    """
    if shutil.which(command[0]) is None:
        raise InfrastructureError(
            f"cannot start {command[0]}: there is no such program; `hil doctor` names the package"
        )
    # We may die before setpriv has done its work: then the parent is another one by now, and nothing is started.
    guard = ["sh", "-c", f'[ "$PPID" = {os.getpid()} ] && exec "$@"', "sh"]
    bound = ["setpriv", "--pdeathsig", "KILL", "--", *guard, *command]
    try:
        return subprocess.Popen(
            bound, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise InfrastructureError(f"cannot start {command[0]}: {error.strerror} ({error.filename})") from error

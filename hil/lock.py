# SPDX-License-Identifier: Apache-2.0
"""One run at a time on a target: a lock file that names its holder."""

from __future__ import annotations

import fcntl
import getpass
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from hil import places
from hil.errors import InfrastructureError
from hil.names import harmless
from hil.run_directory import writing


def _user() -> str:
    """The user's name, or number where it has none (a container's user often has none)."""
    try:
        return getpass.getuser()
    except KeyError:
        return f"user {os.getuid()}"


def _check_owner(directory: Path) -> None:
    """InfrastructureError when the directory is another user's: a lock there could be a link to anything of ours."""
    about = directory.lstat()
    if about.st_uid not in (os.getuid(), 0) or (about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX):
        raise InfrastructureError(
            f"cannot lock the target: {directory} is not yours alone (it belongs to user {about.st_uid}, mode "
            f"{stat.filemode(about.st_mode)}); have it removed, or set HIL_LOCKS to a directory of your own"
        )


class TargetLock:
    """flock(2) on <locks>/<target>.lock; the kernel lets go of it when the holder dies, whatever way."""

    def __init__(self, target: str, purpose: str, directory: Path | None = None) -> None:
        self._target = target
        self._purpose = purpose
        self._path = (directory or places.locks()) / f"{harmless(target)}.lock"
        self._fd = -1

    def acquire(self, patience: float = 0.0, waiting: Callable[[str], None] = lambda holder: None) -> None:
        """Takes the lock. While another holds it, tries on for `patience` seconds, telling `waiting` the holder once.

        InfrastructureError with the holder's name when it stays taken.
        """
        with writing(self._path, "HIL_LOCKS"):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.environ.get("HIL_LOCKS"):  # in a place that everybody may write to
                _check_owner(self._path.parent)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        end = time.monotonic() + patience
        told = False
        while not self._try():
            holder = self.holder()
            if time.monotonic() >= end:
                os.close(self._fd)
                self._fd = -1
                raise InfrastructureError(
                    f"target '{self._target}' is in use by {holder}; wait for it, or let hil wait with --wait SECONDS"
                )
            if not told:
                waiting(holder)
                told = True
            time.sleep(0.1)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{_user()}, pid {os.getpid()}: {self._purpose}".encode(), 0)

    def holder(self) -> str:
        """Who holds it, in words."""
        try:
            text = self._path.read_text(errors="replace").strip()
        except OSError:
            text = ""
        return text or "another run"

    def release(self) -> None:
        """Lets go; nothing happens when it is not held."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def _try(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __enter__(self) -> TargetLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

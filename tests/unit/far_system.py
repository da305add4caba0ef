# SPDX-License-Identifier: Apache-2.0
"""A foreign system for tests: a real shell on a pty, with the programs that a test lets it have."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
import tty
from collections.abc import Sequence
from pathlib import Path

from runner_fakes import FakePower

import _hil
from hil.native import NativeConsole
from hil.watch import Watch

USUAL = "sh mkdir chmod rm cat wc cksum md5sum base64 gzip xz uname stty dmesg sleep".split()


class FarSystem:
    """A shell with a PATH of its own on the inner end of a pty; the console's line, with `chaos`, is the outer end."""

    def __init__(
        self,
        directory: Path,
        programs: Sequence[str] = USUAL,
        shell: Sequence[str] = ("busybox", "sh"),
        chaos: str = "",
        bytes_per_ms: int = 0,
    ) -> None:
        self.files = directory / "far"
        self.bin = directory / "bin"
        self._raw = directory / "console.raw"
        for path in (self.files, self.bin):
            path.mkdir(exist_ok=True)
        busybox = shutil.which("busybox")
        assert busybox is not None, "busybox is missing: packages.txt names it"
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in programs:
            program = busybox if name in applets else shutil.which(name)
            assert program is not None, f"{name} is missing on this host"
            (self.bin / name).symlink_to(program)
        outer, inner = pty.openpty()
        program = shutil.which(shell[0])
        assert program is not None, f"{shell[0]} is missing"
        self.shell = subprocess.Popen(
            [program, *shell[1:]],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            cwd=self.files,
            env={"PATH": str(self.bin), "PS1": "far# ", "HOME": str(self.files), "TERM": "dumb"},
            start_new_session=True,
            preexec_fn=lambda: _take_terminal(0),  # noqa: PLW1509 - the terminal must be the shell's
        )
        tty.setraw(outer)
        self._inner = inner
        native = _hil.Console(
            f"fd:{outer}",
            str(self._raw),
            str(directory / "console.times"),
            start=time.monotonic(),
            chaos=chaos,
            bytes_per_ms=bytes_per_ms,
        )
        os.close(outer)
        native.wait_open(5)
        self.console = NativeConsole(native, lambda text: None, None)
        self.watch = Watch(self.console, FakePower(), lambda trap: None)

    def close(self) -> None:
        """Ends the shell and what runs in it."""
        self.shell.kill()
        self.shell.wait()
        os.close(self._inner)
        self.console.close()

    @property
    def raw(self) -> bytes:
        """Every byte that came from the far side so far."""
        return self._raw.read_bytes()


def _take_terminal(fd: int) -> None:
    """Makes the terminal the controlling one, so that Ctrl-C means something."""
    import fcntl
    import termios

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)

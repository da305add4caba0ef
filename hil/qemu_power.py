# SPDX-License-Identifier: Apache-2.0
"""Power of an emulated machine: a QEMU process with its console on a Unix socket in a private directory."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from hil.errors import MachineDied
from hil.limits import Deadline, Limits
from hil.process import ProcessId, start_bound
from hil.qmp import NoAnswer, ask
from hil.target import QemuMachine


class QemuPower:
    """See Power. `hold` is told the process as soon as it exists, so that a later run can find it. Of `limits` it keeps
    `power`, `control` and `off`.
    """

    def __init__(
        self,
        machine: QemuMachine,
        kernel: Path,
        initrd: Path,
        scratch: Path,
        log: Path,
        hold: Callable[[ProcessId], None],
        limits: Limits,
    ) -> None:
        self.console_socket = scratch / "console"
        self._control = scratch / "control"
        self._log = log
        self._hold = hold
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self.command = self._command(machine, kernel, initrd)

    def _command(self, machine: QemuMachine, kernel: Path, initrd: Path) -> list[str]:
        return [
            machine.program,
            *machine.model(),
            *("-kernel", str(kernel)),
            *("-initrd", str(initrd)),
            *("-append", machine.kernel_args),
            *("-display", "none", "-nic", "none", "-no-reboot"),
            # The machine starts when the console is connected: no byte is lost.
            *("-chardev", f"socket,id=console,path={self.console_socket},server=on,wait=on"),
            *("-serial", "chardev:console"),
            *("-qmp", f"unix:{self._control},server=on,wait=off"),
        ]

    def on(self) -> None:
        """Starts QEMU and waits until its console socket is there."""
        with self._log.open("wb") as log:
            self._process = start_bound(self.command, log)
        if identity := ProcessId.of(self._process.pid):
            self._hold(identity)
        deadline = Deadline(self._limits, "power", "QEMU's console socket")
        while not self.console_socket.exists():
            if how := self.died():
                raise MachineDied(how)
            deadline.check(lambda: f"QEMU runs{self._said()}")
            time.sleep(0.01)  # between two looks

    def off(self) -> None:
        """Kills QEMU and waits for it. TimeLimit when it is still there: the kernel does not let go of it."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        deadline = Deadline(self._limits, "off", f"the end of QEMU, pid {process.pid}, which was killed")
        while process.poll() is None:
            deadline.check()
            time.sleep(0.005)  # between two looks

    def died(self) -> str | None:
        """See Power."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended by itself with code {code}"
        return f"QEMU {how}{self._said()}"

    def condition(self) -> str:
        """See Power."""
        if self._process is None:
            return "the machine is off"
        if how := self.died():
            return how
        try:
            limit = self._limits.stretched("control")
            status = ask(self._control, "query-status", limit).get("status", "unknown")
        except NoAnswer:
            return "QEMU does not answer its control socket: it hangs or is stopped"
        return f"QEMU says that the machine is {status}"

    def _said(self) -> str:
        """QEMU's own last line."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        lines = [line for line in lines if ": info: " not in line]
        return f": {lines[-1]}" if lines else " without a word"

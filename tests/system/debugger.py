# SPDX-License-Identifier: Apache-2.0
"""QEMU's debugger stub: changes physical memory behind everybody's back. GDB manual, appendix E: Remote Serial
Protocol; `Qqemu.PhyMemMode` is QEMU's extension."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path


PACKET = re.compile(rb"\$([^#]*)#..")


def tell_monitor(control: Path, line: str) -> None:
    """One line for QEMU's human monitor, over its control socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(control))
        stream = connection.makefile("rw", encoding="utf-8")
        stream.readline()  # greeting
        arguments = {"command-line": line}
        for command in ({"execute": "qmp_capabilities"}, {"execute": "human-monitor-command", "arguments": arguments}):
            stream.write(json.dumps(command) + "\n")
            stream.flush()
            while "return" not in (answer := json.loads(stream.readline())):
                assert "error" not in answer, answer


class Debugger:
    """Stops the machine for its scope."""

    def __init__(self, control: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        path = control.with_name("debugger")
        tell_monitor(control, f"gdbserver unix:{path},server=on,wait=off")
        for _ in range(100):
            if path.exists():
                break
            time.sleep(0.05)
        self._socket.connect(str(path))
        self._said = b""

    def __enter__(self) -> Debugger:
        self.ask("?")
        assert self.ask("Qqemu.PhyMemMode:1") == "OK"
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("D")
        self._socket.close()

    def ask(self, text: str) -> str:
        """The answer to a packet. That the machine stopped (`T…`) is told without being asked, too, when it did."""
        self._socket.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())
        while (answer := self._packet()).startswith("T") and text != "?":
            pass
        return answer

    def _packet(self) -> str:
        while not (found := PACKET.search(self._said)):
            part = self._socket.recv(4096)
            assert part, "the debugger stub closed the line"
            self._said += part
        self._said = self._said[found.end() :]
        self._socket.sendall(b"+")
        return found[1].decode()

    def write(self, address: int, data: bytes) -> None:
        """Physical memory; code that was translated from it is translated anew."""
        assert self.ask(f"M{address:x},{len(data):x}:{data.hex()}") == "OK"

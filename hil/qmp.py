# SPDX-License-Identifier: Apache-2.0
"""One question over QEMU's control socket (QMP), with a limit of its own: a hanging QEMU does not answer."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class NoAnswer(Exception):
    """QEMU did not answer in time or sent something else."""


def ask(path: Path, command: str, seconds: float) -> dict[str, Any]:
    """The `return` object of a QMP command (QEMU Machine Protocol specification)."""
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(seconds)
            control.connect(str(path))
            stream = control.makefile("rw", encoding="utf-8")
            stream.readline()  # greeting
            for name in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": name}) + "\n")
                stream.flush()
                answer = _answer(stream)
            return answer
    except (OSError, ValueError, KeyError) as error:
        raise NoAnswer(str(error)) from error


def _answer(stream: Any) -> dict[str, Any]:
    while line := stream.readline():
        message = json.loads(line)
        if "return" in message:
            result = message["return"]
            return result if isinstance(result, dict) else {"value": result}
        if "error" in message:
            raise NoAnswer(str(message["error"]))
    raise NoAnswer("the control socket was closed")

# SPDX-License-Identifier: Apache-2.0
"""What the runner needs of a console, and the one it gets from the C++ library."""

from __future__ import annotations

from typing import Any, Protocol


class Console(Protocol):
    """The owner of a port. It logs every byte with its time; what it hands out is for dialogue and judgement."""

    def write(self, data: bytes) -> None:
        """Sends bytes to the machine. ConsoleLost when the line takes none and will not come back."""

    def seconds_for(self, count: int) -> float:
        """How long the line itself needs for so many bytes one way; 0 when that does not matter."""

    def read(self, seconds: float) -> bytes:
        """The next bytes that are no agent frames; empty when none came in time. ConsoleLost at the end."""

    def take_traps(self, final: bool = False) -> list[dict[str, Any]]:
        """Traps decoded since the last call, as `hil explain --json` prints them. `final`: no more bytes will come."""

    def report_pending(self) -> bool:
        """Whether something that looks like a trap report is on the line and not yet whole."""

    def text_of(self, writer: str) -> int:
        """Bytes of text so far by one writer: `kernel`, `hypervisor`, `unattributed`, or `agent` (what its damaged
        frames left). Whole frames do not count."""

    def silent_for(self) -> float:
        """Seconds since the last byte of any kind."""

    def close(self) -> None:
        """Lets go of the port. The log is whole."""

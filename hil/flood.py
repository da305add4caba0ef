# SPDX-License-Identifier: Apache-2.0
"""Recognises a writer that floods the console: text that nobody owns, fast and without a pause."""

from __future__ import annotations

import time
from collections.abc import Callable

RATE = 4000.0
"""Bytes a second: a third of what a line of 115200 baud carries. Cells that print what they measured are far below."""
SECONDS = 5.0
"""How long the rate must hold, in every single second. A dump or a greeting is over before."""
SLICE = 1.0


class FloodGauge:
    """Fed with a growing count of bytes, says when it has grown too fast for too long. Uses the monotonic clock."""

    def __init__(self, rate: float = RATE, seconds: float = SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._seconds = seconds
        self._now = now
        self._start: tuple[float, int] | None = None
        self._slice: tuple[float, int] = (0.0, 0)

    def feed(self, total: int) -> float | None:
        """Bytes a second since the flood began, when it is one by now."""
        now = self._now()
        if self._start is None:
            self._start = self._slice = (now, total)
            return None
        since, before = self._slice
        if now - since < SLICE:
            return None
        if (total - before) / (now - since) < self._rate:
            self._start = (now, total)
        self._slice = (now, total)
        begun, first = self._start
        return (total - first) / (now - begun) if now - begun >= self._seconds else None

    def reset(self) -> None:
        """Begins anew."""
        self._start = None

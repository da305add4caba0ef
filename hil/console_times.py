# SPDX-License-Identifier: Apache-2.0
"""console.times: when each stretch of console.raw arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ConsoleTime:
    """The byte at `offset` of console.raw arrived `seconds` after the run's start."""

    offset: int
    seconds: float


def parse_console_times(lines: Iterable[str]) -> Iterator[ConsoleTime]:
    """console.times: lines of `<offset> <ns since start>`. Lines that a kill cut short are skipped: they only date."""
    for line in lines:
        words = line.split()
        if len(words) == 2 and all(word.isdigit() for word in words):
            yield ConsoleTime(int(words[0]), int(words[1]) / 1e9)

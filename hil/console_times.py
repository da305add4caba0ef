# SPDX-License-Identifier: Apache-2.0
"""console.times: when each piece of console.raw arrived, to the nanosecond.

After the line HEADER come numbers in LEB128 (seven bits a byte, the lowest first, bit 7: more follow). A piece is two:
the bytes and the nanoseconds since the piece before it began. A 0 in the bytes' place says that the two after it count
from the start of console.raw and of the run: the first piece, and the first one after a pause of the log. A piece that
a kill cut short is left out; it only dates. Old runs have lines of `<offset> <ns since the run's start>` instead.

`python3 -m hil.console_times FILE` shows either as such lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER = b"hil console.times 2\n"
"""Also in hil/lib/console_log.cpp."""
LONGEST = 10
"""Bytes of a number of 64 bits."""


@dataclass(frozen=True)
class ConsoleTime:
    """The byte at `offset` of console.raw arrived `seconds` after the run's start."""

    offset: int
    seconds: float


def parse_console_times(data: bytes) -> Iterator[ConsoleTime]:
    """The content of a console.times, of either form."""
    for offset, ns in pieces(data):
        yield ConsoleTime(offset, ns / 1e9)


def pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Offset and nanoseconds since the run's start of each piece."""
    if data.startswith(HEADER):
        yield from _numbered(_numbers(data[len(HEADER) :]))
        return
    for line in data.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) <= 20 for word in words):
            yield int(words[0]), int(words[1])


def console_times(pieces_: Iterable[tuple[int, int]]) -> bytes:
    """The content of a console.times with these pieces, in the order of their offsets and times."""
    out = bytearray(HEADER)
    before: tuple[int, int] | None = None
    for offset, ns in pieces_:
        if before is None or offset <= before[0] or ns < before[1]:
            out += _leb128(0) + _leb128(offset) + _leb128(ns)
        else:
            out += _leb128(offset - before[0]) + _leb128(ns - before[1])
        before = offset, ns
    return bytes(out)


def _numbered(numbers: Iterator[int]) -> Iterator[tuple[int, int]]:
    offset = ns = 0
    for first in numbers:
        second = next(numbers, None)
        if first == 0 and second is not None:
            offset, ns, second = second, 0, next(numbers, None)
        else:
            offset += first
        if second is None:
            return
        ns += second
        yield offset, ns


def _numbers(data: bytes) -> Iterator[int]:
    """What is no number ends them: nothing behind it can be relied on."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
        elif shift >= 7 * LONGEST:
            return


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


if __name__ == "__main__":
    for at, nanoseconds in pieces(Path(sys.argv[1]).read_bytes()):
        print(at, nanoseconds)

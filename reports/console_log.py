# SPDX-License-Identifier: Apache-2.0
"""The console's bytes as lines that are safe to show: dated, attributed to a writer, control characters made visible.

Several writers share one console and splice each other. A line is attributed only where its own text proves its writer
(a kernel time stamp, a text that the hypervisor alone prints, an agent's frame); everything else stays unattributed.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hil.console_times import ConsoleTime

# CSI, OSC (with either end) and two-byte escape sequences, as ECMA-48 defines them.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# Marks that reorder text or take no room could make a line read as something else than what was printed.
_INVISIBLE = re.compile(r"[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\ufffe\uffff]")

# Frames of the agent (bench/core/frame.hpp). In the high lane they set bit 7 of each character, so that ASCII of other
# writers that fell into a frame can be told apart and is kept; in the plain lane a frame is one run of digits. One that
# lost its end must not take more of others' UTF-8 with it than a frame is long: kMaxText without its first and last.
_HIGH_FRAME = re.compile("\xfe(?:[\x00-\x7f]*[\x80-\xfc]){0,1301}(?:[\x00-\x7f]*\xfd)?")
_PLAIN_FRAME = re.compile(r"~\{[^~{}\x00-\x09\x20\x7f-\xff]{20,1400}\}")
_HIGH = re.compile("[\x80-\xff]")
_GONE = "\ue000"
MAX_LINE = 600

_KERNEL = re.compile(r"^\[ *\d+\.\d{6}\]")
_AGENT = re.compile(r"^hil-(?:agent: |record [0-9a-f]{8} )")
_HYPERVISOR = re.compile(
    r"^(?:Initializing (?:Jailhouse|gaol|processors|unit)|Code location: |Page pool usage |Activating hypervisor|"
    r"Adding virtual PCI device |Shared memory connection |(?:Created|Started|Closing) cell \"|Cell \"[^\"]*\" can be |"
    r"Shutting down hypervisor| Releasing CPU |Timeout expired while waiting for reply|Config of (?:a )?cell |"
    r" CPU \d|Unhandled |FATAL: |Parking CPU |Stopping CPU |Cell state before |Hypervisor st(?:ate|ack) before |"
    r"Physical address: 0x|(?: pc| sp| x\d+): [0-9a-f]{8}|pc=0x|r\d+=0x)"
)


@dataclass(frozen=True)
class ConsoleLine:
    """One line. `seconds`: when its first byte arrived, None when unknown. `writer`: see the module's words."""

    seconds: float | None
    writer: str
    text: str


def printable(text: str) -> str:
    """`text` without escape sequences, with every other control character as its Unicode picture (ESC: ␛)."""
    text = _ESCAPE.sub("", text)
    text = _CONTROL.sub(lambda m: _picture(ord(m.group())), text)
    return _INVISIBLE.sub("\ufffd", text)


def _picture(code: int) -> str:
    if code == 0x7F:
        return "\u2421"
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def writer_of(text: str) -> str:
    if _AGENT.search(text):
        return "agent"
    if _KERNEL.match(text):
        return "kernel"
    if _HYPERVISOR.match(text):
        return "hypervisor"
    return ""


def console_lines(raw: bytes, times: Sequence[ConsoleTime] = (), tail: int | None = None) -> list[ConsoleLine]:
    """The lines of console.raw, or the last `tail` of them that are not empty."""
    offsets = [time.offset for time in times]
    lines: list[ConsoleLine] = []
    offset = 0
    for piece in without_frames(raw).split("\n"):
        text = _shortened(printable(text_of(piece.strip("\r")).decode("utf-8", "replace")))
        if text.strip():
            lines.append(ConsoleLine(_when(offset, offsets, times), writer_of(text), text))
        offset += len(piece) + 1
    return lines if tail is None else lines[-tail:]


def text_of(piece: str) -> bytes:
    """The bytes of a piece of without_frames() that are nobody's frame."""
    return piece.replace(_GONE, "").encode("latin-1")


def without_frames(raw: bytes) -> str:
    """`raw` as Latin-1, one character a byte so that offsets hold, what belongs to frames of the agent as _GONE: bytes
    are to be had of it by text_of()."""
    text = _PLAIN_FRAME.sub(lambda m: _GONE * len(m.group()), raw.decode("latin-1"))
    return _HIGH_FRAME.sub(lambda m: _HIGH.sub(_GONE, m.group()), text)


def _shortened(text: str) -> str:
    """A record is one line of many thousand characters; its start is enough to know it by."""
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} … ({len(text) - MAX_LINE} more characters)"


def _when(offset: int, offsets: Sequence[int], times: Sequence[ConsoleTime]) -> float | None:
    index = bisect.bisect_right(offsets, offset) - 1
    return times[index].seconds if index >= 0 else None


BRIEF = 360


def brief(text: str) -> str:
    """The start of a text that may hold half a console, cut at a blank; the whole when it is short."""
    if len(text) <= BRIEF:
        return text
    start = text[:BRIEF]
    return (start.rsplit(None, 1)[0] if len(start.split()) > 1 else start) + " …"

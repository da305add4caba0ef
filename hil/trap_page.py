# SPDX-License-Identifier: Apache-2.0
"""An explained text as a page for a terminal: what to do first, then the decoded dump, then what the paste lacks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from hil.harmless_text import harmless_line

WIDTH = 100
NOTHING = "No trap found."
HINT = (
    "A report of the hypervisor begins with a line such as `Unhandled data read at 0x...(4)` or `FATAL: ...` and ends "
    "with `Parking CPU n (Cell: ...)`. Paste it as it stood on the console; a text that was typed again is not read."
)


def page(result: dict[str, Any]) -> str:
    """The whole answer. Nothing in it can steer the terminal."""
    lines = [line for part in _parts(result) for line in part]
    return "\n".join(harmless_line(line) for line in lines)


def _parts(result: dict[str, Any]) -> Iterator[list[str]]:
    events = result["events"]
    if not events:
        yield [NOTHING]
        yield from _nothing()
        return
    for number, event in enumerate(events, 1):
        title = f"Trap {number} of {len(events)}, " if len(events) > 1 else "Trap, "
        first, last = event["lines"]
        span = f"line {first}" if first == last else f"lines {first}-{last}"
        yield [f"== {title}{span}, confidence {round(event['confidence'] * 100)} %", ""]
        yield textwrap.wrap(event["summary"] or "", WIDTH, break_on_hyphens=False) + [""]
        yield from _fix(event)
        yield list(_dump(event)) + [""]
    if result["missing"]:
        yield ["== Missing from the text"]
        yield [f"  - {what}" for what in result["missing"]]


def _nothing() -> Iterator[list[str]]:
    yield textwrap.wrap(HINT, WIDTH, break_on_hyphens=False)


def _fix(event: dict[str, Any]) -> Iterator[list[str]]:
    if event["fix_yaml"]:
        yield ["   as YAML:"] + [f"      {line}" for line in event["fix_yaml"].splitlines()]
    if event["fix_c"]:
        yield ["   as C:"] + [f"      {line}" for line in event["fix_c"].expandtabs(4).splitlines()]
    if event["fix_yaml"] or event["fix_c"]:
        yield [""]


def _dump(event: dict[str, Any]) -> Iterator[str]:
    access = " ".join(str(event[key]) for key in ("kind", "access") if event[key])
    facts = [
        ("architecture", event["arch"]),
        ("access", access),
        ("address", event["address"]),
        ("size", event["size"]),
        ("device", event["device"]),
        ("cell", event["cell"]),
        ("cpu", event["cpu"]),
        ("outcome", event["outcome"]),
        ("pc", event["pc"]),
        ("place", event["place"]),
        ("mode", event["mode"]),
        ("syndrome", (event["syndrome"] or {}).get("text")),
    ]
    for name, value in facts:
        mark = "  (inferred)" if name in event["inferred"] else ""
        shown = "not in the text" if value is None else value
        if value is None and name in ("device", "place", "mode", "syndrome", "size"):
            continue
        yield f"  {name:>12}  {shown}{mark}"
    yield from _registers(event["registers"])


def _registers(registers: dict[str, str]) -> Iterator[str]:
    cells = [f"{name:>14} {value:<18}" for name, value in registers.items()]
    for start in range(0, len(cells), 3):
        yield "".join(cells[start : start + 3]).rstrip()

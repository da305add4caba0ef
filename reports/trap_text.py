# SPDX-License-Identifier: Apache-2.0
"""A decoded trap in words. Reads the object that `hil explain --json` gives; a field that is absent stays unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.console_log import printable

# Shown in this order, under these names, when the decoder knew them. A syndrome comes as an object with its text.
_FACTS = (
    ("cell", "cell"),
    ("cpu", "CPU"),
    ("outcome", "outcome"),
    ("arch", "architecture"),
    ("kind", "kind"),
    ("access", "access"),
    ("address", "address"),
    ("size", "size"),
    ("device", "device"),
    ("pci_device", "PCI device"),
    ("code", "hypercall code"),
    ("pc", "pc"),
    ("place", "place"),
    ("mode", "mode"),
    ("exception_class", "exception class"),
    ("syndrome", "syndrome"),
    ("messages", "messages"),
    ("notes", "notes"),
    ("inferred", "inferred"),
    ("missing", "missing"),
    ("confidence", "confidence"),
)


def plain(value: object) -> str:
    """A field's value as safe text: lists by line, objects as `name: value` lines."""
    if isinstance(value, Mapping):
        return "\n".join(f"{printable(str(k))}: {plain(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return "\n".join(plain(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(printable(line.rstrip("\r")) for line in str(value).split("\n"))


def known(trap: Mapping[str, Any], key: str) -> str:
    """The field as text, empty when the decoder left it open."""
    value = trap.get(key)
    if key == "syndrome" and isinstance(value, Mapping):
        value = f"{value.get('value', '')} {value.get('text', '')}".strip()
    if key == "confidence" and isinstance(value, float):
        value = f"{value:.0%}"
    return "" if value is None or value in ("", "unknown", {}, []) else plain(value)


def headline(trap: Mapping[str, Any]) -> str:
    """One line: what was done, where, by whom, and what became of it."""
    kind, access, address = known(trap, "kind"), known(trap, "access"), known(trap, "address")
    words = [f"{kind} {access}".strip() or "trap"]
    if known(trap, "size"):
        words.append(f"of {known(trap, 'size')} bytes")
    if address:
        words.append(f"at {address}")
    if known(trap, "device"):
        words.append(f"({known(trap, 'device')})")
    if known(trap, "cell"):
        words.append(f"by cell \"{known(trap, 'cell')}\"")
    if known(trap, "cpu"):
        words.append(f"on CPU {known(trap, 'cpu')}")
    text = " ".join(words).replace("\n", " ")
    return text + (f": {known(trap, 'outcome')}" if known(trap, "outcome") else "")


def facts(trap: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(label, known(trap, key)) for key, label in _FACTS if known(trap, key)]


def registers(trap: Mapping[str, Any]) -> list[tuple[str, str]]:
    value = trap.get("registers")
    return [(plain(k), plain(v)) for k, v in value.items()] if isinstance(value, Mapping) else []


def fixes(trap: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do, as (label, text): in words, then as the lines of a config in each of its forms."""
    labels = (("fix", "Fix"), ("fix_yaml", "As YAML"), ("fix_c", "As C"))
    return [(label, known(trap, key)) for key, label in labels if known(trap, key)]


def _sections(trap: Mapping[str, Any]) -> Iterator[str]:
    yield headline(trap)
    if known(trap, "cause"):
        yield f"Cause: {known(trap, 'cause')}"
    for label, text in fixes(trap):
        yield f"{label}: {text}" if "\n" not in text else f"{label}:\n{text}"
    yield "\n".join(f"{label:>16}  {value}" for label, value in facts(trap))
    if registers(trap):
        yield "\n".join(f"{name:>16}  {value}" for name, value in registers(trap))
    yield known(trap, "text")


def trap_text(trap: Mapping[str, Any]) -> str:
    """The whole trap for a terminal or a JUnit failure: headline, cause, fix, decoded fields, dump."""
    return "\n\n".join(section for section in _sections(trap) if section)

# SPDX-License-Identifier: Apache-2.0
"""Cell configs on disk: YAML or binary, with the device table that a YAML names beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import _hil


@dataclass(frozen=True)
class PredictedTrap:
    """The trap that a finding predicts: its address is one of first..last, most likely `likely`."""

    access: str  # read, write, instruction
    first: int
    last: int
    likely: int
    size: int  # bytes of the access
    cell: str  # whose CPU parks
    cpu: int | None  # None: any of the cell's


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a set of configs. The rules are listed in docs/cell-configs.md."""

    severity: str  # error, warning, note
    rule: str
    file: str
    region: str
    message: str
    console: str  # what the console would say; empty: nothing
    fix: str
    text: str  # all of it for a person, lines
    trap: PredictedTrap | None


def device_text(yaml: str, directory: Path) -> str:
    """The text of the devices.yaml that the config names (relative to `directory`); empty if it names none."""
    name = str(_hil.cell_devices_file(yaml))
    return (directory / name).read_text() if name else ""


def compile_text(yaml: str, directory: Path) -> bytes:
    """The .cell bytes of a YAML config that lives (or would live) in `directory`. ValueError names line and key."""
    return bytes(_hil.cell_compile(yaml, device_text(yaml, directory)))


def compile_file(path: Path) -> bytes:
    """The .cell bytes of a YAML file. ValueError begins with the path."""
    try:
        return compile_text(path.read_text(), path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def decompile_file(path: Path, devices: Path | None = None, output: Path | None = None) -> str:
    """The YAML of a .cell file. With `devices`, the YAML names that table relative to `output`'s directory."""
    table = devices.read_text() if devices else ""
    try:
        text = str(_hil.cell_decompile(path.read_bytes(), table))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not devices:
        return text
    base = output.parent if output else Path.cwd()
    return f"devices: {os.path.relpath(devices, base)}\n{text}"


def check(
    system: Path,
    cells: Sequence[Path] = (),
    *,
    devices: Path | None = None,
    device_tree: Path | None = None,
    image: tuple[int, int] | None = None,
) -> list[Finding]:
    """What is wrong with configs that exist together, worst first. `image`: size in bytes and load address."""
    found = _hil.cell_check(
        str(system),
        [str(cell) for cell in cells],
        str(devices or ""),
        device_tree.read_bytes() if device_tree else None,
        image,
    )
    return [finding(entry) for entry in found]


def finding(entry: dict[str, Any]) -> Finding:
    """A finding from what the library returns."""
    trap = PredictedTrap(**entry.pop("trap")) if entry["trap"] else entry.pop("trap")
    return Finding(**entry, trap=trap)


def diff(first: Path, second: Path, devices: Path | None = None) -> list[str]:
    """Lines of a unified diff of two configs (YAML or binary), both as YAML; empty when the bytes are the same."""
    table = devices.read_text() if devices else ""
    data = [bytes(_hil.cell_file_bytes(str(path))) for path in (first, second)]
    if data[0] == data[1]:
        return []
    texts = [str(_hil.cell_decompile(config, table)).splitlines() for config in data]
    return list(unified_diff(texts[0], texts[1], str(first), str(second), lineterm="", n=4))

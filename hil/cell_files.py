# SPDX-License-Identifier: Apache-2.0
"""Cell configs on disk: YAML or binary, with the device table that a YAML names beside it."""

from __future__ import annotations

import os
from pathlib import Path

import _hil


def device_text(yaml: str, directory: Path) -> str:
    """The text of the devices.yaml that the config names (relative to `directory`); empty if it names none."""
    name = _hil.cell_devices_file(yaml)
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

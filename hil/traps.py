# SPDX-License-Identifier: Apache-2.0
"""Traps decoded and explained: the library's explainer behind a small Python face."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from hil.native import library

ELF_MAGIC = b"\x7fELF"


class TrapExplainer:
    """Decodes a whole text and explains what is in it, with what is known of machine, configs and programs.

    All `add_` methods raise ValueError that names the file and what is wrong with it.
    """

    def __init__(self) -> None:
        self._native = library().TrapExplainer()

    def add_machine(self, path: Path) -> None:
        """A device tree blob, or a target's devices.yaml."""
        if path.suffix in (".yaml", ".yml"):
            self._native.add_devices(str(path))
        else:
            self._native.add_dtb(str(path))

    def add_config(self, path: Path, system: bool | None = None) -> None:
        """A .cell file or its YAML. `system`: what it must be; None takes either."""
        is_system = bool(self._native.add_config(str(path)))
        if system is not None and is_system != system:
            wanted, other = ("--system", "--cell") if system else ("--cell", "--system")
            found = "a system config" if is_system else "the config of a cell"
            raise ValueError(f"{path}: is {found}: give it with {other}, not {wanted}")

    def add_program(self, path: Path) -> None:
        """An ELF file with symbols, or a System.map."""
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == ELF_MAGIC:
            self._native.add_elf(str(path))
        else:
            self._native.add_system_map(str(path))

    def explain(self, text: bytes) -> dict[str, Any]:
        """`{"events": [...], "missing": [...]}`; docs/explain.md describes the keys."""
        return cast(dict[str, Any], json.loads(self._native.explain_json(text)))

    def explain_pieces(self, pieces: Iterable[bytes]) -> dict[str, Any]:
        """The same for a text of any length in pieces; memory does not grow with it."""
        reader = library().TrapReader(self._native)
        for piece in pieces:
            reader.feed(piece)
        return cast(dict[str, Any], json.loads(reader.finish_json()))


def explain(
    text: bytes, machines: Sequence[Path] = (), configs: Sequence[Path] = (), programs: Sequence[Path] = ()
) -> Any:
    """Explains a text in one call; see TrapExplainer."""
    explainer = TrapExplainer()
    for path in machines:
        explainer.add_machine(path)
    for path in configs:
        explainer.add_config(path)
    for path in programs:
        explainer.add_program(path)
    return explainer.explain(text)

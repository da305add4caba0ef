# SPDX-License-Identifier: Apache-2.0
"""Explains the traps of a run: its console's text with the run's own configs, devices and inmates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hil import places
from hil.prepare import Prepared
from hil.traps import TrapExplainer

TEXT_AT_MOST = 1 << 18
"""Characters of the console that are kept: traps are explained right after they came, so the last ones matter."""


class RunExplainer:
    """Keeps the end of the console's text and explains the traps in it."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._text = ""

    def hear(self, text: str) -> None:
        """Takes the console's next text."""
        self._text = (self._text + text)[-TEXT_AT_MOST:]

    def explain(self, traps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The decoded `traps` with device, cause and fix; as they were when the text does not give the same number.

        ValueError when a config or program of the run cannot be read.
        """
        if not traps:
            return []
        explained: list[dict[str, Any]] = self._explainer().explain(self._text.encode())["events"]
        return explained if len(explained) == len(traps) else list(traps)

    def _explainer(self) -> TrapExplainer:
        explainer = TrapExplainer()
        target = self._prepared.target
        if (devices := target.directory / "devices.yaml").exists():
            explainer.add_machine(devices)
        for name in (target.root_config, *(cell.config for cell in self._prepared.plan.cells)):
            explainer.add_config(self._config(name))
        for inmate in {cell.inmate for cell in self._prepared.plan.cells}:
            program = places.build() / "arm64/inmates" / Path(inmate).with_suffix(".elf")
            if program.exists():
                explainer.add_program(program)
        return explainer

    def _config(self, name: str) -> Path:
        """The YAML, whose regions have names, where it is there; else the binary."""
        source = self._prepared.target.directory / "cells" / Path(name).with_suffix(".yaml")
        return source if source.exists() else self._prepared.cells / name

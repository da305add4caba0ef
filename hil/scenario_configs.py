# SPDX-License-Identifier: Apache-2.0
"""The configs of a scenario: the target's YAML, changed as the scenario says, compiled to .cell files."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hil.cell_files import compile_text
from hil.errors import WrongUse
from hil.scenario import Changes, Scenario, ScenarioCell
from hil.target import Target

NAMES = ("name", "device", "link")
"""Keys that name an entry of a list in a config, in this order."""


@dataclass(frozen=True)
class Config:
    """A compiled config. `intact`: its YAML says what its bytes say (nothing cut off, nothing patched)."""

    file: str
    yaml: str
    data: bytes
    name: str
    intact: bool


def system_config(scenario: Scenario, target: Target) -> Config:
    """The scenario's system config; without changes the target's."""
    base = Path(target.root_config).stem
    return _config(f"scenario-{base}.cell", base, scenario.system or Changes(), target, "system")


def cell_config(cell: ScenarioCell, target: Target) -> Config:
    """The config of one cell of a scenario."""
    return _config(f"scenario-{cell.key}.cell", cell.base, cell.changes, target, f"cells: {cell.key}")


def _config(file: str, base: str, changes: Changes, target: Target, where: str) -> Config:
    directory = target.directory / "cells"
    path = directory / f"{base}.yaml"
    try:
        model = yaml.safe_load(path.read_text())
    except OSError as error:
        raise WrongUse(f"{where}: the target '{target.name}' has no cell '{base}' ({path})") from error
    try:
        text = yaml.safe_dump(changed(model, changes), sort_keys=False, allow_unicode=True)
        data = compile_text(text, directory)
    except ValueError as error:
        raise WrongUse(f"{where}: {error}") from error
    for offset, piece in changes.patch.items():
        if offset + len(piece) > len(data):
            raise WrongUse(f"{where}: patch: {offset} is beyond the file's {len(data)} bytes")
        data = data[:offset] + piece + data[offset + len(piece) :]
    if changes.truncate is not None:
        if changes.truncate >= len(data):
            raise WrongUse(f"{where}: truncate: the file has {len(data)} bytes, nothing to cut at {changes.truncate}")
        data = data[: changes.truncate]
    intact = changes.truncate is None and not changes.patch
    absolute = text.replace("devices: ../devices.yaml", f"devices: {directory.parent / 'devices.yaml'}")
    return Config(file, absolute, data, str(changes.set.get("name", base)), intact)


def changed(model: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """A copy of a config's YAML model with the changes. ValueError names a path that leads nowhere."""
    result = copy.deepcopy(dict(model))
    for path in changes.remove:
        _remove(result, path)
    for path, value in changes.set.items():
        _set(result, path, value)
    for key, entries in changes.add.items():
        target = result.setdefault(key, [])
        if not isinstance(target, list):
            raise ValueError(f"add: '{key}' is no list")
        target.extend(copy.deepcopy(list(entries)))
    return result


def _entry(entries: list[Any], word: str, path: str) -> int:
    for index, entry in enumerate(entries):
        if isinstance(entry, dict) and word in [str(entry[key]) for key in NAMES if key in entry]:
            return index
    if word.isdigit() and int(word) < len(entries):
        return int(word)
    known = [str(entry[key]) for entry in entries if isinstance(entry, dict) for key in NAMES if key in entry]
    raise ValueError(f"'{path}': there is no '{word}'; there are: {', '.join(known)}")


def _walk(model: Any, words: list[str], path: str) -> Any:
    for word in words:
        if isinstance(model, list):
            model = model[_entry(model, word, path)]
        elif isinstance(model, dict) and word in model:
            model = model[word]
        else:
            raise ValueError(f"'{path}': there is no '{word}'")
    return model


def _set(model: dict[str, Any], path: str, value: Any) -> None:
    *words, last = path.split(".")
    place = _walk(model, words, path)
    if isinstance(place, list):
        place[_entry(place, last, path)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ValueError(f"'{path}': '{words[-1]}' holds nothing that has a '{last}'")


def _remove(model: dict[str, Any], path: str) -> None:
    *words, last = path.split(".")
    place = _walk(model, words, path)
    if isinstance(place, list):
        del place[_entry(place, last, path)]
    elif isinstance(place, dict) and last in place:
        del place[last]
    else:
        raise ValueError(f"'{path}': there is no '{last}'")

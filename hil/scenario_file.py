# SPDX-License-Identifier: Apache-2.0
"""Reads scenarios/*.yaml. Whatever is wrong in a file is WrongUse that names file and place: a typing error must never
become an expectation that is silently not checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hil import places
from hil.errors import WrongUse
from hil.names import choose
from hil.scenario import (
    LEAVES,
    LIFECYCLE,
    NEVER,
    STARTS,
    SYSTEM,
    VERBS,
    Changes,
    Damage,
    Expectation,
    Outcome,
    Scenario,
    ScenarioCell,
    Step,
)

TRAP_FIELDS = (
    "arch kind access address size exception_class cpu cell outcome pc code pci_device",
    "device cause fix place mode summary",
)
TEXTS = ("device", "cause", "fix", "place", "mode", "summary")
"""Trap fields that are compared as patterns (regular expressions that are searched for)."""
OPTIONS = {"load": ("inmate", "command-line", "address"), "enable": (), "root": ("within",)}
WAITS = ("traps", "line", "state", "seconds")
ALL_BITS = 0xFFFFFFFF
"""Of an arm64 instruction."""


class Problem(Exception):
    """What is wrong, from the inside out: each level puts its place in front."""


def names() -> list[str]:
    """All scenarios."""
    return sorted(path.stem for path in places.scenarios().glob("*.yaml"))


def load(typed: str) -> Scenario:
    """The scenario of that name or path; WrongUse with the nearest name when there is none, or what is wrong in it."""
    if typed.endswith(".yaml"):
        return read(Path(typed))
    name = choose("scenario", typed, names())
    return read(places.scenarios() / f"{name}.yaml")


def read(path: Path) -> Scenario:
    """A scenario file."""
    try:
        return parse(path.read_text(encoding="utf-8"), path.stem)
    except OSError as error:
        raise WrongUse(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path}: no UTF-8 text: {error.reason} at byte {error.start}") from error
    except Problem as problem:
        raise WrongUse(f"{path}: {problem}") from problem


def parse(text: str, name: str) -> Scenario:
    """A scenario's text. Raises Problem."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Problem(f"not YAML: {' '.join(str(error).split())}") from error
    top = _map(data, "the file")
    allowed = "title known targets carries start hypervisor system cells steps expect after leaves".split()
    _only(top, allowed, "the file")
    for key in ("title", "known", "steps", "expect"):
        if key not in top:
            raise Problem(f"the key '{key}' is missing")
    cells = {key: _cell(key, value) for key, value in _map(top.get("cells", {}), "cells").items()}
    scenario = Scenario(
        name=name,
        title=_text(top["title"], "title"),
        known=_text(top["known"], "known"),
        targets=_texts(top.get("targets", ["qemu"]), "targets"),
        carries=_texts(top.get("carries", []), "carries"),
        start=_word(top.get("start", "enabled"), STARTS, "start"),
        damage=_damage(top["hypervisor"]) if "hypervisor" in top else None,
        system=_changes(top["system"], "system") if "system" in top else None,
        cells=cells,
        steps=_steps(top["steps"], cells, "steps"),
        expect=_expectations(top["expect"]),
        after=_steps(top.get("after", []), cells, "after"),
        leaves=_word(top.get("leaves", "healthy"), LEAVES, "leaves"),
    )
    _whole(scenario)
    return scenario


def _whole(scenario: Scenario) -> None:
    """What only shows when all parts are together."""
    own = any(step.verb == "enable" and step.what == SYSTEM for step in (*scenario.steps, *scenario.after))
    if scenario.system is not None and not own:
        raise Problem("system: changed, but no step says `enable: system`")
    if own and scenario.system is None:
        raise Problem("a step says `enable: system`, but there is no key 'system' with changes")
    if not scenario.steps:
        raise Problem("steps: empty")
    if scenario.damage is not None and scenario.start == "enabled":
        raise Problem("hypervisor: damage: comes too late for one that is enabled; add `start: disabled`")
    if scenario.damage is not None and scenario.leaves != "broken":
        raise Problem("hypervisor: damage: no further scenario may use the machine; add `leaves: broken`")
    checked = any(e.traps or e.console or e.states or e.failed_cpus or e.never_on_console for e in scenario.expect)
    judged = any(step.outcomes != (Outcome(),) for step in scenario.steps)
    if not checked and not judged:
        raise Problem("expect: nothing is expected, neither here nor of a step")


def _cell(key: str, data: Any) -> ScenarioCell:
    where = f"cells: {key}"
    data = _map(data or {}, where)
    _only(data, ["base", "change", "inmate", "command-line", "address"], where)
    base = _text(data.get("base", key), f"{where}: base")
    changes = _changes(data.get("change", {}), f"{where}: change")
    return ScenarioCell(
        key=key,
        base=base,
        name=str(changes.set.get("name", base)),
        changes=changes,
        inmate=_text(data.get("inmate", ""), f"{where}: inmate"),
        command_line=_text(data.get("command-line", ""), f"{where}: command-line"),
        address=_number(data.get("address", 0), f"{where}: address"),
    )


def _changes(data: Any, where: str) -> Changes:
    data = _map(data, where)
    _only(data, ["set", "remove", "add", "truncate", "patch"], where)
    patch = {}
    for offset, text in _map(data.get("patch", {}), f"{where}: patch").items():
        try:
            patch[_number(offset, f"{where}: patch")] = bytes.fromhex(_text(text, f"{where}: patch"))
        except ValueError as error:
            raise Problem(f"{where}: patch: '{text}' are no bytes in hexadecimal") from error
    return Changes(
        set=_map(data.get("set", {}), f"{where}: set"),
        remove=_texts(data.get("remove", []), f"{where}: remove"),
        add={key: _list(value, f"{where}: add: {key}") for key, value in _map(data.get("add", {}), where).items()},
        truncate=_number(data["truncate"], f"{where}: truncate") if "truncate" in data else None,
        patch=patch,
    )


def _damage(data: Any) -> Damage:
    where = "hypervisor: damage"
    data = _map(data, "hypervisor")
    _only(data, ["damage"], "hypervisor")
    data = _map(data.get("damage"), where)
    _only(data, ["instruction", "mask"], where)
    if "instruction" not in data:
        raise Problem(f"{where}: the key 'instruction' is missing")
    numbers = {key: _number(data.get(key, ALL_BITS), f"{where}: {key}") for key in ("instruction", "mask")}
    for key, number in numbers.items():
        if not 0 < number <= ALL_BITS:
            raise Problem(f"{where}: {key}: {number:#x} is no instruction of 32 bits other than 0")
    if numbers["instruction"] & ~numbers["mask"]:
        raise Problem(f"{where}: instruction has bits that mask has not: it equals nothing")
    return Damage(**numbers)


def _steps(data: Any, cells: Mapping[str, ScenarioCell], where: str) -> list[Step]:
    return [_step(one, cells, f"{where}: {number}.") for number, one in enumerate(_list(data, where), 1)]


def _step(data: Any, cells: Mapping[str, ScenarioCell], where: str) -> Step:
    data = _map({data: True} if isinstance(data, str) else data, where)
    verbs = [key for key in data if key in VERBS]
    if len(verbs) != 1:
        raise Problem(f"{where} must hold one of {', '.join(VERBS)}; it holds {', '.join(verbs) or 'none'}")
    verb, what = verbs[0], data[verbs[0]]
    where = f"{where} {verb}"
    options = OPTIONS.get(verb, ())
    _only(data, [verb, "exit", "says", "any_of", "within", *options], where)
    if verb in LIFECYCLE and what not in cells:
        raise Problem(f"{where}: there is no cell '{what}' under 'cells'")
    if verb == "enable":
        _word(what, (SYSTEM, "default"), where)
    elif verb == "shell":
        _text(what, where)
    elif verb == "root":
        _word(what, ("alive", "dead"), where)
    elif verb == "wait":
        _wait(what, where)
    if verb in ("root", "wait") and any(key in data for key in ("exit", "says", "any_of")):
        raise Problem(f"{where}: has no exit code and no output")
    kept = {key: data[key] for key in ("within", *options) if key in data}
    for key in ("within", "address"):
        if key in kept:
            kept[key] = _number(kept[key], f"{where}: {key}")
    return Step(verb, what, _outcomes(data, where), kept)


def _wait(what: Any, where: str) -> None:
    what = _map(what, where)
    _only(what, WAITS, where)
    if len(what) != 1:
        raise Problem(f"{where}: must hold one of {', '.join(WAITS)}")
    if "line" in what:
        _pattern(what["line"], where)
    elif "state" in what:
        _map(what["state"], where)
    else:
        _number(next(iter(what.values())), where, fraction="seconds" in what)


def _outcomes(data: Mapping[str, Any], where: str) -> tuple[Outcome, ...]:
    if "any_of" not in data:
        return (_outcome(data, where),)
    if "exit" in data or "says" in data:
        raise Problem(f"{where}: any_of stands for exit and says, give one or the other")
    outcomes = []
    for one in _list(data["any_of"], f"{where}: any_of"):
        one = _map(one, f"{where}: any_of")
        _only(one, ["exit", "says"], f"{where}: any_of")
        outcomes.append(_outcome(one, f"{where}: any_of"))
    if not outcomes:
        raise Problem(f"{where}: any_of: empty")
    return tuple(outcomes)


def _outcome(data: Mapping[str, Any], where: str) -> Outcome:
    code = data.get("exit", 0)
    if code != NEVER and (isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255):
        raise Problem(f"{where}: exit: '{code}' is neither a code from 0 to 255 nor '{NEVER}'")
    says = data.get("says", [])
    patterns = [says] if isinstance(says, str) else _texts(says, f"{where}: says")
    return Outcome(code, tuple(_pattern(pattern, f"{where}: says") for pattern in patterns))


def _expectations(data: Any) -> list[Expectation]:
    data = _map(data, "expect")
    if "any_of" not in data:
        return [_expectation(data, "expect")]
    if len(data) != 1:
        raise Problem("expect: any_of stands alone; put the rest into each alternative")
    found = [_expectation(_map(one, "expect: any_of"), "expect: any_of") for one in _list(data["any_of"], "expect")]
    if not found:
        raise Problem("expect: any_of: empty")
    return found


def _expectation(data: Mapping[str, Any], where: str) -> Expectation:
    _only(data, ["traps", "more-traps", "console", "never-on-console", "states", "failed-cpus"], where)
    traps = [_trap(one, f"{where}: traps: {n}.") for n, one in enumerate(_list(data.get("traps", []), where), 1)]
    lines = {
        key: [_pattern(one, f"{where}: {key}") for one in _texts(data.get(key, []), f"{where}: {key}")]
        for key in ("console", "never-on-console")
    }
    return Expectation(
        traps=traps,
        more_traps=_yes_no(data.get("more-traps", False), f"{where}: more-traps"),
        console=lines["console"],
        never_on_console=lines["never-on-console"],
        states=_map(data.get("states", {}), f"{where}: states"),
        failed_cpus=_map(data.get("failed-cpus", {}), f"{where}: failed-cpus"),
    )


def _trap(given: Any, where: str) -> Mapping[str, Any]:
    data = _map(given, where)
    _only(data, " ".join(TRAP_FIELDS).split(), where)
    if not data:
        raise Problem(f"{where} says nothing about the trap")
    for key in TEXTS:
        for one in data.get(key, []) if isinstance(data.get(key), list) else [data.get(key, "")]:
            _pattern(one, f"{where} {key}")
    return data


# --- small parts ---


def _map(data: Any, where: str) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise Problem(f"{where}: must be a mapping")
    return data


def _list(data: Any, where: str) -> Sequence[Any]:
    if not isinstance(data, list):
        raise Problem(f"{where}: must be a list")
    return data


def _only(data: Mapping[Any, Any], allowed: Sequence[str], where: str) -> None:
    for key in data:
        if key not in allowed:
            raise Problem(f"{where}: '{key}' is no key here; there are: {', '.join(allowed)}")


def _text(data: Any, where: str) -> str:
    if not isinstance(data, str):
        raise Problem(f"{where}: must be text")
    return data


def _texts(data: Any, where: str) -> list[str]:
    data = [data] if isinstance(data, str) else data
    return [_text(one, where) for one in _list(data, where)]


def _word(data: Any, words: Sequence[str], where: str) -> str:
    if data not in words:
        raise Problem(f"{where}: '{data}' is none of {', '.join(words)}")
    return str(data)


def _yes_no(data: Any, where: str) -> bool:
    if not isinstance(data, bool):
        raise Problem(f"{where}: must be true or false")
    return data


def _number(data: Any, where: str, fraction: bool = False) -> Any:
    if isinstance(data, bool) or not isinstance(data, (int, float) if fraction else int) or data < 0:
        raise Problem(f"{where}: '{data}' is no number from 0 on")
    return data


def _pattern(data: Any, where: str) -> str:
    text = _text(data, where)
    try:
        re.compile(text)
    except re.error as error:
        raise Problem(f"{where}: '{text}' is no regular expression: {error}") from error
    return text

# SPDX-License-Identifier: Apache-2.0
"""Compares what was seen with what a scenario expects. Everything here is pure; a difference is a line for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hil.scenario import NEVER, Expectation, Outcome
from hil.scenario_file import TEXTS

NUMBERS = ("address", "size", "exception_class", "cpu", "pc", "code")
ABSENT = "absent"


@dataclass(frozen=True)
class CellSeen:
    """A cell as sysfs shows it."""

    state: str
    failed_cpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a scenario left. `traps` are those of `hil explain --json`; `cells` None: nobody could be asked."""

    traps: Sequence[Mapping[str, Any]]
    console: str
    cells: Mapping[str, CellSeen] | None = field(default=None)


def differences(alternatives: Sequence[Expectation], seen: Seen) -> list[str]:
    """Empty when one alternative holds; else what differs from the nearest one."""
    return min((_against(expected, seen) for expected in alternatives), key=len)


def _against(expected: Expectation, seen: Seen) -> list[str]:
    return [
        *trap_differences(expected.traps, seen.traps, expected.more_traps),
        *(
            f"console: expected a line with '{pattern}', there is none"
            for pattern in expected.console
            if not re.search(pattern, seen.console, re.MULTILINE)
        ),
        *(
            f"console: '{pattern}' must not be there, but it is: '{found.group(0)}'"
            for pattern in expected.never_on_console
            if (found := re.search(pattern, seen.console, re.MULTILINE))
        ),
        *cell_differences(expected, seen),
    ]


def cell_differences(expected: Expectation, seen: Seen) -> list[str]:
    """States and failed CPUs."""
    if not expected.states and not expected.failed_cpus:
        return []
    if seen.cells is None:
        return ["cell states: the root cell does not answer, so nobody can be asked"]
    result = []
    for name, wanted in expected.states.items():
        found = seen.cells[name].state if name in seen.cells else ABSENT
        if found not in (wanted if isinstance(wanted, list) else [wanted]):
            result.append(f"cell '{name}': expected state {_shown(wanted)}, seen '{found}'")
    for name, cpus in expected.failed_cpus.items():
        failed = list(seen.cells[name].failed_cpus) if name in seen.cells else []
        if failed != list(cpus):
            result.append(f"cell '{name}': expected failed CPUs {cpus}, seen {failed}")
    return result


def trap_differences(
    expected: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]], more: bool = False
) -> list[str]:
    """Each expected trap takes one seen; order does not matter. What is left over is a difference unless `more`."""
    left = list(seen)
    missed = []
    for number, wanted in enumerate(expected, 1):
        match = next((trap for trap in left if not field_differences(wanted, trap)), None)
        if match is not None:
            left.remove(match)
        else:
            missed.append((number, wanted))
    result = []
    for number, wanted in missed:
        if not left:
            result.append(f"trap {number}: expected {_brief(wanted)}, none was seen")
            continue
        nearest = min(left, key=lambda trap: len(field_differences(wanted, trap)))
        left.remove(nearest)
        result += [f"trap {number}: {difference}" for difference in field_differences(wanted, nearest)]
    return result + [f"a trap that nobody expected: {_brief(trap)}" for trap in left if not more]


def field_differences(wanted: Mapping[str, Any], trap: Mapping[str, Any]) -> list[str]:
    """Field by field."""
    return [
        f"{key}: expected {_shown(value)}, seen {_shown(trap.get(key))}"
        for key, value in wanted.items()
        if not _fits(key, value, trap.get(key))
    ]


def outcome_difference(outcomes: Sequence[Outcome], code: int | str, text: str) -> str:
    """Empty when one of a step's outcomes holds; else what differs."""
    lacks: list[str] = []
    for outcome in outcomes:
        if outcome.exit != code:
            continue
        lacks = [pattern for pattern in outcome.says if not re.search(pattern, text, re.MULTILINE)]
        if not lacks:
            return ""
    said = " ".join(text.split())[-200:] or "nothing"
    if lacks:
        return f"ended with code {code} as expected, but does not say '{lacks[0]}'; it says: {said}"
    codes = " or ".join(sorted({_ending(outcome.exit) for outcome in outcomes}))
    return f"expected: {codes}; seen: {_ending(code)}, and it says: {said}"


def _ending(code: int | str) -> str:
    return "it does not come back" if code == NEVER else f"code {code}"


def _fits(key: str, wanted: Any, seen: Any) -> bool:
    if isinstance(wanted, list):
        return any(_fits(key, one, seen) for one in wanted)
    if wanted is None or seen is None:
        return wanted is None and seen is None
    if key in TEXTS:
        return re.search(str(wanted), str(seen)) is not None
    if key not in NUMBERS:
        return str(wanted) == str(seen)
    number = _number(seen)
    first, dash, last = str(wanted).partition("-")
    if dash:
        return number is not None and _limit(first) <= number <= _limit(last)
    return number == _number(wanted)


def _number(value: Any) -> int | None:
    try:
        return int(value, 0) if isinstance(value, str) else int(value)
    except ValueError:
        return None


def _limit(text: str) -> int:
    value = _number(text.strip())
    return value if value is not None else -1


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(_shown(one) for one in value)
    if isinstance(value, int) and value > 0xFFFF:
        return hex(value)
    return f"'{value}'" if isinstance(value, str) else str(value)


def _brief(trap: Mapping[str, Any]) -> str:
    keys = ("kind", "access", "address", "size", "exception_class", "cell", "cpu", "outcome")
    return ", ".join(f"{key} {_shown(trap[key])}" for key in keys if trap.get(key) is not None)

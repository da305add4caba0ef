# SPDX-License-Identifier: Apache-2.0
"""What was seen against what was expected: every difference counts, and is told."""

from __future__ import annotations

from typing import Any

import pytest

from hil.scenario import NEVER, Expectation, Outcome
from hil.scenario_match import CellSeen, Seen, differences, field_differences, outcome_difference, trap_differences
from hil.scenario_steps import cpu_list

TRAP: dict[str, Any] = {
    "kind": "data",
    "access": "read",
    "address": "0x9000030",
    "size": 4,
    "exception_class": "0x24",
    "cpu": 1,
    "cell": "hello",
    "outcome": "parked",
    "place": "read_from at inmates/fault.cpp:42",
    "cause": None,
}


@pytest.mark.parametrize(
    "wanted",
    [
        {"address": 0x9000030, "size": 4, "exception_class": 0x24},
        {"address": "0x9000000-0x9000fff"},
        {"cpu": [0, 1], "kind": ["data", "instruction"]},
        {"place": r"fault\.cpp:\d+", "cause": None},
    ],
)
def test_fields_that_fit(wanted: dict[str, Any]) -> None:
    assert field_differences(wanted, TRAP) == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"address": 0x9000034}, "address: expected 0x9000034, seen '0x9000030'"),
        ({"address": "0x8000000-0x8ffffff"}, "address: expected '0x8000000-0x8ffffff'"),
        ({"cpu": [0, 2]}, "cpu: expected 0 or 2, seen 1"),
        ({"cause": "uart"}, "cause: expected 'uart', seen None"),
        ({"access": "write"}, "access: expected 'write', seen 'read'"),
        ({"place": "console"}, "place: expected 'console'"),
    ],
)
def test_fields_that_differ(wanted: dict[str, Any], told: str) -> None:
    (difference,) = field_differences(wanted, TRAP)
    assert told in difference


def test_traps_are_matched_whatever_their_order() -> None:
    other = {**TRAP, "cell": "neighbour"}
    assert trap_differences([{"cell": "neighbour"}, {"cell": "hello"}], [TRAP, other]) == []
    assert trap_differences([{"cell": "hello"}], [TRAP, other])[0].startswith(
        "a trap that nobody expected: kind 'data'"
    )
    assert trap_differences([{"cell": "hello"}], [TRAP, other], more=True) == []
    assert trap_differences([{"kind": "hyp"}], []) == ["trap 1: expected kind 'hyp', none was seen"]
    assert trap_differences([], [TRAP]) != []


def test_console_and_states() -> None:
    expected = Expectation(
        console=["^hello 3$"],
        never_on_console=["shutting down"],
        states={"hello": ["running", "running/locked"], "gone": "absent"},
        failed_cpus={"hello": [1]},
    )
    cells = {"hello": CellSeen("running", (1,))}
    assert differences([expected], Seen([], "hello 2\nhello 3\n", cells)) == []
    told = differences([expected], Seen([], "hello 33\nshutting down\n", {"gone": CellSeen("failed")}))
    assert len(told) == 5
    assert "nobody can be asked" in differences([expected], Seen([], "hello 3", None))[0]


def test_of_several_alternatives_one_must_hold_as_a_whole() -> None:
    alternatives = [Expectation(traps=[{"kind": "data"}], console=["parked"]), Expectation(console=["refused"])]
    assert differences(alternatives, Seen([], "refused")) == []
    assert differences(alternatives, Seen([TRAP], "parked")) == []
    assert differences(alternatives, Seen([TRAP], "refused")) != []
    assert differences(alternatives, Seen([], "")) == ["console: expected a line with 'refused', there is none"]


@pytest.mark.parametrize(
    ("outcomes", "code", "text", "told"),
    [
        ([Outcome()], 0, "", ""),
        ([Outcome(1, ("Invalid",))], 1, "X: Invalid argument", ""),
        ([Outcome(1, ("Invalid",)), Outcome(NEVER)], NEVER, "", ""),
        ([Outcome()], 1, "X: busy", "expected: code 0; seen: code 1, and it says: X: busy"),
        ([Outcome(1, ("Invalid",))], 1, "X: busy", "does not say 'Invalid'; it says: X: busy"),
        ([Outcome(NEVER)], 0, "", "expected: it does not come back; seen: code 0, and it says: nothing"),
    ],
)
def test_endings_of_a_step(outcomes: list[Outcome], code: int | str, text: str, told: str) -> None:
    difference = outcome_difference(outcomes, code, text)
    assert told in difference if told else difference == ""


def test_lists_of_cpus() -> None:
    assert [cpu_list(text) for text in ("", "3", "0,2-3", "0-1\n")] == [[], [3], [0, 2, 3], [0, 1]]

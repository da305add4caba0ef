# SPDX-License-Identifier: Apache-2.0
"""The schema of events is what is written and what is documented, and finds what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report_data import record

from hil.cell_statistics import CellExits, Reading
from hil.event_log import EventLog
from hil.event_schema import SCHEMA, problems
from hil.session import State
from hil.verdict import Outcome, Verdict

DOCUMENT = Path(__file__).parents[2] / "docs/harness.md"


def schemas() -> dict[str, dict[str, object]]:
    return {one["properties"]["event"]["const"]: one["properties"] for one in json.loads(SCHEMA.read_text())["oneOf"]}


def test_what_the_log_writes_is_as_the_schema_says(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.state("boot", "boot", 30.0, 1.0, "x")
    log.step("boot", "x", 1.0, "ok")
    log.statistics("before", Reading(1.5, {"cell": CellExits({"total": 3}, {"0": {"total": 3}})}))
    log.note("\x1b[31m")
    log.record(record().as_dict())
    log.verdict(Verdict.of(Outcome.TRAP, "it trapped"))
    log.close()
    written = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert {event["event"] for event in written} | {"trap"} == set(schemas())
    assert [problems(event) for event in written] == [[]] * len(written)


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ([], "an event of kind None"),
        ({"t": 0, "event": "party"}, "an event of kind 'party'"),
        ({"t": -1, "event": "note", "text": ""}, "out of range"),
        ({"t": 0, "event": "note"}, "no 'text'"),
        ({"t": 0, "event": "trap", "trap": {}}, "no 'kind'"),
        ({"t": 0, "event": "note", "text": 5}, "5 is no string"),
        ({"t": True, "event": "note", "text": ""}, "is no number"),
        ({"t": 0, "event": "note", "text": "", "more": 1}, "'more' is not in the schema"),
        ({"t": 0, "event": "state", "state": "lost", "limit": 1, "waiting_for": ""}, "is none of"),
        ({"t": 0, "event": "verdict", "verdict": "pass", "exit_code": 7, "reason": ""}, "7 is none of"),
    ],
)
def test_what_is_wrong_is_found(event: object, what: str) -> None:
    assert any(what in problem for problem in problems(event)), problems(event)


def test_a_record_s_rows_are_looked_at() -> None:
    bad = {**record().as_dict(), "timeline": [[1, 2, 3]]}
    assert problems({"t": 0, "event": "record", "record": bad}) == ["record.record.timeline[0]: 3 items"]


def test_the_document_names_every_field_and_state() -> None:
    table = dict(
        re.findall(
            r"^\| (state|step|record|trap|note|statistics|verdict) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE
        )
    )
    assert set(table) == set(schemas())
    for kind, properties in schemas().items():
        for name in set(properties) - {"t", "event"}:
            assert re.search(rf"\b{name}\b", table[kind]), (kind, name)
    states = schemas()["state"]["state"]
    assert isinstance(states, dict) and states["enum"] == [state.value for state in State]


def test_every_case_of_the_verdicts_names_tests_that_there_are() -> None:
    root = DOCUMENT.parents[1]
    files = {"V": "test_verdicts.py", "M": "test_machine_verdicts.py", "U": "test_unplugged.py"}
    table = DOCUMENT.read_text().partition("| case | verdict | told by | test |")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        for named in row.split(" | ")[-1].rstrip(" |").split("; "):
            letter, _, names = named.partition(": ")
            if letter not in files:
                assert list(root.glob(f"tests/system/{named}")) or (root / named).exists(), row
                continue
            text = (root / "tests/system" / files[letter]).read_text()
            for name in names.split(", "):
                assert re.search(rf"def test_\w*{name.strip('…')}", text), (row, name)

# SPDX-License-Identifier: Apache-2.0
"""Traps as people posted them: every event of the answer key comes back, and nothing else does.

The corpus is not part of this repository: HIL_CORPUS names its directory (default: ../shared/corpus beside it).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hil.traps import TrapExplainer

CORPUS = Path(os.environ.get("HIL_CORPUS", Path(__file__).resolve().parents[2].parent / "shared/corpus"))
KEY = CORPUS / "traps/index.json"
FIELDS = ("arch", "kind", "access", "address", "size", "exception_class", "cpu", "cell", "outcome", "pc")
CASES: list[dict[str, Any]] = json.loads(KEY.read_text()) if KEY.exists() else []
CONSOLES = sorted(CORPUS.glob("console/*.raw"))

pytestmark = pytest.mark.skipif(not CASES, reason=f"no corpus at {CORPUS} (set HIL_CORPUS)")


def decoded(path: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = TrapExplainer().explain(path.read_bytes())["events"]
    return events


@pytest.mark.parametrize("case", CASES, ids=[str(case["file"]) for case in CASES])
def test_events_are_those_of_the_key(case: dict[str, Any]) -> None:
    got = [{field: event[field] for field in FIELDS} for event in decoded(CORPUS / "traps" / case["file"])]
    assert got == case["expected"]


@pytest.mark.parametrize("path", CONSOLES, ids=[path.stem for path in CONSOLES])
def test_consoles_give_one_event_for_each_parking_line(path: Path) -> None:
    events = decoded(path)
    assert len(events) == path.read_bytes().count(b"Parking CPU ")
    for event in events:
        assert event["outcome"] == "parked" and event["cell"] and event["pc"] and event["missing"] == []

# SPDX-License-Identifier: Apache-2.0
"""What a person makes of a console's text by hand, whole or damaged, and the table's rows."""

from __future__ import annotations

import base64
import gzip
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hil.line_bench import AGENT, GZIP, HAND, Hand, Row, Times

CONTENT = bytes(range(256)) * 8


def hand(monkeypatch: pytest.MonkeyPatch, packs: bool, shown: str) -> Hand:
    """One whose console shows `shown`."""
    machine = SimpleNamespace(lifecycle=SimpleNamespace(watch=None))
    made = Hand(cast(Any, machine), packs)
    monkeypatch.setattr(made, "type", lambda line: shown)
    return made


def shown(content: bytes) -> str:
    """As a console shows what base64 says."""
    return "\r\n" + base64.encodebytes(content).decode().replace("\n", "\r\n")


@pytest.mark.parametrize("packs", [False, True])
def test_what_arrived_whole_is_what_was_sent(monkeypatch: pytest.MonkeyPatch, packs: bool) -> None:
    text = shown(gzip.compress(CONTENT) if packs else CONTENT)
    assert hand(monkeypatch, packs, text).output("cat x") == CONTENT


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("cut", [1, 40, 77, 78, 100])
def test_what_was_damaged_is_not_what_was_sent(monkeypatch: pytest.MonkeyPatch, packs: bool, cut: int) -> None:
    text = shown(gzip.compress(CONTENT) if packs else CONTENT)
    for damaged in (text[:-cut], text[:cut] + "[ 12.5] a message\r\n" + text[cut:], text[:40] + text[40 + cut :]):
        assert hand(monkeypatch, packs, damaged).output("cat x") != CONTENT


def test_a_row_says_what_was_damaged_by_hand() -> None:
    taken = Times()
    for who in (HAND, GZIP, AGENT):
        taken.move(who, "a file", lambda: CONTENT, lambda got, who=who: who != HAND)  # type: ignore[misc]
    row = taken.row("", "a file", len(CONTENT))
    assert row.whole == {HAND: False, GZIP: True, AGENT: True}
    assert str(Row("", "a file", 2048, {HAND: 3.0, GZIP: 1.5, AGENT: 1.0}, row.whole)) == (
        "| as it is | a file | 2 kB | 3.00 (damaged) | 1.50 | 1.00 | 2.0 kB/s | 3.00 | 1.50 |"
    )


def test_the_agents_damage_is_an_error_of_the_bench() -> None:
    taken = Times()
    taken.move(AGENT, "a file", lambda: b"", lambda got: got == CONTENT)
    with pytest.raises(AssertionError, match="moved something wrong: a file"):
        taken.row("", "a file", 1)

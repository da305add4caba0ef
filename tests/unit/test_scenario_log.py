# SPDX-License-Identifier: Apache-2.0
"""Scenarios that share a boot: each has the events and the piece of the console that are its own."""

from __future__ import annotations

import json
from pathlib import Path

from hil.console_times import console_times
from hil.scenario_log import ConsolePiece, SharedLog


def test_pieces_of_a_console(tmp_path: Path) -> None:
    boot, second = tmp_path / "boot", tmp_path / "second"
    boot.mkdir()
    second.mkdir()
    raw, times = boot / "console.raw", boot / "console.times"
    first_piece = ConsolePiece(boot, 0)
    raw.write_bytes(b"boot\nfirst\n")
    times.write_bytes(console_times([(0, 100), (5, 200)]))
    first_piece.end()
    second_piece = ConsolePiece(boot, 1000)
    raw.write_bytes(raw.read_bytes() + b"second\n")
    times.write_bytes(console_times([(0, 100), (5, 200), (11, 1500)]))
    second_piece.end()
    second_piece.write(second)
    first_piece.write(boot)
    assert (raw.read_bytes(), times.read_bytes()) == (b"boot\nfirst\n", console_times([(0, 100), (5, 200)]))
    assert (second / "console.raw").read_bytes() == b"second\n"
    assert (second / "console.times").read_bytes() == console_times([(0, 500)])


def test_a_piece_without_a_console(tmp_path: Path) -> None:
    piece = ConsolePiece(tmp_path, 0)
    piece.end()
    piece.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_events_go_on_in_the_next_directory(tmp_path: Path) -> None:
    log = SharedLog(tmp_path / "one")
    log.note("first")
    log.trap({"kind": "data"})  # the live one: written when it is explained
    log.explained({"kind": "data", "cause": "uart"})
    log.go_on_in(tmp_path / "two")
    log.note("second")
    log.close()
    one, two = ([json.loads(line) for line in (tmp_path / name).read_text().splitlines()] for name in ("one", "two"))
    assert [event["event"] for event in one] == ["note", "trap"] and one[1]["trap"]["cause"] == "uart"
    assert [event["text"] for event in two] == ["second"] and two[0]["t"] < 1

# SPDX-License-Identifier: Apache-2.0
"""Records, events, manifests: what is whole reads back unchanged, what contradicts itself is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_data import TRAP, events, manifest, record

from hil.console_times import HEADER, ConsoleTime, console_times, parse_console_times, pieces
from hil.events import TrapEvent, VerdictEvent, event_line, parse_event
from hil.fields import RecordError
from hil.manifest import Manifest
from hil.record import Record
from hil.record_line import DamagedRecord, parse_record_line, record_line, scan_records
from hil.run_log import RunLog, parse_events, read_events
from hil.verdict import Outcome


def test_a_record_reads_back_unchanged() -> None:
    original = record()
    assert Record.of(original.as_dict()) == original
    assert parse_record_line(record_line(original)) == original
    assert Record.of(json.loads(json.dumps(original.as_dict()))).as_dict() == original.as_dict()


def test_ticks_become_nanoseconds() -> None:
    one = record(values=[125] * 10)
    assert one.tick_ns == 16
    assert one.statistic_ns("p50") == 2000
    assert one.seconds == pytest.approx(10 * 500 / 62.5e6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"p50": 999_999}, "percentiles must ascend"),
        ({"p50": "12"}, 'field "p50": expected a finite number >= 0, found "12"'),
        ({"p50": float("nan")}, 'field "p50"'),
        ({"p50": True}, 'field "p50"'),
        ({"mean": 10**400}, 'field "mean"'),
        ({"mean": 1_000_000}, "lies outside"),
        ({"count": 7}, "histogram holds 1000 samples, count says 7"),
        ({"count": 0}, 'field "count"'),
        ({"unit": "ns"}, 'field "unit"'),
        ({"clock": {"name": "x", "hz": 0}}, 'field "hz": expected a frequency > 0'),
        ({"clock": None}, 'field "clock"'),
        ({"mode": {"root": 3}}, 'field "mode"'),
        ({"histogram": [[1, 2]]}, 'field "histogram"'),
        ({"histogram": [[100, 99, 1000]]}, "out of order or empty"),
        ({"histogram": [[0, 10, 1000]]}, "histogram's ends do not hold"),
        ({"histogram": [[100, 6000, 1000.5]]}, "whole counts"),
        ({"timeline": [[0, 1, 2, 3]] * 301}, 'field "timeline": expected at most 300 rows'),
        ({"timeline": [[0, 1, 2, 3]]}, "timeline point at t=0"),
        ({"outliers": [[0, 1]]}, "outlier 1 outside"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError) as error:
        Record.of({**record().as_dict(), **change})
    assert message in str(error.value)
    assert "round-trip" in str(error.value)


@pytest.mark.parametrize(
    "key", sorted(set(record().as_dict()) - {"lost", "unit", "mode", "histogram", "timeline", "outliers"})
)
def test_a_missing_field_is_named(key: str) -> None:
    value = record().as_dict()
    del value[key]
    with pytest.raises(RecordError, match=f'field "{key}" is missing'):
        Record.of(value)


@pytest.mark.parametrize("value", [None, 3, "text", [], {}])
def test_what_is_no_record_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        Record.of(value)


@given(st.data())
def test_one_changed_byte_never_yields_another_record(data: st.DataObject) -> None:
    original = record(values=[100, 110, 120])
    line = bytearray(record_line(original).encode())
    position = data.draw(st.integers(0, len(line) - 2))
    line[position] ^= 1 << data.draw(st.integers(0, 7))
    scan = scan_records(bytes(line))
    assert scan.records in ([], [original])


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_scan(noise: bytes) -> None:
    scan = scan_records(noise + b"\nhil-record " + noise + b"\n")
    assert scan.records == []
    assert scan.errors


def test_a_repeated_record_counts_once_and_a_second_version_is_an_error() -> None:
    line, other = record_line(record()), record_line(record(values=[1, 2, 3]))
    scan = scan_records("prompt# " + line + "noise\n" + line + other)
    assert scan.records == [record()]
    assert scan.errors == ['record "round-trip": two different records for one series']


def test_damage_is_told_apart_from_wrong_content() -> None:
    line = record_line(record())
    with pytest.raises(DamagedRecord, match="checksum"):
        parse_record_line(line.replace("round-trip", "round-trap"))
    with pytest.raises(DamagedRecord, match="not a whole"):
        parse_record_line(line[:100])


@pytest.mark.parametrize("verdict", list(Outcome))
def test_events_read_back(verdict: Outcome) -> None:
    log = parse_events(map(event_line, events(verdict)))
    assert log.events == events(verdict)
    assert log.damage == []
    assert log.verdict().outcome is verdict
    assert [trap.trap for trap in log.traps()] == ([TRAP] if verdict is Outcome.TRAP else [])


def test_exit_codes() -> None:
    assert [verdict.exit_code for verdict in Outcome] == [0, 1, 3, 4]


def test_a_killed_run_keeps_what_it_had(tmp_path: Path) -> None:
    text = "".join(map(event_line, events()))
    path = tmp_path / "events.jsonl"
    path.write_text(text[: text.index('"event":"verdict"')])
    log = read_events(path)
    assert len(log.events) == len(events()) - 1
    assert "events.jsonl:7: not JSON" in log.damage[0]
    assert log.verdict().outcome is Outcome.INFRASTRUCTURE_ERROR
    assert 'cut off in state "running"' in log.verdict().reason


def test_a_run_without_events_is_an_infrastructure_error(tmp_path: Path) -> None:
    log = read_events(tmp_path / "events.jsonl")
    assert log.verdict().outcome is Outcome.INFRASTRUCTURE_ERROR
    assert log.damage == ["events.jsonl was never written"]


@pytest.mark.parametrize(
    "event, message",
    [
        ({"t": 0, "event": "party"}, 'unknown kind "party"'),
        ({"event": "note", "text": ""}, 'field "t" is missing'),
        ({"t": 0, "event": "step", "state": "s", "name": "n", "seconds": 1, "outcome": "perhaps"}, '"ok" or "failed"'),
        ({"t": 0, "event": "verdict", "verdict": "maybe"}, "one of pass, fail, trap, infrastructure-error"),
        ({"t": -1, "event": "note", "text": ""}, 'field "t"'),
        ({"t": 0, "event": "trap", "trap": 3}, "expected a JSON object"),
        ([], "expected a JSON object"),
    ],
)
def test_a_wrong_event_is_named(event: object, message: str) -> None:
    with pytest.raises(RecordError) as error:
        parse_event(event)
    assert message in str(error.value)


def test_the_last_verdict_counts() -> None:
    first = VerdictEvent(1.0, Outcome.PASS, 0)
    last = VerdictEvent(2.0, Outcome.TRAP, 3, "parked")
    log = RunLog([first, TrapEvent(1.5, {}), last])
    assert log.verdict() == last


def test_the_manifest_reads_back() -> None:
    assert Manifest.of(json.loads(json.dumps(manifest().as_dict()))) == manifest()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format": 2}, 'field "format"'),
        ({"command": "hil run"}, "a list of words"),
        ({"emulated": "yes"}, "true or false"),
        ({"versions": {"a": 1}}, 'field "versions"'),
        ({"target": 7}, 'field "target": expected text, found 7'),
    ],
)
def test_a_wrong_manifest_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError) as error:
        Manifest.of({**manifest().as_dict(), **change})
    assert message in str(error.value)


def test_console_times_skip_what_a_kill_cut() -> None:
    of_old_runs = b"0 1000000000\n17 1500000000\n20\nx 3\n"
    for content in (of_old_runs, console_times([(0, 10**9), (17, 15 * 10**8), (99, 10**12)])[:-1]):
        assert list(parse_console_times(content)) == [ConsoleTime(0, 1.0), ConsoleTime(17, 1.5)]


def test_console_times_keep_every_nanosecond_in_few_bytes() -> None:
    wanted = [(0, 0), (4, 5_729), (8, 11_166), (9, 11_166), (16_000, 987_654_321_012)]
    content = console_times(wanted)
    assert list(pieces(content)) == wanted and len(content) - len(HEADER) <= 4 * len(wanted) + 3
    backwards = [(7, 900), (3, 20), (5, 10)]  # a log that goes on where a clock began anew
    assert list(pieces(console_times(backwards))) == backwards
    assert list(pieces(HEADER)) == list(pieces(b"")) == []


def test_console_times_may_hold_anything() -> None:
    random = Random(20260401)
    for _ in range(300):
        noise = random.randbytes(random.randrange(60))
        for content in (noise, HEADER + noise):
            for offset, ns in pieces(content):
                assert offset >= 0 and ns >= 0


def test_a_busy_host_is_told_where_its_work_is_in_the_figures() -> None:
    busy = {"name": "h", "cpus": "2", "load": "18.97 4.00 2.00"}
    assert "load 19.0 on 2 CPUs" in manifest(host=busy).busy_host
    assert manifest(host=busy, virtual_time=True).busy_host == ""
    assert manifest(host=busy, emulated=False).busy_host == ""
    assert manifest(host=busy | {"load": "0.30 4.00 2.00"}).busy_host == ""
    assert manifest(host={"name": "h"}).busy_host == "" and manifest(host={"cpus": "2", "load": "?"}).busy_host == ""

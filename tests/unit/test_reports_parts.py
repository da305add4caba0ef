# SPDX-License-Identifier: Apache-2.0
"""The small parts of the reports: units, console lines, chart data, trap words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_data import record, samples

from hil.console_times import ConsoleTime
from hil.record import Bucket
from reports import charts, units
from reports.console_log import brief, console_lines, printable
from reports.trap_text import headline, trap_text


@pytest.mark.parametrize(
    "ns, text",
    [(0, "0 ns"), (16, "16 ns"), (1.5, "1.50 ns"), (999.4, "999 ns"), (999.9, "1.00 µs"), (43104, "43.1 µs")]
    + [(15_809_500, "15.8 ms"), (1e9, "1.00 s"), (61.2e9, "61.2 s"), (600e9, "600 s")],
)
def test_durations(ns: float, text: str) -> None:
    assert units.duration(ns) == text.replace(" ", units.NBSP)


def test_a_table_has_one_unit() -> None:
    unit = units.common_unit([144.0, 43104.0])
    assert (unit.name, unit.text(43104), unit.text(144), unit.text(15_809_512)) == (
        "µs",
        "43.10",
        "0.14",
        "15\u202f809.5",
    )
    assert units.common_unit([144.0]).name == "ns"
    assert units.common_unit([]).name == "ns"


def test_escape_sequences_go_and_controls_show() -> None:
    assert printable("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b(B \x1bM") == "red x "
    assert printable("a\tb\x07\x00\x7f\x9b\u202e\ud800") == "a\tb\u2407\u2400\u2421\ufffd\ufffd\ufffd"
    assert printable("lone \x1b") == "lone \u241b"


@given(st.text())
def test_printable_text_is_inert(text: str) -> None:
    assert all(c == "\t" or ord(c) >= 0x20 and c != "\x7f" and not "\x80" <= c <= "\x9f" for c in printable(text))
    assert printable(printable(text)) == printable(text)


def test_console_lines_are_dated_and_attributed() -> None:
    raw = b"[    0.100000] usb 1-1: new\r\r\n\r\nhello from a cell\nUnhandled data read at 0x9000018(4)\nhalf"
    times = [ConsoleTime(0, 1.0), ConsoleTime(33, 2.0)]
    lines = [(line.seconds, line.writer, line.text) for line in console_lines(raw, times)]
    assert lines == [
        (1.0, "kernel", "[    0.100000] usb 1-1: new"),
        (1.0, "", "hello from a cell"),
        (2.0, "hypervisor", "Unhandled data read at 0x9000018(4)"),
        (2.0, "", "half"),
    ]
    assert [line.text for line in console_lines(raw, tail=1)] == ["half"]


def test_an_agents_frames_are_left_out_and_what_fell_into_them_is_kept() -> None:
    high = bytes(c | 0x80 for c in b"~|" + bytes(range(16)) + b"x" * 24 + b"}")
    spliced = high[:10] + b"[    1.0" + high[10:20] + b"00000] kernel line\r\n" + high[20:]
    raw = b"before " + high + b"after\n" + spliced + b"last\n~{" + b"Q" * 60 + b"}plain\ncaf\xc3\xa9\n"
    assert [line.text for line in console_lines(raw)] == [
        "before after",
        "[    1.000000] kernel line",
        "last",
        "plain",
        "caf\u00e9",
    ]


def test_a_frame_whose_end_was_lost_takes_no_more_than_a_frame_with_it() -> None:
    others = "caf\u00e9\n" * 1000
    kept = console_lines(b"\xfe\xfc" + b"\xa0" * 300 + b"\n" + others.encode())
    assert sum(line.text == "caf\u00e9" for line in kept) == 500, "1,301 characters with bit 7, two of them a letter"


def test_the_longest_frame_is_left_out_whole() -> None:
    spliced = b'Parking CPU 2 (Cell: "demo")\n'
    kept = console_lines(b"\xfe\xfb" + b"\xa0" * 700 + spliced + b"\xa0" * 600 + b"\xfdlast\n")
    assert [line.text for line in kept if line.text] == ['Parking CPU 2 (Cell: "demo")', "last"]


def test_a_line_without_end_is_shortened() -> None:
    (line,) = console_lines(b"hil-record 00000000 " + b"x" * 5000)
    assert len(line.text) < 700 and line.text.endswith("more characters)")


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 900)), min_size=1, unique_by=lambda b: b[0]))
def test_log_columns_keep_every_sample(found: list[tuple[int, int]]) -> None:
    buckets = [Bucket(low, low + 1, count) for low, count in sorted(found)]
    columns = charts.log_columns(buckets)
    assert sum(samples for _, _, samples in columns) == pytest.approx(sum(b.count for b in buckets))
    assert 1 <= len(columns) <= charts.COLUMNS
    assert all(low < high and samples >= 0 for low, high, samples in columns)


def test_no_column_is_narrower_than_a_bucket_that_counts() -> None:
    columns = charts.log_columns([Bucket(1, 2, 10), Bucket(2, 4, 10)])
    assert [(round(low, 9), round(high, 9), round(n, 9)) for low, high, n in columns] == [(1, 2, 10), (2, 4, 10)]


def test_a_wide_bucket_of_few_samples_is_spread_and_takes_no_detail_from_the_others() -> None:
    narrow = [Bucket(100 + k, 101 + k, 100) for k in range(100)]
    columns = charts.log_columns([*narrow, Bucket(200, 20000, 2)])
    assert len(columns) == charts.COLUMNS
    assert 0 < columns[-1][2] < 1 and columns[-1][2] == pytest.approx(columns[-2][2])


def test_equal_samples_are_one_column_of_one_tick() -> None:
    one = record(values=[149] * 1000, histogram=[[144, 150, 1000]])
    ((low, high, samples_),) = charts.log_columns(charts.trimmed(one))
    assert (round(low, 9), round(high, 9), samples_) == (149, 150, 1000)


def test_the_tail_is_exact_at_bucket_edges() -> None:
    one = record(values=samples())
    for ticks, share in charts.slower_than(one)[:-1]:
        assert share == sum(value >= ticks for value in samples()) / one.count
    assert charts.slower_than(one)[-1][0] == one.max


def test_the_overflow_bucket_ends_at_the_maximum() -> None:
    one = record(values=[100, 5000], histogram=[[96, 112, 1], [4096, 2**64 - 1, 1]])
    assert charts.trimmed(one)[-1].high == 5001


def test_chart_data_is_in_nanoseconds_and_seconds() -> None:
    data = charts.series_data(record(values=[125] * 60))
    assert data["marks"] == {key: 2000.0 for key in ("min", *charts.MARKS)}
    assert data["timeline"][1] == [8e-6, 2000.0, 2000.0, 2000.0]


def test_nothing_unknown_is_said_of_a_trap() -> None:
    assert headline({"kind": "hvc", "cell": None, "outcome": "unknown"}) == "hvc"
    assert headline({}) == "trap"
    assert trap_text(
        {"kind": "mmio", "access": "write", "address": "0x10", "fix": "add it", "fix_yaml": "a: 1\nb: 2"}
    ) == (
        "mmio write at 0x10\n\nFix: add it\n\nAs YAML:\na: 1\nb: 2\n\n"
        "            kind  mmio\n          access  write\n         address  0x10"
    )


def test_a_long_reason_is_cut_at_a_blank() -> None:
    assert brief("short reason") == "short reason"
    cut = brief("word " * 200)
    assert len(cut) <= 362 and cut.endswith("word …")
    assert len(brief("x" * 1000)) == 362


@pytest.mark.parametrize(
    "text", ['Started cell "a"', " CPU 1... OK", " x0: 0000000000000000 x1: 1", "Unhandled data read"]
)
def test_the_hypervisors_own_lines_are_known(text: str) -> None:
    assert console_lines(text.encode())[0].writer == "hypervisor"


@pytest.mark.parametrize("text", ["hil# ls", "Started something", "pc: fine", "cell state"])
def test_other_lines_name_no_writer(text: str) -> None:
    assert console_lines(text.encode())[0].writer == ""

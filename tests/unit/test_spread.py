# SPDX-License-Identifier: Apache-2.0
"""The spread of equal runs."""

from __future__ import annotations

from dataclasses import replace

from report_data import record

from hil.spread import spreads


def test_equal_runs_have_no_spread() -> None:
    one = record()
    assert {spread.relative for spread in spreads([[one], [one]])} == {0.0}


def test_the_range_and_the_most_common_value() -> None:
    one = record()
    other = replace(one, p50=one.p50 + 2)
    found = {(s.series, s.figure): s for s in spreads([[one], [other], [one]])}
    spread = found[(one.series, "p50")]
    assert spread.values == [one.p50 * one.tick_ns, other.p50 * one.tick_ns, one.p50 * one.tick_ns]
    assert spread.most_common() == (one.p50 * one.tick_ns, 2)
    assert spread.relative == (other.p50 - one.p50) / one.p50

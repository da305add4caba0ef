# SPDX-License-Identifier: Apache-2.0
"""A run's result on the terminal: whatever the terminal's width, no figure is cut."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from report_data import events, record, samples, write_run
from rich.console import Console as Terminal

from hil import summary
from hil.record import STATISTICS


@pytest.mark.parametrize("width", [30, 45, 60, 79, 80, 200])
def test_every_figure_is_whole(tmp_path: Path, width: int) -> None:
    found = [record("round-trip", samples(base=9_000)), record("inmate-to-root", samples(base=4_000_000))]
    run = write_run(tmp_path, events(records=found))
    out = io.StringIO()
    summary.show(run, Terminal(file=out, width=width))
    said = out.getvalue().replace("\u00a0", " ")
    assert "…" not in said
    words = said.replace(",", " ").split()
    for one in found:
        assert f"{one.series}" in words or f"{one.series}:" in words
        for name in STATISTICS:
            assert summary.microseconds(one.statistic_ns(name)) in words, name

# SPDX-License-Identifier: Apache-2.0
"""History and comparison: equal runs calibrate, what is unequal or too little gives no verdict."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from report_data import events, record, samples, write_run

from hil.commands import compare as compare_command
from hil.commands import history as history_command
from hil.errors import InfrastructureError
from hil.verdict import Outcome
from hil.run_directory import RUNNING
from reports.compare import NEEDED, Comparison, Finding, compare, spread
from reports.history import Conditions, History, opened, write_csv
from reports.run import Run, load
from reports.units import NBSP, duration


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with opened(tmp_path / "history.sqlite") as one:
        yield one


def run(tmp_path: Path, name: str, factor: float = 1.0, **changes: Any) -> Run:
    """A run whose samples are `factor` times the usual ones."""
    values = [round(value * factor) for value in samples(base=1000)]
    return load(write_run(tmp_path / "runs" / name, events(records=[record(values=values)]), **changes))


def nights(tmp_path: Path, history: History, count: int, **changes: Any) -> None:
    """So many earlier runs that differ by up to 2 %."""
    for night in range(count):
        started = f"2026-01-{night + 1:02}T00:00:00+00:00"
        history.add(run(tmp_path, f"night-{night}", 1 + (night % 5 - 2) / 100, started=started, **changes))


def test_a_run_reads_back_and_is_known_once(tmp_path: Path, history: History) -> None:
    one = run(tmp_path, "one")
    history.add(one)
    history.add(one)
    (past,) = history.runs()
    assert (past.name, past.verdict, past.conditions) == ("one", "pass", Conditions.of(one))
    (series,) = history.series_of("one")
    assert series.ns["p99_9"] == one.records[0].statistic_ns("p99_9")
    assert (series.mode, series.count) == ("inmate=poll,root=interrupt", 1000)


def test_a_scan_takes_in_what_is_finished(tmp_path: Path, history: History) -> None:
    run(tmp_path, "done")
    run(tmp_path, "going-on")
    (tmp_path / "runs" / "going-on" / RUNNING).write_text("{}")
    write_run(tmp_path / "runs" / "trapped", events(Outcome.TRAP))
    run(tmp_path, "damaged")
    (tmp_path / "runs" / "damaged" / "manifest.json").write_text("{")
    problems = history.scan(tmp_path / "runs")
    assert [problem.split(":")[0] for problem in problems] == ["damaged"]
    assert sorted(past.name for past in history.runs()) == ["done", "trapped"]
    assert [past.name for past in history.runs(target="other")] == []
    (tmp_path / "runs" / "going-on" / RUNNING).unlink()
    history.scan(tmp_path / "runs")
    assert len(history.runs()) == 3


def test_the_clocks_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RUNS", str(tmp_path / "runs"))
    run(tmp_path, "timed")
    run(tmp_path, "counted", 3.0, virtual_time=True)
    for columns in ("60", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        said = CliRunner().invoke(history_command.command, ["--csv", str(tmp_path / "all.csv")]).output
        wall, title, virtual = said.partition("Virtual time: figures count instructions")
        assert "Wall clock" in wall and "timed" in wall and "counted" not in wall
        assert title and "counted" in virtual and "timed" not in virtual
    rows = {row["run"]: row for row in csv.DictReader((tmp_path / "all.csv").open())}
    assert rows["timed"]["clock"] == "wall" and rows["counted"]["clock"] == "virtual"
    assert rows["timed"]["round-trip.p50"] and not rows["counted"]["round-trip.p50"]
    assert rows["counted"]["virtual-time.round-trip.p50"] and not rows["timed"]["virtual-time.round-trip.p50"]


def test_runs_of_one_clock_do_not_calibrate_those_of_another(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, NEEDED, virtual_time=True)
    assert judged(tmp_path, history, 1.5).finding is Finding.UNCALIBRATED
    assert judged(tmp_path, history, 1.5, virtual_time=True).differing == ("clock",)


def test_the_history_of_an_older_hil_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with opened(path) as history:
        history.add(run(tmp_path, "timed", machine="qemu -smp 4"))
        history.add(run(tmp_path, "counted", machine="qemu -icount shift=0,sleep=off", virtual_time=True))
    with sqlite3.connect(path) as db:
        db.executescript("ALTER TABLE runs DROP COLUMN clock; PRAGMA user_version = 2;")
    with opened(path) as history:
        assert {past.name: past.conditions.clock for past in history.runs()} == {"timed": "wall", "counted": "virtual"}


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(InfrastructureError, match="cannot use the history"):
        History(path)
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InfrastructureError, match="format 99"):
        History(path)


def judged(tmp_path: Path, history: History, factor: float, **changes: Any) -> Comparison:
    return compare(run(tmp_path, "before"), run(tmp_path, "after", factor, **changes), history)


@pytest.mark.parametrize(
    "factor, finding",
    [(1.0, Finding.SAME), (1.03, Finding.SAME), (0.97, Finding.SAME), (1.5, Finding.SLOWER), (0.6, Finding.FASTER)],
)
def test_a_verdict_goes_by_the_spread_of_equal_runs(
    tmp_path: Path, history: History, factor: float, finding: Finding
) -> None:
    nights(tmp_path, history, 15)
    result = judged(tmp_path, history, factor)
    assert result.finding is finding
    assert result.slower is (finding is Finding.SLOWER)
    figures = {figure.name: figure for figure in result.series[0].figures}
    assert figures["p50"].ratio == pytest.approx(factor, rel=0.01)
    assert figures["p50"].band is not None and figures["max"].band is None
    assert figures["max"].finding is Finding.NOT_JUDGED


def test_too_few_runs_give_no_verdict(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, NEEDED - 1)
    result = judged(tmp_path, history, 3.0)
    assert result.finding is Finding.UNCALIBRATED
    assert result.series[0].repetitions == NEEDED - 1


@pytest.mark.parametrize("change", [{"contention": "noisy"}, {"host": {"name": "other"}}, {"kernel": "6.2"}])
def test_unequal_runs_do_not_calibrate(tmp_path: Path, history: History, change: dict[str, Any]) -> None:
    nights(tmp_path, history, 15, **change)
    assert judged(tmp_path, history, 3.0).finding is Finding.UNCALIBRATED


def test_another_hypervisor_needs_its_own_repetitions(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 15)
    result = judged(tmp_path, history, 1.5, hypervisor="other")
    assert result.differing == ("hypervisor",)
    assert result.finding is Finding.UNCALIBRATED


def test_the_compared_runs_do_not_widen_their_own_band(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, NEEDED - 1)
    history.add(run(tmp_path, "before"))
    history.add(run(tmp_path, "after", 1.5))
    assert judged(tmp_path, history, 1.5).finding is Finding.UNCALIBRATED


def test_one_odd_night_does_not_widen_the_band() -> None:
    calm = [100.0 + k % 3 for k in range(20)]
    assert spread([*calm, 10_000.0]) == pytest.approx(spread(calm), rel=0.5)
    assert spread(calm[:9]) is None
    assert spread([100.0] * 10) == 0


def test_one_tick_is_never_a_difference(tmp_path: Path, history: History) -> None:
    for night in range(NEEDED):
        history.add(load(write_run(tmp_path / "runs" / f"n{night}", events(records=[record(values=[100] * 50)]))))
    before = load(write_run(tmp_path / "a", events(records=[record(values=[100] * 50)])))
    for ticks, finding in ((101, Finding.SAME), (102, Finding.SLOWER), (98, Finding.FASTER)):
        after = load(write_run(tmp_path / f"b{ticks}", events(records=[record(values=[ticks] * 50)])))
        assert compare(before, after, history).finding is finding


def test_other_waiting_modes_are_another_series(tmp_path: Path, history: History) -> None:
    polled = record(mode={"root": "poll", "inmate": "poll"})
    before, after = (
        load(write_run(tmp_path / name, events(records=[one]))) for name, one in (("a", record()), ("b", polled))
    )
    result = compare(before, after, history)
    assert result.series == ()
    assert result.missing == ("round-trip inmate=poll,root=interrupt", "round-trip inmate=poll,root=poll")


def test_the_csv_has_a_line_a_run(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 3)
    out = io.StringIO()
    write_csv(history, history.runs(), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["run"] for row in rows] == ["night-0", "night-1", "night-2"]
    assert float(rows[0]["round-trip.p50"]) == history.series_of("night-0")[0].ns["p50"]


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RUNS", str(tmp_path / "runs"))
    for night in range(NEEDED):
        run(tmp_path, f"night-{night}", started=f"2026-01-{night + 1:02}T00:00:00+00:00")
    run(tmp_path, "slow", 1.5, started="2026-02-01T00:00:00+00:00")
    shown = CliRunner().invoke(history_command.command, ["--limit", "2", "--csv", str(tmp_path / "all.csv")])
    assert shown.exit_code == 0, shown.output
    assert "slow" in shown.output and "night-9" in shown.output and "night-8" not in shown.output
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 3
    few = CliRunner().invoke(compare_command.command, ["night-0", "slow"])
    assert few.exit_code == 0 and f"not calibrated: {NEEDED - 1} of {NEEDED}" in few.output
    run(tmp_path, "one-more")
    enough = CliRunner().invoke(compare_command.command, ["night-0", "slow"])
    assert enough.exit_code == 1 and enough.output.rstrip().endswith("slower")
    same = CliRunner().invoke(compare_command.command, ["night-0", "one-more"])
    assert same.exit_code == 0 and "no difference" in same.output


def test_a_narrow_terminal_cuts_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RUNS", str(tmp_path))
    write_run(tmp_path / "20261121T060616Z-qemu-ivshmem-latency")
    for width in ("50", "79", "80", "120"):
        monkeypatch.setenv("COLUMNS", width)
        said = CliRunner().invoke(history_command.command, []).output
        p50, p99 = (duration(record().statistic_ns(name)).replace(NBSP, " ") for name in ("p50", "p99"))
        assert "alone" in said and "…" not in said
        assert p50 in " ".join(said.split()) and p99 in " ".join(said.split()), (width, said)

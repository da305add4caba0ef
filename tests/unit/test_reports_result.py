# SPDX-License-Identifier: Apache-2.0
"""result.json: Google Benchmark's shape, read by Google Benchmark's own compare.py."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_data import events, record, samples, write_run

import reports
from hil.verdict import Outcome

COMPARE = Path("/usr/share/benchmark/compare.py")  # Debian: libbenchmark-tools


def result_of(run_dir: Path) -> dict[str, Any]:
    reports.write_all(run_dir)
    value: dict[str, Any] = json.loads((run_dir / "result.json").read_text())
    return value


def test_counters_are_exact_nanoseconds(tmp_path: Path) -> None:
    values = samples()
    entry = result_of(write_run(tmp_path))["benchmarks"][0]
    assert entry["name"] == "ivshmem-latency/round-trip"
    assert entry["run_type"] == "iteration"
    assert entry["iterations"] == 1000
    assert entry["time_unit"] == "ns"
    assert entry["real_time"] == pytest.approx(16 * sum(values) / 1000, abs=0.001)
    assert entry["cpu_time"] == 0
    ordered = sorted(values)
    expected = {"min": 0, "p50": 499, "p90": 899, "p99": 989, "p99_9": 998, "max": 999}
    assert {key: entry[key] for key in expected} == {key: 16 * ordered[rank] for key, rank in expected.items()}
    assert entry["stddev"] == pytest.approx(16 * record().stddev, abs=0.001)
    assert entry["items_per_second"] == pytest.approx(62.5e6 / 500)


def test_the_context_names_the_conditions(tmp_path: Path) -> None:
    context = result_of(write_run(tmp_path))["context"]
    assert context["target"] == "qemu"
    assert context["hypervisor"] == "gaol"
    assert context["kernel"] == "6.1.0-test"
    assert context["clock"] == "CNTVCT_EL0 @ 62500000 Hz"
    assert context["contention"] == "alone"
    assert context["machine_model"] == "made up for a test"
    assert context["emulated"] is True
    assert context["num_cpus"] == 2
    assert context["verdict"] == "pass"


def test_aggregates_say_what_they_are(tmp_path: Path) -> None:
    entries = result_of(write_run(tmp_path))["benchmarks"][1:]
    assert [(e["name"], e["aggregate_name"], e["real_time"]) for e in entries] == [
        ("ivshmem-latency/round-trip_median", "median", record().statistic_ns("p50")),
        ("ivshmem-latency/round-trip_p99", "p99", record().statistic_ns("p99")),
        ("ivshmem-latency/round-trip_p99_9", "p99_9", record().statistic_ns("p99_9")),
    ]


@pytest.mark.parametrize("verdict", [Outcome.FAIL, Outcome.TRAP, Outcome.INFRASTRUCTURE_ERROR])
def test_a_run_without_records_has_no_times(tmp_path: Path, verdict: Outcome) -> None:
    result = result_of(write_run(tmp_path, events(verdict)))
    assert result["benchmarks"] == []
    assert result["context"]["verdict"] == verdict.value
    assert result["context"]["reason"].startswith("reason of the")


def compare(before: Path, after: Path) -> str:
    assert COMPARE.exists(), f"{COMPARE} is not there: apt install libbenchmark-tools python3-scipy"
    done = subprocess.run(
        ["/usr/bin/python3", str(COMPARE), "benchmarks", str(before / "result.json"), str(after / "result.json")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"\x1b\[\d+m", "", done.stdout)


def test_compare_py_reads_it(tmp_path: Path) -> None:
    slower = events(records=[record(values=[2 * value for value in samples()])])
    for name, log in (("before", events()), ("after", slower)):
        result_of(write_run(tmp_path / name, log))
    rows = {line.split()[0]: line.split()[1:] for line in compare(tmp_path / "before", tmp_path / "after").splitlines()}
    for name in ("round-trip", "round-trip_median", "round-trip_p99", "round-trip_p99_9"):
        assert rows[f"ivshmem-latency/{name}"][0] == "+1.0000"
    assert float(rows["ivshmem-latency/round-trip_median"][3]) == pytest.approx(2 * record().statistic_ns("p50"), abs=1)


def test_compare_py_survives_a_run_that_measured_nothing(tmp_path: Path) -> None:
    result_of(write_run(tmp_path / "before"))
    result_of(write_run(tmp_path / "after", events(Outcome.INFRASTRUCTURE_ERROR)))
    result_of(write_run(tmp_path / "again", events(Outcome.INFRASTRUCTURE_ERROR)))
    assert "round-trip" not in compare(tmp_path / "before", tmp_path / "after").partition("----")[2]
    compare(tmp_path / "after", tmp_path / "again")

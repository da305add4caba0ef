# SPDX-License-Identifier: Apache-2.0
"""The probe's C++ writes what the Python reads: one program of the measuring core, many samples, equal statistics."""

from __future__ import annotations

import math
import random
import subprocess
from pathlib import Path

import pytest
from report_data import events, write_run

import reports
from hil.events import RecordEvent
from hil.record_line import scan_records

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = r"""
#include "bench/core/record.hpp"
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

struct Out { void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); } };

int main() {
    std::vector<std::uint64_t> times, values;
    unsigned long long time, value;
    while (std::scanf("%llu %llu", &time, &value) == 2) {
        times.push_back(time);
        values.push_back(value);
    }
    static hil::bench::Series series;
    series.build(times, values, times.back() + 1);
    const hil::bench::SeriesLabel label{"ivshmem-latency", "round-trip", "a \"rings\"", "a is rung",
                                        {"CNTVCT_EL0", 62500000}, "interrupt", "poll", 10, 0};
    Out out;
    hil::bench::write_record(label, series, out);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("probe")
    (directory / "probe.cpp").write_text(PROGRAM)
    command = [
        "g++",
        "-std=c++20",
        "-O1",
        "-I",
        str(ROOT),
        str(directory / "probe.cpp"),
        "-o",
        str(directory / "probe"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return directory / "probe"


def shapes() -> dict[str, list[int]]:
    """Samples of many shapes, the same each time."""
    dice = random.Random(1)
    return {
        "one": [7],
        "zeros": [0] * 20,
        "equal": [1000] * 999,
        "two": [1, 1 << 45],
        "small": [dice.randrange(40) for _ in range(5000)],
        "long tail": [int(dice.lognormvariate(8, 1)) for _ in range(10_000)],
    }


@pytest.mark.parametrize("shape", shapes())
def test_a_probes_record_is_read_and_reported(program: Path, tmp_path: Path, shape: str) -> None:
    values = shapes()[shape]
    times = [index * 3000 for index in range(len(values))]
    text = "".join(f"{time} {value}\n" for time, value in zip(times, values))
    output = subprocess.run([program], input=text, capture_output=True, text=True, timeout=60, check=True).stdout
    scan = scan_records(output)
    assert scan.errors == []
    (found,) = scan.records
    ordered, n = sorted(values), len(values)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)):
        assert getattr(found, name) == ordered[math.ceil(share * n - 1e-9) - 1]
    mean = sum(values) / n
    assert (found.count, found.min, found.max) == (n, ordered[0], ordered[-1])
    assert found.mean == pytest.approx(mean, rel=1e-5, abs=0.01)
    assert found.stddev == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in values) / n), rel=1e-3, abs=0.6)
    assert (found.from_event, found.mode) == ('a "rings"', {"root": "interrupt", "inmate": "poll"})
    assert all(found.p99_9 < outlier.value for outlier in found.outliers)
    reports.write_all(write_run(tmp_path, [RecordEvent(1.0, found), *events()[-1:]]))

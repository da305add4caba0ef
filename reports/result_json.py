# SPDX-License-Identifier: Apache-2.0
"""result.json in the shape of Google Benchmark's JSON output, so that its compare.py and its readers take it.

One entry of run_type "iteration" for each series, named `<probe>/<series>`:
  real_time   the mean of all counted samples: what Google Benchmark itself means by the time of one iteration
  cpu_time    0: not measured (two cells on two CPUs have no common CPU time)
  iterations  counted samples
  counters    min, p50, p90, p99, p99_9, max, stddev in ns, exact from all samples; lost, warmup; items_per_second
and for each of median, p99 and p99.9 one entry of run_type "aggregate", as latencies are compared by these.
All times are nanoseconds. A run without records has no entries; the context's verdict and reason say why. (An entry
with `error_occurred` and no times, which Google Benchmark knows, ends its compare.py with a KeyError.)
"""

from __future__ import annotations

from typing import Any

from hil.record import Record
from reports.run import Run

_COUNTERS = ("min", "p50", "p90", "p99", "p99_9", "max", "stddev")
_AGGREGATES = (("median", "p50"), ("p99", "p99"), ("p99_9", "p99_9"))


def result(run: Run) -> dict[str, Any]:
    """The whole document."""
    benchmarks: list[dict[str, Any]] = []
    for index, record in enumerate(run.records):
        benchmarks += _entries(record, index)
    return {"context": _context(run), "benchmarks": benchmarks}


def _context(run: Run) -> dict[str, Any]:
    manifest, verdict = run.manifest, run.verdict
    clocks = sorted({f"{r.clock.name} @ {r.clock.hz:.0f} Hz" for r in run.records})
    context: dict[str, Any] = {
        "date": manifest.started,
        "host_name": manifest.host.get("name", ""),
        "executable": " ".join(manifest.command),
        "target": manifest.target,
        "machine_model": manifest.machine,
        "emulated": manifest.emulated,
        "virtual_time": manifest.virtual_time,
        "hypervisor": manifest.hypervisor,
        "hypervisor_version": manifest.hypervisor_version,
        "kernel": manifest.kernel,
        "clock": ", ".join(clocks),
        "contention": manifest.contention,
        "chaos": manifest.chaos,
        "verdict": verdict.outcome.value,
        "reason": verdict.reason,
        "real_time": "mean of all counted samples",
        "cpu_time": "not measured",
        "versions": dict(manifest.versions),
        "config_hashes": dict(manifest.config_hashes),
        "host": dict(manifest.host),
    }
    if manifest.host.get("cpus", "").isdigit():
        context["num_cpus"] = int(manifest.host["cpus"])
    return context


def _label(record: Record) -> str:
    return ", ".join(f"{side} {mode}" for side, mode in record.mode.items())


def _entries(record: Record, index: int) -> list[dict[str, Any]]:
    name = f"{record.probe}/{record.series}"
    common = {
        "run_name": name,
        "family_index": index,
        "per_family_instance_index": 0,
        "repetitions": 1,
        "threads": 1,
    }
    iteration = {
        "name": name,
        **common,
        "run_type": "iteration",
        "repetition_index": 0,
        "iterations": record.count,
        **_times(record.statistic_ns("mean")),
        "label": _label(record),
        **{key: _rounded(record.statistic_ns(key)) for key in _COUNTERS},
        "lost": record.lost,
        "warmup": record.warmup,
        "tick_ns": record.tick_ns,
        "from": record.from_event,
        "to": record.to_event,
    }
    if record.duration > 0:
        iteration["items_per_second"] = _rounded(record.count / record.seconds)
    aggregates = [
        {
            "name": f"{name}_{aggregate}",
            **common,
            "run_type": "aggregate",
            "aggregate_name": aggregate,
            "aggregate_unit": "time",
            "iterations": record.count,
            **_times(record.statistic_ns(key)),
        }
        for aggregate, key in _AGGREGATES
    ]
    return [iteration, *aggregates]


def _times(ns: float) -> dict[str, Any]:
    return {"real_time": _rounded(ns), "cpu_time": 0.0, "time_unit": "ns"}


def _rounded(value: float) -> float:
    """Picoseconds are far below any tick: more digits would only be noise in a diff."""
    return round(value, 3)

# SPDX-License-Identifier: Apache-2.0
"""Builds run directories for the report tests from values that are plainly made up."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hil.events import Event, NoteEvent, RecordEvent, StateEvent, StepEvent, TrapEvent, VerdictEvent, event_line
from hil.manifest import Manifest
from hil.record import Record
from hil.verdict import Outcome

HZ = 62_500_000
HOSTILE = "<script>document.documentElement.dataset.error='injected'</script>"
CONSOLE = (
    b"[    0.000000] Booting Linux on physical CPU 0x0\r\n"
    b"Initializing processors:\r\n"
    + HOSTILE.encode()
    + b"\r\n\x1b[31mred\x1b[0m \x1b]0;new title\x07after the title\r\n"
    b"bell \x07 nul \x00 back \x08 c1 \xc2\x9b31m bidi \xe2\x80\xae end\r\n"
    b"not utf-8: \xff\x80\xc3\r\n]]> & \"quoted\" 'single'\r\n"
)
TRAP: dict[str, Any] = {
    "arch": "arm64",
    "kind": "data",
    "access": "read",
    "address": "0x9000018",
    "size": 4,
    "cpu": 1,
    "cell": f"bad{HOSTILE}",
    "outcome": "parked",
    "pc": "0x1fc4",
    "registers": {"x0": "0x1", "elr": "0x1fc4"},
    "device": None,
    "cause": "no region covers the UART\x1b[2J",
    "fix": "give the cell its UART",
    "fix_yaml": "mem_regions:\n  - phys_start: 0x09000000",
    "fix_c": None,
    "syndrome": {"value": "0x93810007", "text": "data abort from a lower level", "size": 4},
    "inferred": ["cell"],
    "messages": [],
    "confidence": 0.9,
    "text": f"Unhandled data read at 0x9000018(4) {HOSTILE}",
}


def samples(count: int = 1000, base: int = 100) -> list[int]:
    """Ticks: a ramp of 0..99 on `base`, every hundredth sample fifty times as slow."""
    return [base + (i * 37) % 100 + (base * 50 if i % 100 == 99 else 0) for i in range(count)]


def record(series: str = "round-trip", values: list[int] | None = None, **changes: Any) -> Record:
    """A record with the statistics of `values`, in buckets of 16 ticks."""
    values = samples() if values is None else values
    ordered, n = sorted(values), len(values)
    rank = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
    quantiles = {name: ordered[math.ceil(share * n) - 1] for name, share in rank.items()}
    mean = sum(values) / n
    buckets = sorted({value // 16 for value in values})
    per = max(1, n // 50)
    pieces = [(start, sorted(values[start : start + per])) for start in range(0, n, per)]
    return Record.of(
        {
            "probe": "ivshmem-latency",
            "series": series,
            "from": "root rings",
            "to": "root is rung",
            "clock": {"name": "CNTVCT_EL0", "hz": HZ},
            "mode": {"root": "interrupt", "inmate": "poll"},
            "warmup": 10,
            "count": n,
            "lost": 0,
            "unit": "ticks",
            "min": ordered[0],
            "max": ordered[-1],
            **quantiles,
            "mean": mean,
            "stddev": math.sqrt(sum((v - mean) ** 2 for v in values) / n),
            "histogram": [[b * 16, b * 16 + 16, sum(v // 16 == b for v in values)] for b in buckets],
            "timeline": [[start * 500, p[0], p[len(p) // 2], p[-1]] for start, p in pieces],
            "outliers": [[i * 500, v] for i, v in enumerate(values) if v > quantiles["p99_9"]][:100],
            "duration": n * 500,
            **changes,
        }
    )


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "target": "qemu",
        "bench": "ivshmem-latency",
        "started": "2026-01-02T03:04:05.678+00:00",
        "command": ("hil", "run", "--target", "qemu", "ivshmem-latency"),
        "machine": "made up for a test",
        "hypervisor": "gaol",
        "kernel": "6.1.0-test",
        "contention": "alone",
        "emulated": True,
        "versions": {"qemu": "7.2"},
        "config_hashes": {"qemu-root.cell": "ab" * 32},
        "host": {"name": "host-1", "cpus": "2"},
    }
    return Manifest(**{**values, **changes})


def events(verdict: Outcome = Outcome.PASS, records: list[Record] | None = None) -> list[Event]:
    """A run's events, as they end with `verdict`."""
    passed = verdict is Outcome.PASS
    measure = StepEvent(4.0, "running", "measure", 1.5, "ok" if passed else "failed", "" if passed else "gave up")
    head: list[Event] = [
        StateEvent(0.0, "boot", 60.0, "the kernel's first line"),
        StepEvent(2.5, "boot", "kernel up to its console", 2.5),
        StateEvent(2.5, "running", 30.0, "the probe's records"),
        NoteEvent(2.6, f"a note {HOSTILE}"),
        measure,
    ]
    found = [record()] if records is None and passed else records or []
    head += [RecordEvent(4.0, item) for item in found]
    if verdict is Outcome.TRAP:
        head.append(TrapEvent(4.0, TRAP))
    reason = "" if passed else f"reason of the {verdict.value} {HOSTILE}"
    return [*head, VerdictEvent(4.2, verdict, verdict.exit_code, reason)]


def write_run(run_dir: Path, log: list[Event] | None = None, console: bytes = CONSOLE, **changes: Any) -> Path:
    """A run directory as the runner leaves it, before its reports are made."""
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "manifest.json").write_text(json.dumps(manifest(**changes).as_dict()))
    (run_dir / "events.jsonl").write_text("".join(map(event_line, events() if log is None else log)))
    (run_dir / "console.raw").write_bytes(console)
    (run_dir / "console.times").write_text("0 1000000000\n52 2000000000\n")
    return run_dir

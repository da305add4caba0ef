# SPDX-License-Identifier: Apache-2.0
"""`hil test` itself: it counts what failed, loses nothing of what runs beside, and leaves nothing running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.testing import Plan, Stage, run_all, stages

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = """
import sys
from pathlib import Path
from hil.testing import Plan, Stage, run_all
sleep = ["sh", "-c", "sleep 61.5 & echo $! >>pids; echo $$ >>pids; wait"]
run_all(Path(sys.argv[1]), (), Plan([Stage("a", sleep, 60), Stage("b", sleep, 60)], ([Stage("c", sleep, 60)],), []))
"""


def stage(name: str, command: str, limit: float = 30) -> Stage:
    return Stage(name, ["sh", "-c", command], limit)


def test_every_stage_counts_and_the_last_ones_come_after_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        [stage("beside", "exit 3")],
        ([stage("one", "sleep 0.3; echo first >>order")], [stage("two", "sleep 9", limit=0.2)]),
        [stage("last", "echo last >>order; exit 0")],
    )
    assert run_all(tmp_path, (), plan) == 1
    said = capsys.readouterr().out
    assert "FAILED beside" in said and "exit code 3" in said and "no end after" in said
    assert said.splitlines()[-1] == "2 passed, 2 failed, 0 skipped"
    assert (tmp_path / "order").read_text() == "first\nlast\n"
    assert run_all(tmp_path, ("last",), plan) == 0


def test_an_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE)
    pids = tmp_path / "pids"
    while not pids.exists() or len(pids.read_text().splitlines()) < 4:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said and process.returncode != 0
    time.sleep(0.1)
    for pid in pids.read_text().split():
        status = Path(f"/proc/{pid}/stat")
        assert not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    assert len(pids.read_text().splitlines()) == 4, "the stage behind one that was ended was begun"


def test_the_repository_has_each_stage_once() -> None:
    names = [one.name for one in stages(ROOT).all()]
    assert len(set(names)) == len(names) and {"clang-tidy", "sanitizers", "C++ tests", "system tests"} <= set(names)

# SPDX-License-Identifier: Apache-2.0
"""The test command: every check of the repository as a named stage, what can stand it side by side, one closing count.

A stage is a command; its tests are counted from the JUnit file it writes, or as one test (exit code 0 or not) when it
writes none. A stage whose tool is missing fails: nothing is skipped in silence.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = "/usr/bin/python3"
HEARING = ("env", "--default-signal=INT,QUIT,HUP")
"""Before each command: what ignores signals (a CI system's background job, nohup) hands that down to all it starts, and
the tests of Ctrl-C, of shells and of dying controllers need signals that act."""


PATIENCE = 6 if os.environ.get("HIL_NIGHTLY") else 1
"""What the stages' limits are multiplied by: at night clang-tidy adds its analyzer, and tests their long forms."""


@dataclass(frozen=True)
class Stage:
    """One check: `command` runs in the repository root and must exit 0 within `limit` seconds (times PATIENCE)."""

    name: str
    command: Sequence[str]
    limit: float
    junit: Path | None = None


@dataclass
class Outcome:
    """What a stage did: counts of its tests, its seconds, and where its output is."""

    stage: Stage
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    log: Path = field(default_factory=Path)
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.failed == 0


def count_junit(path: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped test cases of a JUnit file (pytest's and ctest's dialects)."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def tracked(root: Path, *patterns: str) -> list[str]:
    """Files git tracks (or would, when they are new) that match the patterns."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listing.stdout.splitlines() if (root / name).is_file()]


BY_FILES = ("-n2", "--dist=loadfile")
"""Two processes, each of which takes the next file of tests when it is done with one."""
UNIT = ("tests/unit/test_console_sender.py", "tests/unit", "tests/golden")
"""What waits longest comes first, so that the others run beside it."""
Lane = list[Stage]
"""Stages that run one after the other."""
LONGEST = (
    *("test_verdicts.py", "test_scenarios.py", "test_machine_verdicts.py", "test_chaos.py", "test_loader.py"),
    *("test_foreign_system.py", "test_bad_configs.py", "test_isolation.py", "test_endurance.py"),
)
"""The system tests that take most of the time, the longest first: what comes last must be short, or one of the two
processes waits for the other at the end."""


YIELDING = ("sh", "-c", '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec chrt --idle 0 "$@"', "sh")
"""Before commands that take only what processor time the others leave. A stage is a session of its own, and where the
kernel gives each session its share (sched_autogroup), a task's policy counts within its session only."""


@dataclass(frozen=True)
class Plan:
    """All stages: `beside` run while the others do; the lanes of `first` side by side; what boots machines comes last,
    and its waits leave room for much of `beside`."""

    beside: Lane
    first: tuple[Lane, ...]
    last: Lane

    def all(self) -> list[Stage]:
        """Every stage."""
        return [*self.beside, *(stage for lane in self.first for stage in lane), *self.last]


def stages(root: Path) -> Plan:
    """The repository's stages."""
    logs = root / "build" / "test"
    sources = tracked(root, "*.cpp", "*.hpp", "*.h", "*.c")
    python = tracked(root, "*.py")
    checks = [
        Stage("clang-format", ["clang-format", "--dry-run", "-Werror", *sources], 120),
        Stage("licence headers", [PYTHON, "-m", "hil.licences"], 30),
        Stage("black", ["/usr/bin/black", "--check", "-q", *python], 120),
        Stage("flake8", [PYTHON, "-m", "flake8", *python], 120),
        Stage("mypy", [PYTHON, "-m", "mypy", "hil", "reports"], 300),
        Stage("clang-tidy", [*YIELDING, PYTHON, "-m", "hil.tidy"], 2400),
    ]
    sanitizers = Stage("sanitizers", [PYTHON, "-m", "hil.sanitize"], 1200)
    ctest_junit, unit_junit = logs / "ctest.xml", logs / "unit.xml"
    units = [
        Stage(
            "C++ tests",
            ["ctest", "--test-dir", "build/host", "-j2", "--output-on-failure", "--output-junit", str(ctest_junit)],
            600,
            ctest_junit,
        ),
        Stage(
            "Python tests",
            [PYTHON, "-m", "pytest", *UNIT, *BY_FILES, "--timeout=240", f"--junitxml={unit_junit}"],
            600,
            unit_junit,
        ),
    ]
    return Plan(checks, ([sanitizers], units), [system_stage(root, logs)])


def system_stage(root: Path, logs: Path) -> Stage:
    """Tests that boot machines; a file's tests share their boots."""
    directory = root / "tests" / "system"
    first = [directory / name for name in LONGEST]
    tests = [*first, *sorted(set(directory.glob("test_*.py")) - set(first))]
    junit = logs / "system-tests.xml"
    words = ["-m", "pytest", *map(str, tests), *BY_FILES, "--durations=15", f"--junitxml={junit}"]
    return Stage("system tests", [PYTHON, *words], 1800, junit)


class Running:
    """The stages' processes, each the head of a group of its own, so that none outlives the test command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self.over = False

    def wait(self, process: subprocess.Popen[bytes], limit: float) -> int:
        """Its exit code. TimeoutExpired when its limit passes; its group is ended then, and at end()."""
        with self._lock:
            self._processes.add(process)
            if self.over:
                _kill(process)
        try:
            return process.wait(limit)
        finally:
            _kill(process)
            with self._lock:
                self._processes.discard(process)

    def end(self) -> None:
        """Ends all of them, and those that begin after it."""
        with self._lock:
            self.over = True
            for process in self._processes:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_stage(stage: Stage, root: Path, running: Running) -> Outcome:
    """Runs one stage, ended as a whole when its limit passes."""
    logs = root / "build" / "test"
    logs.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(stage, log=logs / (stage.name.replace(" ", "-").replace("+", "p") + ".log"))
    if stage.junit is not None:
        stage.junit.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        with outcome.log.open("wb") as log:
            process = subprocess.Popen(
                [*HEARING, *stage.command],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                code = running.wait(process, stage.limit * PATIENCE)
            except subprocess.TimeoutExpired:
                process.wait()
                code, outcome.reason = -1, f"no end after {stage.limit * PATIENCE:.0f} s"
    except FileNotFoundError as error:
        code, outcome.reason = -1, f"{error.filename}: not found (its package belongs in packages.txt)"
    outcome.seconds = time.monotonic() - started
    if stage.junit is not None and stage.junit.exists():
        outcome.passed, outcome.failed, outcome.skipped = count_junit(stage.junit)
        if outcome.passed + outcome.failed == 0:
            outcome.failed, outcome.reason = 1, outcome.reason or "no test ran"
    else:
        outcome.passed = int(code == 0)
    if code != 0 and outcome.failed == 0:
        outcome.failed, outcome.reason = 1, outcome.reason or f"exit code {code}"
    return outcome


def report(outcome: Outcome) -> None:
    """One line a stage; the output of a failed one in full (its end, when it is very long)."""
    mark = "ok    " if outcome.ok else "FAILED"
    counts = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
    print(f"{mark} {outcome.stage.name:<16} {outcome.seconds:6.1f} s  {counts} {outcome.reason}", flush=True)
    if not outcome.ok and outcome.log.exists():
        text = outcome.log.read_text(errors="replace")
        print(text[-20000:], flush=True)
        print(f"       (all of it: {outcome.log})", flush=True)


def run_all(root: Path, only: Sequence[str], plan: Plan | None = None) -> int:
    """Runs the stages whose names are in `only` (all when empty); 0 when every test passed."""
    outcomes: list[Outcome] = []
    lock = threading.Lock()
    running = Running()

    def lane(items: Lane) -> None:
        for stage in items:
            if only and stage.name not in only:
                continue
            outcome = run_stage(stage, root, running)
            if running.over:
                return
            with lock:
                report(outcome)
                outcomes.append(outcome)

    plan = plan or stages(root)
    with ThreadPoolExecutor(1 + len(plan.first)) as pool:
        try:
            beside = pool.submit(lane, plan.beside)
            for done in [pool.submit(lane, items) for items in plan.first]:
                done.result()
            lane(plan.last)
            beside.result()
        except BaseException:
            running.end()
            raise
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    skipped = sum(outcome.skipped for outcome in outcomes)
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(run_all(Path(__file__).resolve().parent.parent, sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""All scenarios on the qemu target in one go, machines shared; some of their traps are proposed and provoked again."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY, TARGET, Command

from hil import scenario_file
from hil.run_log import read_events

NAMES = [name for name in scenario_file.names() if TARGET in scenario_file.load(name).targets]
AGAIN = ["missing-gpio-region", "pair-write", "jump-outside", "pci-config-write", "system-without-rtc"]


@pytest.fixture(scope="module")
def hil(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("scenarios") / "runs")


@pytest.fixture(scope="module")
def done(hil: Command) -> subprocess.CompletedProcess[str]:
    return hil.run("reproduce", "--all", "--target", TARGET, seconds=900)


def runs(hil: Command) -> dict[str, Path]:
    """Run directory by scenario."""
    return {path.name.split(f"-{TARGET}-", 1)[1]: path for path in hil.runs.iterdir() if path.name != "locks"}


@pytest.mark.parametrize("name", NAMES)
def test_reproduced(hil: Command, done: subprocess.CompletedProcess[str], name: str) -> None:
    found = runs(hil)
    assert name in found, done.stderr[-2000:]
    verdict = read_events(found[name] / "events.jsonl").verdict()
    assert (verdict.outcome.value, verdict.exit_code) == ("pass", 0), verdict.reason


def test_the_whole(hil: Command, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout
    assert f"{len(NAMES)} of {len(NAMES)} scenarios reproduced" in done.stdout
    for name, run in runs(hil).items():
        left = {path.name for path in run.iterdir()}
        assert {"manifest.json", "events.jsonl", "console.raw", "junit.xml", "report.html"} <= left, name
        assert "running" not in left, name


def test_an_act_is_attributed_to_its_line(hil: Command, done: subprocess.CompletedProcess[str]) -> None:
    """The place in the report is a line of fault.cpp that holds the breaking instruction."""
    log = read_events(runs(hil)["pair-write"] / "events.jsonl")
    (trap,) = [event.trap for event in log.traps()]
    place = re.search(r"(\S*fault\.cpp):(\d+)", trap["place"])
    assert place is not None
    line = (REPOSITORY / "inmates/fault.cpp").read_text().splitlines()[int(place.group(2)) - 1]
    assert "stp" in line


def test_junit_carries_a_trap_only_when_it_was_not_expected(hil: Command, tmp_path: Path) -> None:
    text = (REPOSITORY / "scenarios/missing-uart-region.yaml").read_text()
    wrong = tmp_path / "other-address.yaml"
    wrong.write_text(text.replace("address: 0x9000030", "address: 0x9000034"))
    again = Command(tmp_path / "runs")
    assert again.run("reproduce", str(wrong)).returncode == 1
    junit = (again.only_run() / "junit.xml").read_text()
    assert "<failure" in junit and "expected 0x9000034" in junit and "Unhandled data read at 0x9000030" in junit
    good = (runs(hil)["missing-uart-region"] / "junit.xml").read_text()
    assert "<failure" not in good and "<error" not in good


def test_proposed_from_its_own_console(hil: Command, done: subprocess.CompletedProcess[str], tmp_path: Path) -> None:
    found = runs(hil)
    for name in AGAIN:
        proposed = hil.run("reproduce", "--from", str(found[name] / "console.raw"))
        assert proposed.returncode == 0, proposed.stderr
        (tmp_path / f"from-{name}.yaml").write_text(proposed.stdout)
    again = Command(tmp_path / "runs")
    result = again.run("reproduce", *(str(path) for path in sorted(tmp_path.glob("*.yaml"))), seconds=300)
    assert result.returncode == 0, result.stdout


def test_a_machine_that_does_not_start_is_no_verdict_on_the_hypervisor(tmp_path: Path) -> None:
    fake = tmp_path / "bin/qemu-system-aarch64"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    hil = Command(tmp_path / "runs")
    result = hil.run("reproduce", "missing-uart-region", PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert result.returncode == 4 and "not reproduced" not in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name scenarios"),
        (("missing-uart",), "did you mean 'missing-uart-region'"),
        (("missing-uart-region", "--all"), "name scenarios"),
        (("missing-uart-region", "--target", "qemuu"), "did you mean 'qemu'"),
    ],
)
def test_wrong_use(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    result = Command(tmp_path / "runs").run("reproduce", *words)
    assert result.returncode == 2 and message in result.stderr

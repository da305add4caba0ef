# SPDX-License-Identifier: Apache-2.0
"""junit.xml: an infrastructure error is no failure, a trap is one with its text, and any console is valid XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_data import HOSTILE, events, record, write_run

from hil.verdict import Outcome
from reports import load
from reports.junit import junit


def suite_of(run_dir: Path) -> ET.Element:
    root = ET.fromstring(junit(load(run_dir)))
    assert root.tag == "testsuites"
    suite = root.find("testsuite")
    assert suite is not None
    return suite


def test_steps_are_cases_with_times(tmp_path: Path) -> None:
    suite = suite_of(write_run(tmp_path))
    cases = [(case.get("classname"), case.get("name"), case.get("time")) for case in suite.findall("testcase")]
    assert cases == [
        ("qemu.boot", "kernel up to its console", "2.500"),
        ("qemu.running", "measure", "1.500"),
        ("qemu", "ivshmem-latency", "4.200"),
    ]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "0", "0")
    assert suite.get("timestamp") == "2026-01-02T03:04:05"
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["contention"] == "alone"
    assert properties["round-trip.p99.9_ns"] == f"{record().statistic_ns('p99_9'):.1f}"


@pytest.mark.parametrize(
    "verdict, tag", [(Outcome.FAIL, "failure"), (Outcome.TRAP, "failure"), (Outcome.INFRASTRUCTURE_ERROR, "error")]
)
def test_each_verdict_has_its_form(tmp_path: Path, verdict: Outcome, tag: str) -> None:
    suite = suite_of(write_run(tmp_path, events(verdict)))
    other = {"failure": "error", "error": "failure"}[tag]
    assert suite.find(f"testcase/{other}") is None
    found = {str(case.get("name")): case.find(tag) for case in suite.findall("testcase")}
    assert found["kernel up to its console"] is None
    step, bench = found["measure"], found["ivshmem-latency"]
    assert step is not None and bench is not None
    assert step.get("message") == "gave up"
    assert bench.get("type") == verdict.value
    assert bench.get("message") == f"reason of the {verdict.value} {HOSTILE}"
    assert suite.get({"failure": "failures", "error": "errors"}[tag]) == "2"


def test_a_trap_comes_with_its_text(tmp_path: Path) -> None:
    suite = suite_of(write_run(tmp_path, events(Outcome.TRAP)))
    text = suite.findtext("testcase[@name='ivshmem-latency']/failure") or ""
    for part in ("data read of 4 bytes at 0x9000018", "Cause: no region covers the UART", "phys_start", "0x1fc4"):
        assert part in text
    assert "unknown" not in text


def test_the_console_is_kept_and_safe(tmp_path: Path) -> None:
    text = suite_of(write_run(tmp_path)).findtext("system-out") or ""
    assert "Booting Linux" in text
    assert HOSTILE in text
    assert "bell \u2407 nul \u2400" in text
    assert "\x1b" not in text


def test_a_silent_console_is_said(tmp_path: Path) -> None:
    assert suite_of(write_run(tmp_path, console=b"")).findtext("system-out") == "(the console was silent)\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(noise=st.binary(max_size=200), name=st.text(max_size=20))
def test_any_bytes_give_valid_xml(tmp_path: Path, noise: bytes, name: str) -> None:
    suite_of(write_run(tmp_path, console=noise, machine=name, host={"name": name}))


def test_a_damaged_event_log_is_part_of_the_error(tmp_path: Path) -> None:
    write_run(tmp_path)
    text = (tmp_path / "events.jsonl").read_text()
    (tmp_path / "events.jsonl").write_text(text[: text.index('"event":"verdict"')])
    error = suite_of(tmp_path).find("testcase[@name='ivshmem-latency']/error")
    assert error is not None
    assert "cut off" in str(error.get("message"))
    assert "not JSON" in str(error.text)

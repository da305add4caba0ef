# SPDX-License-Identifier: Apache-2.0
"""report.html without a browser: whole, self-contained, and nothing from a console is ever markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_data import HOSTILE, events, record, write_run

import reports
from hil.events import VerdictEvent
from hil.verdict import Outcome
from reports import ReportError, html_page, load


class Page(HTMLParser):
    """Text and elements of a page, style and script apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.raw:
            self._inside = tag
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.text += data


def page_of(run_dir: Path) -> Page:
    return Page(html_page.page(load(run_dir)))


@pytest.mark.parametrize("verdict", list(Outcome))
def test_whatever_is_hostile_stays_text(tmp_path: Path, verdict: Outcome) -> None:
    run_dir = write_run(tmp_path, events(verdict), machine=f"a {HOSTILE} machine", command=("hil", HOSTILE))
    page = page_of(run_dir)
    assert page.text.count(HOSTILE) >= 4
    assert len(page.raw["script"]) == 3
    assert not any("injected" in script for script in page.raw["script"])
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    for control in ("\x1b", "\x07", "\x00", "\x08", "\x9b", "\u202e"):
        assert control not in page.text


def test_record_names_cannot_end_the_data_script(tmp_path: Path) -> None:
    hostile = record(series="</script><script>alert(1)</script>")
    page = page_of(write_run(tmp_path, events(records=[hostile])))
    assert len(page.raw["script"]) == 3
    assert json.loads(page.raw["script"][0])["series"][0]["name"] == hostile.series


def test_it_asks_for_no_other_file(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path))
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    assert not any("url(" in style or "@import" in style for style in page.raw["style"])
    assert not any("sourceMappingURL" in script for script in page.raw["script"])
    policy = [a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv")]
    assert policy and str(policy[0]).startswith("default-src 'none';")


def test_the_conditions_are_said(tmp_path: Path) -> None:
    text = " ".join(page_of(write_run(tmp_path)).text.split())
    for part in (
        "The machine is emulated in software",
        "are no hardware latencies",
        "From root rings to root is rung, both stamped on CNTVCT_EL0 (16 ns a tick)",
        "interrupt in the root, poll in the inmate.",
        "gaol",
        "6.1.0-test",
        "alone",
        "hil run --target qemu ivshmem-latency",
        "2026-01-02 03:04:05 UTC",
        "kernel up to its console",
        "ab" * 32,
    ):
        assert part in text, part


def test_real_hardware_is_not_called_emulated(tmp_path: Path) -> None:
    assert "The machine is emulated in software" not in page_of(write_run(tmp_path, emulated=False)).text


def test_a_trap_is_explained(tmp_path: Path) -> None:
    text = page_of(write_run(tmp_path, events(Outcome.TRAP))).text
    for part in ("data read of 4 bytes at 0x9000018", "no region covers the UART", "phys_start: 0x09000000", "0x1fc4"):
        assert part in text


def test_lost_samples_are_shown(tmp_path: Path) -> None:
    text = page_of(write_run(tmp_path, events(records=[record(lost=3)]))).text
    assert text.count("3 lost") == 2


def test_a_killed_run_says_so(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"t":0,"event":"state","state":"boot"}\n{"t":1,"ev')
    text = " ".join(page_of(tmp_path).text.split())
    assert "infrastructure error" in text
    assert 'the run was cut off in state "boot"' in text
    assert "What this run left is not whole (1): events.jsonl:2: not JSON" in text


def test_a_run_that_ended_before_its_manifest_is_reported(tmp_path: Path) -> None:
    write_run(tmp_path, events(Outcome.INFRASTRUCTURE_ERROR))
    (tmp_path / "manifest.json").unlink()
    reports.write_all(tmp_path)
    text = " ".join(page_of(tmp_path).text.split())
    assert "manifest.json was never written" in text
    assert "infrastructure error" in text


def test_the_written_files_are_whole_and_readable(tmp_path: Path) -> None:
    paths = reports.write_all(write_run(tmp_path))
    assert [path.name for path in paths] == ["result.json", "junit.xml", "report.html"]
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in paths)
    assert not list(tmp_path.glob(".*"))


def test_missing_dygraphs_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_page, "DYGRAPHS", tmp_path / "nowhere")
    with pytest.raises(ReportError, match="apt install libjs-dygraphs"):
        page_of(write_run(tmp_path / "run"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(noise=st.binary(max_size=200), reason=st.text(max_size=40))
def test_any_console_and_reason_give_a_page(tmp_path: Path, noise: bytes, reason: str) -> None:
    page = page_of(write_run(tmp_path, console=noise, machine=reason))
    assert len(page.raw["script"]) == 3


def test_a_reason_that_holds_half_a_console_folds(tmp_path: Path) -> None:
    reason = "the agent is silent. Last text: " + "[    1.000000] a line\r\n" * 100
    log = events(Outcome.INFRASTRUCTURE_ERROR)[:-1]
    log.append(VerdictEvent(5.0, Outcome.INFRASTRUCTURE_ERROR, 4, reason))
    page = page_of(write_run(tmp_path, log))
    assert sum(tag == "details" for tag, _ in page.elements) == 1
    assert page.text.count("a line") == 101
    assert "\r" not in page.text and "\u240d" not in page.text


def test_virtual_time_says_that_it_counts_instructions(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"virtual_time": True}))
    text = " ".join(page_of(run).text.split())
    assert "these figures count instructions" in text
    assert "wall-clock" not in text


def test_a_busy_host_is_told_beside_the_figures(tmp_path: Path) -> None:
    busy = {"name": "host-1", "cpus": "2", "load": "18.97 4.00 2.00"}
    text = page_of(write_run(tmp_path / "busy", host=busy)).text
    assert "The host was busy as the run began: load 19.0 on 2 CPUs." in text
    assert "busy" not in page_of(write_run(tmp_path / "idle")).text


def test_each_state_is_named_once_before_its_steps(tmp_path: Path) -> None:
    write_run(tmp_path)
    source = html_page.page(load(tmp_path))
    states = re.findall(r'<span class="state">(.*?)</span>', source)
    assert states == ["boot", "running"]
    assert source.index(">boot</span>") < source.index("kernel up to its console") < source.index(">running</span>")


def test_what_scrolls_can_be_reached_and_named_without_a_mouse(tmp_path: Path) -> None:
    source = html_page.page(load(write_run(tmp_path)))
    for tag in re.findall(r'<div class="(?:scroll|console)"[^>]*>', source):
        assert 'tabindex="0"' in tag and 'role="region"' in tag and "aria-label=" in tag

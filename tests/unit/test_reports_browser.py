# SPDX-License-Identifier: Apache-2.0
"""report.html in a real browser: no script error, nothing refused by the page's policy, every chart really drawn."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from report_data import events, record, samples, write_run

import reports
from hil.verdict import Outcome
from reports import charts

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr"
).split()
# Appended to a copy of the page: counts the pixels of each timeline's canvases that are not transparent.
INK = """<script>
document.documentElement.dataset.ink = [...document.querySelectorAll(".timeline")].map((node) =>
  [...node.querySelectorAll("canvas")].reduce((sum, canvas) => sum + canvas.getContext("2d")
    .getImageData(0, 0, canvas.width, canvas.height).data.filter((v, i) => i % 4 === 3 && v > 0).length, 0)).join(" ");
</script></body>"""


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    """The page's document after its scripts ran, and the browser's log."""
    assert CHROMIUM.exists(), f"{CHROMIUM} is not there: apt install chromium"
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def root_data(dom: str) -> dict[str, str]:
    """The data attributes of the root element."""
    tag = re.search(r"<html[^>]*>", dom)
    assert tag, dom[:500]
    return dict(re.findall(r'data-([a-z]+)="([^"]*)"', tag.group()))


def assert_clean(dom: str, log: str) -> None:
    complaints = [line for line in log.splitlines() if "CONSOLE" in line]
    assert complaints == []
    assert "error" not in root_data(dom)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("flags", [("--window-size=1100,900",), ("--window-size=500,900",)], ids=["wide", "narrow"])
def test_every_chart_is_drawn(tmp_path: Path, flags: tuple[str, ...]) -> None:
    names = ["round-trip", "root-to-inmate", "inmate-to-root"]
    found = [record(name, samples(base=100 * (k + 1))) for k, name in enumerate(names)]
    run_dir = write_run(tmp_path / "run", events(records=found))
    reports.write_all(run_dir)
    dom, log = browse(run_dir / "report.html", tmp_path / "profile", *flags)
    assert_clean(dom, log)
    assert root_data(dom)["charts"] == "drawn"
    counts = {kind: [int(n) for n in _points(dom, kind)] for kind in ("distribution", "timeline")}
    assert counts["timeline"] == [len(one.timeline) + len(one.outliers) for one in found]
    drawn = [charts.series_data(one) for one in found]
    columns = [sum(samples > 0 for _, _, samples in data["columns"]) for data in drawn]
    assert counts["distribution"] == [n + len(data["tail"]) for n, data in zip(columns, drawn)]
    assert dom.count("<rect") == sum(columns)
    assert int(root_data(dom)["points"]) == sum(map(sum, counts.values())) + 5 * len(found)
    assert dom.count('class="tail"') == 3
    for label in ("p50", "p99.9", "max"):
        assert dom.count(f'<tspan class="strong">{label}</tspan>') == 3


def _points(dom: str, kind: str) -> list[str]:
    tags = re.findall(rf'<div class="chart {kind}"[^>]*>', dom)
    return [match.group(1) for tag in tags if (match := re.search(r'data-points="(\d+)"', tag))]


@pytest.mark.timeout(300)
def test_the_timeline_leaves_ink(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run")
    reports.write_all(run_dir)
    page = (run_dir / "report.html").read_text()
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    assert policy.search(page)
    copy = tmp_path / "copy.html"
    copy.write_text(policy.sub("", page).replace("</body>", INK))
    dom, log = browse(copy, tmp_path / "profile")
    assert_clean(dom, log)
    (ink,) = root_data(dom)["ink"].split()
    assert int(ink) > 5000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("verdict", [Outcome.TRAP, Outcome.INFRASTRUCTURE_ERROR])
def test_a_run_without_records_opens_and_console_text_does_not_act(tmp_path: Path, verdict: Outcome) -> None:
    run_dir = write_run(tmp_path / "run", events(verdict))
    reports.write_all(run_dir)
    dom, log = browse(run_dir / "report.html", tmp_path / "profile")
    assert_clean(dom, log)
    assert root_data(dom) == {"charts": "drawn", "points": "0"}


@pytest.mark.timeout(300)
def test_the_policy_stops_a_script_that_slipped_in(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run")
    reports.write_all(run_dir)
    copy = tmp_path / "copy.html"
    evil = "<script>document.documentElement.dataset.error='injected'</script></body>"
    copy.write_text((run_dir / "report.html").read_text().replace("</body>", evil))
    dom, log = browse(copy, tmp_path / "profile")
    assert "error" not in root_data(dom)
    assert "Content Security Policy" in log


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "values", [[7] * 50, [0] * 50, [0, 1], [5], list(range(1, 60)), [1, 2**45]], ids=lambda v: f"{v[0]}-{v[-1]}"
)
def test_odd_distributions_are_drawn(tmp_path: Path, values: list[int]) -> None:
    odd = record(values=values)
    run_dir = write_run(tmp_path / "run", events(records=[odd]))
    reports.write_all(run_dir)
    dom, log = browse(run_dir / "report.html", tmp_path / "profile")
    assert_clean(dom, log)
    assert root_data(dom)["charts"] == "drawn"
    body = dom[dom.index("<body") : dom.index('<script type="application/json"')]
    assert re.findall(r"NaN|Infinity|undefined", body) == []


@pytest.mark.timeout(300)
def test_equal_samples_have_an_axis_whose_labels_differ(tmp_path: Path) -> None:
    one = record(values=[149] * 1000, histogram=[[144, 150, 1000]], clock={"name": "CNTVCT_EL0", "hz": 10**9})
    run_dir = write_run(tmp_path / "run", events(records=[one]))
    reports.write_all(run_dir)
    dom, log = browse(run_dir / "report.html", tmp_path / "profile", "--window-size=1100,900")
    assert_clean(dom, log)
    assert dom.count("<rect") == 1
    chart = dom.partition('<div class="chart distribution"')[2].partition("</svg>")[0]
    labels = re.findall(
        r'<text [^>]*text-anchor="middle">(1[45]\d(?:\.\d+)?\xa0ns|1[45]\d(?:\.\d+)?&nbsp;ns)</text>', chart
    )
    assert len(labels) >= 3 and len(set(labels)) == len(labels), labels

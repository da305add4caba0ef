# SPDX-License-Identifier: Apache-2.0
"""report.html: one file that needs nothing else, neither a network nor a server.

Style, script and dygraphs are inlined; a content security policy forbids the page every request and every script but
those whose hash it names, so that text from a console could not act even if an escape were missed.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hil.errors import InfrastructureError
from hil.events import StepEvent
from hil.record import STATISTICS, Record
from hil.verdict import Outcome
from reports.charts import series_data
from reports.console_log import ConsoleLine, brief, console_lines, printable
from reports.run import Run
from reports.trap_text import facts, fixes, headline, known, plain, registers
from reports.units import Unit, common_unit, duration, frequency, percent_name, seconds, utc

DYGRAPHS = Path("/usr/share/javascript/dygraphs")
CONSOLE_TAIL = 400
_TEMPLATES = Path(__file__).parent / "templates"

VERDICT_WORDS = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "fail",
    Outcome.TRAP: "trap",
    Outcome.INFRASTRUCTURE_ERROR: "infrastructure error",
}


class ReportError(InfrastructureError):
    """A part that the page is made of cannot be read."""


@functools.cache
def template() -> jinja2.Template:
    """The page's template, compiled."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["safe_text"] = plain
    return environment.get_template("report.html.j2")


def page(run: Run) -> str:
    """The page's text."""
    scripts = [_dygraphs("dygraph.min.js"), _text(_TEMPLATES / "report.js")]
    return template().render(
        run=run,
        manifest=run.manifest,
        verdict=run.verdict,
        reason=(_beginning(run.verdict.reason) or "no reason was given", _rest(run.verdict.reason)),
        verdict_word=VERDICT_WORDS[run.verdict.outcome],
        summary=_summary(run),
        conditions=_conditions(run),
        table=_table(run.records),
        series=[_series(record) for record in run.records],
        lifecycle=_lifecycle(run),
        traps=[_trap(event.trap) for event in run.log.traps()],
        notes=[printable(note.text) for note in run.log.notes()],
        exits=printable(run.log.exits()),
        console=_console(run),
        scripts=[Markup(script) for script in scripts],
        style=Markup(_dygraphs("dygraph.min.css") + _text(_TEMPLATES / "report.css")),
        policy=_policy(scripts),
        data=_script_data({"series": [series_data(record) for record in run.records]}),
    )


# --- Parts ----------------------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(f"report.html: cannot read {path}: {error.strerror}") from error


def _dygraphs(name: str) -> str:
    """dygraphs as Debian ships it, without the reference to its source map: the page must not ask for another file."""
    if not (DYGRAPHS / name).exists():
        raise ReportError(f"report.html: {DYGRAPHS / name} is not there: apt install libjs-dygraphs")
    lines = _text(DYGRAPHS / name).splitlines()
    return "\n".join(line for line in lines if "sourceMappingURL" not in line) + "\n"


def _policy(scripts: Sequence[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}"


def _script_data(value: Any) -> Markup:
    """JSON inside a script element: with every < escaped nothing in it can end the element."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


# --- View -----------------------------------------------------------------------------------------------------------


def _summary(run: Run) -> str:
    """The main result in a sentence, empty when there is none."""
    if not run.records:
        return ""
    record = run.records[0]
    p50, p99, top = (duration(record.statistic_ns(name)) for name in ("p50", "p99", "max"))
    rate = f", {_count(round(record.count / record.seconds))} a second" if record.duration > 0 else ""
    chaos = ", under chaos" if run.manifest.chaos else ""
    samples = f"{_count(record.count)} samples{rate}{chaos}"
    return f"{printable(record.series)}: p50 {p50}, p99 {p99}, max {top} over {samples}"


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _conditions(run: Run) -> list[tuple[str, str]]:
    manifest = run.manifest
    clocks = {
        f"{record.clock.name} at {frequency(record.clock.hz)}, {duration(record.tick_ns)} a tick"
        for record in run.records
    }
    modes = {", ".join(f"{side}: {mode}" for side, mode in record.mode.items()) for record in run.records}
    values = [
        ("Machine", manifest.machine + (" (emulated)" if manifest.emulated else "")),
        ("Hypervisor", f"{manifest.hypervisor} {manifest.hypervisor_version}"),
        ("Root cell's kernel", manifest.kernel),
        ("Clock", "; ".join(sorted(clocks))),
        ("Contention", manifest.contention),
        ("Chaos on the console's line", manifest.chaos),
        ("Commands by", manifest.shell),
        ("Waiting by", "; ".join(sorted(mode for mode in modes if mode))),
        ("Started", _date(manifest.started)),
        ("Took", seconds(run.seconds)),
    ]
    return [(name, printable(value.strip())) for name, value in values if value.strip()]


def _date(started: str) -> str:
    time = utc(started)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else started


def _table(records: Sequence[Record]) -> dict[str, Any]:
    unit = common_unit(record.statistic_ns("p50") for record in records)
    rows = [_row(record, unit) for record in records]
    columns = [percent_name(name) for name in STATISTICS]
    return {"columns": columns, "rows": rows, "few": any(r.count < 1000 for r in records)}


def _row(record: Record, unit: Unit) -> dict[str, Any]:
    """In the table's unit, or in one of its own where too few digits would be left: series lie decades apart."""
    middle = record.statistic_ns("p50")
    unit = unit if middle >= unit.ns / 10 else common_unit([middle])
    return {
        "name": printable(record.series),
        "anchor": _anchor(record),
        "count": _count(record.count),
        "lost": record.lost,
        "unit": unit.name,
        "values": [unit.text(record.statistic_ns(name)) for name in STATISTICS],
    }


def _anchor(record: Record) -> str:
    return "series-" + "".join(char if char.isalnum() and char.isascii() else "-" for char in record.series)


def _series(record: Record) -> dict[str, Any]:
    return {
        "name": printable(record.series),
        "anchor": _anchor(record),
        "from": printable(record.from_event),
        "to": printable(record.to_event),
        "clock": printable(record.clock.name),
        "tick": duration(record.tick_ns),
        "mode": [(printable(side), printable(mode)) for side, mode in record.mode.items()],
        "count": _count(record.count),
        "warmup": _count(record.warmup),
        "lost": record.lost,
        "seconds": seconds(record.seconds),
        "histogram": bool(record.histogram),
        "timeline": bool(record.timeline),
        "outliers": len(record.outliers),
        "worst": _worst(record),
    }


def _worst(record: Record) -> list[tuple[str, str]]:
    """The five slowest of the listed outliers: (when, how long)."""
    worst = sorted(record.outliers, key=lambda outlier: -outlier.value)[:5]
    return [(seconds(o.t / record.clock.hz), duration(record.ns(o.value))) for o in worst]


@dataclass(frozen=True)
class StepBar:
    """A step on the run's time axis; `start` and `width` in percent of the axis."""

    state: str
    name: str
    detail: str
    rest: str
    failed: bool
    time: str
    start: float
    width: float


def _lifecycle(run: Run) -> dict[str, Any]:
    steps = run.log.steps()
    end = max([run.seconds, *(step.t for step in steps)], default=0.0) or 1.0
    states = run.log.states()
    waiting = printable(states[-1].waiting_for) if states and run.verdict.outcome is not Outcome.PASS else ""
    return {"bars": [_bar(step, end) for step in steps], "total": seconds(end), "waiting": waiting}


def _beginning(text: str) -> str:
    """The first line, or the start of it where that is long: what a reader needs at once."""
    return brief(plain(text).strip().split("\n")[0])


def _rest(text: str) -> str:
    """The whole text where `_beginning` is not all of it."""
    whole = plain(text).strip()
    return "" if _beginning(text) == whole else whole


def _bar(step: StepEvent, end: float) -> StepBar:
    start = max(step.t - step.seconds, 0.0)
    return StepBar(
        state=printable(step.state),
        name=printable(step.name),
        detail=_beginning(step.detail),
        rest=_rest(step.detail),
        failed=step.failed,
        time=seconds(step.seconds),
        start=round(100 * start / end, 3),
        width=round(100 * min(step.seconds, end - start) / end, 3),
    )


def _trap(trap: Any) -> dict[str, Any]:
    return {
        "headline": headline(trap),
        "cause": known(trap, "cause"),
        "fixes": [(label, text, "\n" in text) for label, text in fixes(trap)],
        "dump": known(trap, "text"),
        "facts": facts(trap),
        "registers": registers(trap),
    }


def _console(run: Run) -> dict[str, Any]:
    lines: list[ConsoleLine] = console_lines(run.console, run.console_times)
    return {"total": len(lines), "bytes": _count(len(run.console)), "lines": lines[-CONSOLE_TAIL:]}

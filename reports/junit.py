# SPDX-License-Identifier: Apache-2.0
"""junit.xml: the run as a test suite, its lifecycle steps as test cases and the bench itself as the last one.

The bench's case always carries the verdict, so that a CI's history of it is whole; a step that failed carries its own
detail, so that the place is seen:
  fail                  <failure type="fail">
  trap                  <failure type="trap"> with the decoded trap as text
  infrastructure-error  <error type="infrastructure-error">: nothing was measured, the code under test is not to blame
Text is made safe for XML 1.0: control characters show as their pictures.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hil.events import StepEvent
from hil.verdict import Outcome
from reports.console_log import brief, console_lines, printable
from reports.run import Run
from reports.trap_text import headline, trap_text
from reports.units import percent_name, utc

CONSOLE_TAIL = 200
_PROPERTY_STATISTICS = ("min", "p50", "p90", "p99", "p99_9", "max")


def junit(run: Run) -> bytes:
    """The document, UTF-8."""
    suite = ET.Element("testsuite", name=_xml(f"{run.manifest.target}.{run.manifest.bench}"))
    _properties(suite, run)
    for step in run.log.steps():
        _step_case(suite, step, run)
    _bench_case(suite, run)
    ET.SubElement(suite, "system-out").text = _console(run)
    cases = suite.findall("testcase")
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": "0",
        "time": f"{run.seconds:.3f}",
    }
    suites = ET.Element("testsuites", {"name": "hil", **counts})
    suite.attrib.update(counts)
    time = utc(run.manifest.started)
    if time:
        suite.set("timestamp", f"{time:%Y-%m-%dT%H:%M:%S}")
    if run.manifest.host.get("name"):
        suite.set("hostname", _xml(run.manifest.host["name"]))
    suites.append(suite)
    ET.indent(suites)
    document: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _xml(text: str) -> str:
    """Printable text, lines kept: nothing that XML 1.0 forbids is left."""
    return "\n".join(printable(line.rstrip("\r")) for line in text.split("\n"))


def _properties(suite: ET.Element, run: Run) -> None:
    manifest = run.manifest
    properties = ET.SubElement(suite, "properties")
    values = {
        "target": manifest.target,
        "machine": manifest.machine,
        "hypervisor": f"{manifest.hypervisor} {manifest.hypervisor_version}".strip(),
        "kernel": manifest.kernel,
        "contention": manifest.contention,
        "chaos": manifest.chaos or "none",
        "command": " ".join(manifest.command),
        "verdict": run.verdict.outcome.value,
        "run": run.name,
    }
    if manifest.shell:
        values["shell"] = manifest.shell
    for record in run.records:
        for key in _PROPERTY_STATISTICS:
            values[f"{record.series}.{percent_name(key)}_ns"] = f"{record.statistic_ns(key):.1f}"
    for name, value in values.items():
        ET.SubElement(properties, "property", name=_xml(name), value=_xml(value))


def _step_case(suite: ET.Element, step: StepEvent, run: Run) -> None:
    case = ET.SubElement(suite, "testcase", classname=_xml(f"{run.manifest.target}.{step.state}"), name=_xml(step.name))
    case.set("time", f"{step.seconds:.3f}")
    if step.failed:
        _outcome(case, run.verdict.outcome, step.detail or "the step failed", step.detail)


def _bench_case(suite: ET.Element, run: Run) -> None:
    verdict = run.verdict
    case = ET.SubElement(suite, "testcase", classname=_xml(run.manifest.target), name=_xml(run.manifest.bench))
    case.set("time", f"{run.seconds:.3f}")
    if verdict.outcome is Outcome.PASS:
        return
    traps = [event.trap for event in run.log.traps()]
    message = verdict.reason or (headline(traps[0]) if traps else verdict.outcome.value)
    details = [verdict.reason, *(trap_text(trap) for trap in traps), *run.log.damage]
    _outcome(case, verdict.outcome, message, "\n\n".join(part for part in details if part))


def _outcome(case: ET.Element, verdict: Outcome, message: str, text: str) -> None:
    # A failed step in a run that nevertheless passed cannot be excused: it is a failure.
    tag = "error" if verdict is Outcome.INFRASTRUCTURE_ERROR else "failure"
    kind = Outcome.FAIL.value if verdict is Outcome.PASS else verdict.value
    ET.SubElement(case, tag, type=kind, message=brief(_xml(message).replace("\n", " "))).text = _xml(text)


def _console(run: Run) -> str:
    lines = console_lines(run.console, tail=CONSOLE_TAIL)
    return "\n".join(line.text for line in lines) + "\n" if lines else "(the console was silent)\n"

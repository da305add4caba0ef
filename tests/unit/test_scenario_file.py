# SPDX-License-Identifier: Apache-2.0
"""Scenario files: those of the project are all good; what is wrong in one is told with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil import scenario_file, target
from hil.errors import WrongUse
from hil.scenario import NEVER
from hil.scenario_configs import changed
from hil.scenario_file import Problem, parse
from hil.scenario_runner import in_order, ready

GOOD = """
title: a title
known: what is known
cells:
  hello: {inmate: hello, change: {remove: memory.uart0}}
steps:
  - create: hello
  - load: hello
    any_of: [{exit: 1, says: Invalid}, {exit: never}]
expect:
  traps: [{kind: data, address: 0x9000000-0x9000fff, cause: '(?i)uart'}]
  states: {hello: failed}
"""


DAMAGE = "title: t\nhypervisor: {{damage: {}}}"


def test_a_good_one() -> None:
    scenario = parse(GOOD, "good")
    assert (scenario.name, scenario.start, scenario.leaves, list(scenario.targets)) == (
        "good",
        "enabled",
        "healthy",
        ["qemu"],
    )
    assert [outcome.exit for outcome in scenario.steps[1].outcomes] == [1, NEVER]
    assert scenario.steps[1].may_hang and not scenario.steps[0].may_hang


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: a title", "", "the key 'title' is missing"),
        ("title: a title", "titel: x", "'titel' is no key here"),
        ("- create: hello", "- create: hallo", "steps: 1. create: there is no cell 'hallo'"),
        ("- create: hello", "- create: hello\n    exti: 1", "steps: 1. create: 'exti' is no key here"),
        ("- create: hello", "- create: hello\n    exit: often", "neither a code from 0 to 255 nor 'never'"),
        ("- create: hello", "- create: hello\n    load: hello", "must hold one of"),
        ("- create: hello", "- enable: system", "there is no key 'system'"),
        ("- create: hello", "- wait: {forever: 1}", "'forever' is no key here"),
        ("- create: hello", "- root: alive\n    exit: 1", "has no exit code"),
        ("cause: '(?i)uart'", "cause: '(uart'", "no regular expression"),
        ("kind: data,", "kind: data, adress: 1,", "'adress' is no key here"),
        ("states: {hello: failed}", "stats: {hello: failed}", "'stats' is no key here"),
        ("states: {hello: failed}", "more-traps: maybe", "must be true or false"),
        ("remove: memory.uart0", "patch: {0: xyz}", "no bytes in hexadecimal"),
        ("known: what is known", "known: x\nleaves: tidy", "'tidy' is none of healthy, broken, either"),
        ("title: a title", "title: [", "not YAML"),
        ("title: a title", "title: t\nhypervisor: {}", "hypervisor: damage: must be a mapping"),
        ("title: a title", "title: t\nhypervisor: {harm: 1}", "hypervisor: 'harm' is no key here"),
        ("title: a title", DAMAGE.format("{mask: 1}"), "the key 'instruction' is missing"),
        ("title: a title", DAMAGE.format("{instruction: 0xd5, bits: 1}"), "'bits' is no key here"),
        ("title: a title", DAMAGE.format("{instruction: nop}"), "instruction: 'nop' is no number"),
        ("title: a title", DAMAGE.format("{instruction: 0}"), "instruction: 0x0 is no instruction of 32 bits"),
        ("title: a title", DAMAGE.format("{instruction: 0x100000000}"), "is no instruction of 32 bits"),
        ("title: a title", DAMAGE.format("{instruction: 3, mask: 1}"), "it equals nothing"),
        ("title: a title", DAMAGE.format("{instruction: 1}"), "add `start: disabled`"),
        ("title: a title", DAMAGE.format("{instruction: 1}") + "\nstart: disabled", "add `leaves: broken`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(Problem) as told:
        parse(GOOD.replace(old, new), "bad")
    assert message in str(told.value)


def test_a_scenario_must_expect_something() -> None:
    text = "title: t\nknown: k\nsteps: [{shell: 'true'}]\nexpect: {}\n"
    with pytest.raises(Problem, match="nothing is expected"):
        parse(text, "empty")
    parse(text.replace("'true'}", "'false', exit: 1}"), "judged")


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(WrongUse, match="did you mean 'missing-uart-region'"):
        scenario_file.load("missing-uart-regoin")


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(GOOD)
    assert scenario_file.load(str(path)).name == "own"
    path.write_text("title: 1")
    with pytest.raises(WrongUse, match="own.yaml: the key 'known' is missing"):
        scenario_file.load(str(path))


@pytest.mark.parametrize("name", scenario_file.names())
def test_each_scenario_fits_its_targets(name: str) -> None:
    scenario = scenario_file.load(name)
    for machine in scenario.targets:
        assert ready(scenario, target.load(machine)).configs.keys() >= scenario.cells.keys()


def test_all_failures_of_the_field_are_carried_over() -> None:
    carried = {word for name in scenario_file.names() for word in scenario_file.load(name).carries}
    assert carried == {f"T{number}" for number in range(1, 10)}


def test_those_that_break_the_machine_come_last() -> None:
    scenarios = in_order([scenario_file.load(name) for name in scenario_file.names()])
    leaves = [one.leaves for one in scenarios]
    assert leaves == sorted(leaves, key=("healthy", "either", "broken").index) and "broken" in leaves


MODEL = {"name": "x", "memory": [{"name": "ram", "size": "1M"}, {"device": "uart0"}], "console": {"address": 1}}


def changes(**given: object) -> object:
    from hil.scenario import Changes

    return changed(MODEL, Changes(**given))  # type: ignore[arg-type]


def test_changes_to_a_config() -> None:
    assert changes(remove=["memory.uart0"]) == {**MODEL, "memory": [{"name": "ram", "size": "1M"}]}
    assert changes(set={"memory.ram.size": 4, "console.address": 2, "cpus": [1]}) == {
        "name": "x",
        "memory": [{"name": "ram", "size": 4}, {"device": "uart0"}],
        "console": {"address": 2},
        "cpus": [1],
    }
    assert changes(add={"pci": [{"type": "ivshmem"}]}) == {**MODEL, "pci": [{"type": "ivshmem"}]}
    assert MODEL["memory"] == [{"name": "ram", "size": "1M"}, {"device": "uart0"}], "the target's stays as it is"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"remove": ["memory.rom"]}, "there is no 'rom'; there are: ram, uart0"),
        ({"remove": ["flags"]}, "there is no 'flags'"),
        ({"set": {"memory.rom.size": 1}}, "there is no 'rom'"),
        ({"set": {"name.size": 1}}, "holds nothing that has a 'size'"),
        ({"add": {"name": [1]}}, "'name' is no list"),
    ],
)
def test_changes_that_lead_nowhere(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changes(**given)


def test_the_table_of_what_is_covered_has_every_scenario() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/scenarios.md").read_text()
    table = text[text.index("## What is covered") : text.index("## What is not certain")]
    told = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", table))
    assert set(scenario_file.names()) <= told
    carried = {one for name in scenario_file.names() for one in scenario_file.load(name).carries}
    assert carried == {f"T{number}" for number in range(1, 10)}

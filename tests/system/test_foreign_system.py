# SPDX-License-Identifier: Apache-2.0
"""A system whose image has no agent: it is sent over the console and then does what the image's own does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Boot, plan

from hil import machine
from hil.root_image import ImageInputs, RootImage, root_image
from hil.root_packages import ImageSpec
from hil.session import State
from hil.target import CellUse

HELLO = CellUse("hello.cell", "hello", "hello.bin")


@pytest.fixture
def without_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images get every program but the agent."""

    def make(spec: ImageSpec, inputs: ImageInputs) -> RootImage:
        assert inputs.programs is not None
        for program in inputs.programs.iterdir():
            if program.name != "hil-agent":
                (tmp_path / program.name).symlink_to(program)
        return root_image(spec, replace(inputs, programs=tmp_path))

    monkeypatch.setattr(machine, "root_image", make)


def test_the_agent_is_sent_over_the_console_and_runs_a_lifecycle(boot: Boot, without_agent: Callable[[], None]) -> None:
    bed = boot(plan())
    root, session = bed.root, bed.machine.session
    assert root.shell.kind == "agent sent over the console"
    session.transition(State.ENABLED)
    bed.start(HELLO)
    assert root.cell_states()[HELLO.name] == "running"
    root.destroy(HELLO)
    manifest = json.loads((bed.directory / "manifest.json").read_text())
    assert manifest["shell"] == (
        "agent sent over the console (agent: /hil/hil-agent: there is none; ssh: target.yaml names no address)"
    )
    events = [json.loads(line) for line in (bed.directory / "events.jsonl").read_text().splitlines()]
    waits = [event["waiting_for"] for event in events if event["event"] == "state"]
    assert any("s on a line of 115200 baud" in wait for wait in waits)

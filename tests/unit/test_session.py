# SPDX-License-Identifier: Apache-2.0
"""The session's logic against fakes: order, limits, what ends a wait, what is cleaned up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runner_fakes import EchoShell, FakeConsole, FakePower, FakeShell, limits

from hil.errors import (
    AgentLost,
    AgentMissing,
    CommandFailed,
    Failed,
    InfrastructureError,
    KernelPanic,
    MachineDied,
    TimeLimit,
    Trapped,
)
from hil.event_log import EventLog
from hil.lifecycle import Lifecycle, Plan
from hil.limits import Deadline
from hil.record import Clock, Record
from hil.record_line import record_line
from hil.session import ORDER, Session, State
from hil.shell import Answer, RootShell
from hil.target import CellUse
from hil.uio_walk import VirtualPci
from hil.watch import Watch

CELL = CellUse("demo.cell", "demo", "demo.bin", "mode=poll")
RECORD = Record(
    probe="p",
    series="round-trip",
    from_event="a",
    to_event="b",
    clock=Clock("CNTVCT_EL0", 62_500_000),
    mode={"root": "poll"},
    warmup=1,
    count=2,
    lost=0,
    min=1,
    p50=1,
    p90=2,
    p99=2,
    p99_9=2,
    max=2,
    mean=1.5,
    stddev=0.5,
    duration=10,
)


class Bed:
    """A lifecycle on fakes."""

    def __init__(self, path: Path, plan: Plan, seconds: float = 2.0) -> None:
        self.console = FakeConsole(b"[    0.000000] Booting Linux\r\n")
        EchoShell(self.console)
        self.power = FakePower()
        self.root_shell = FakeShell()
        self.root_shell.answer("look|SYSFS|cells/", out=b"running:demo\n")
        self.events = EventLog(path / "events.jsonl")
        self.lifecycle = Lifecycle(plan, self.power, lambda: self.console, self.start_agent, self.events)
        self.session = Session(self.events, limits(seconds), self.lifecycle.transitions())
        self.agent_error: Exception | None = None

    def start_agent(self, watch: Watch, deadline: Deadline, path: str = "/hil/hil-agent") -> RootShell:
        if self.agent_error is not None:
            raise self.agent_error
        return self.root_shell

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.events.path.read_text().splitlines()]


@pytest.fixture
def plan() -> Plan:
    return Plan("root.cell", "root", [CELL], "probe --count=2", ["round-trip"])


@pytest.fixture
def bed(tmp_path: Path, plan: Plan) -> Bed:
    made = Bed(tmp_path, plan)
    made.root_shell.answer("^probe", out=record_line(RECORD).encode())
    return made


def test_a_whole_session_visits_every_state_in_order(bed: Bed) -> None:
    bed.session.transition(State.DISABLED)
    seen = [event["state"] for event in bed.log() if event["event"] == "step"]
    order = [state.value for state in ORDER]
    assert [order.index(state) for state in seen] == sorted(order.index(state) for state in seen)
    assert bed.session.state is State.DISABLED
    assert [record.series for record in bed.lifecycle.records] == ["round-trip"]
    words = [command.split()[:3] for command in bed.root_shell.commands if command.startswith(("jail", "insmod", "rm"))]
    assert [" ".join(word) for word in words] == [
        "insmod /hil/jailhouse.ko",
        "jailhouse enable /hil/cells/root.cell",
        "jailhouse cell create",
        "jailhouse cell load",
        "jailhouse cell start",
        "jailhouse cell destroy",
        "jailhouse disable",
        "rmmod jailhouse",
    ]
    assert "-s mode=poll -a 0x1000" in bed.root_shell.commands[4] + bed.root_shell.commands[3]


def test_it_stops_at_the_first_step_that_fails(bed: Bed) -> None:
    bed.root_shell.answer("cell load", code=1, err=b"JAILHOUSE_CELL_LOAD: Invalid argument\n")
    with pytest.raises(CommandFailed) as failure:
        bed.session.transition(State.DISABLED)
    assert bed.session.state is State.CREATED and bed.session.goal is State.LOADED
    assert "Invalid argument" in str(failure.value) and "EINVAL" in str(failure.value)
    assert not any("cell start" in command for command in bed.root_shell.commands)
    assert [e for e in bed.log() if e["event"] == "step"][-1]["outcome"] == "failed"


def test_a_create_that_says_yes_and_makes_no_cell_fails(bed: Bed) -> None:
    bed.root_shell.answer("cells/", out=b"")
    bed.root_shell.answer("cell create", code=0)
    with pytest.raises(Failed, match="there is no cell 'demo'"):
        bed.session.transition(State.DISABLED)


def test_a_silent_machine_passes_its_limit_and_the_reason_says_so(tmp_path: Path, plan: Plan) -> None:
    bed = Bed(tmp_path, plan, seconds=0.3)
    bed.console.incoming.clear()
    with pytest.raises(TimeLimit) as passed:
        bed.session.transition(State.DISABLED)
    assert "'boot' passed its limit" in str(passed.value) and "the fake machine runs" in str(passed.value)
    assert bed.session.where().startswith("on the way from 'off' to 'boot'")


def test_a_shell_that_never_answers_passes_the_limit_of_shell(tmp_path: Path, plan: Plan) -> None:
    bed = Bed(tmp_path, plan, seconds=0.4)
    EchoShell(bed.console, deaf_for=10**6)
    with pytest.raises(TimeLimit, match="'shell'"):
        bed.session.transition(State.DISABLED)


def test_a_shell_is_found_though_it_was_deaf_at_first_and_others_write(tmp_path: Path, plan: Plan) -> None:
    bed = Bed(tmp_path, plan, seconds=10.0)
    EchoShell(bed.console, deaf_for=2, noise=b"[ 1.0] random: crng init done\r\n")
    bed.session.transition(State.SHELL)
    assert bed.session.state is State.SHELL


def test_an_echo_alone_is_no_shell(tmp_path: Path, plan: Plan) -> None:
    bed = Bed(tmp_path, plan, seconds=0.4)
    bed.console.on_write = lambda data: bed.console.incoming.append(data)
    with pytest.raises(TimeLimit):
        bed.session.transition(State.SHELL)


def trap(cell: str = "demo") -> dict[str, Any]:
    return {"kind": "data", "access": "read", "address": "0x9000018", "cell": cell, "cpu": 1, "outcome": "parked"}


def test_a_trap_ends_a_wait_at_once(bed: Bed) -> None:
    def hang() -> Answer:
        bed.console.traps.append(trap())
        bed.lifecycle.watch.text(0.0)
        raise AssertionError("the watch let a trap pass")

    bed.root_shell.act("^probe", hang)
    with pytest.raises(Trapped, match='data read at 0x9000018 of cell "demo", CPU 1 parked'):
        bed.session.transition(State.DISABLED)
    assert [found["cell"] for found in bed.lifecycle.watch.traps] == ["demo"]
    assert any(event["event"] == "note" and "data read at 0x9000018" in event["text"] for event in bed.log())


def test_a_trap_is_collected_where_it_is_expected(bed: Bed) -> None:
    bed.session.transition(State.AGENT)
    bed.lifecycle.watch.traps_end_waits = False
    bed.console.traps.append(trap())
    bed.lifecycle.watch.text(0.0)
    assert [found["cpu"] for found in bed.lifecycle.watch.traps] == [1]


def test_a_panic_ends_a_wait_and_reads_the_rest_first(bed: Bed) -> None:
    bed.session.transition(State.AGENT)
    bed.console.incoming += [b"[ 9.1] Kernel panic - not sync", b"ing: Attempted to kill init!\r\n", b"---[ end\r\n"]
    bed.lifecycle.watch.text(0.0)
    with pytest.raises(KernelPanic, match="Attempted to kill init!"):
        bed.lifecycle.watch.text(0.0)
    assert bed.lifecycle.watch.last_lines()[-1] == "---[ end"


def test_a_lost_console_of_a_dead_machine_is_the_machines_death(bed: Bed) -> None:
    bed.session.transition(State.AGENT)
    bed.console.lost = True
    bed.power.death = "QEMU was ended by SIGKILL without a word"
    with pytest.raises(MachineDied, match="SIGKILL"):
        bed.lifecycle.watch.text(0.0)


def test_a_machine_that_dies_quietly_is_noticed_without_the_console(bed: Bed) -> None:
    bed.session.transition(State.AGENT)
    bed.power.death = "QEMU ended by itself with code 1"
    with pytest.raises(MachineDied, match="code 1"):
        bed.lifecycle.watch.text(0.0)


def test_blocking_work_is_broken_off_by_a_trap(bed: Bed) -> None:
    import threading

    bed.session.transition(State.AGENT)
    never = threading.Event()
    bed.console.traps.append(trap())
    deadline = Deadline(limits(5.0), "run", "the end of time")
    with pytest.raises(Trapped):
        bed.lifecycle.watch.work(lambda: never.wait(20), deadline)
    assert deadline.elapsed < 4
    never.set()


def test_blocking_work_passes_on_results_and_errors(bed: Bed) -> None:
    bed.session.transition(State.AGENT)
    deadline = Deadline(limits(5.0), "run", "work")
    assert bed.lifecycle.watch.work(lambda: 42, deadline) == 42

    def lose() -> int:
        raise AgentLost("no answer")

    with pytest.raises(AgentLost):
        bed.lifecycle.watch.work(lose, deadline)


def test_without_an_agent_the_plain_shell_takes_over_and_it_is_shown(bed: Bed) -> None:
    bed.agent_error = AgentLost("no hello")
    bed.session.transition(State.AGENT)
    assert bed.lifecycle.root.shell.kind == "plain shell"
    assert any("plain shell" in event.get("text", "") for event in bed.log())


def test_an_agent_that_was_demanded_is_no_matter_of_choice(tmp_path: Path) -> None:
    bed = Bed(tmp_path, Plan("root.cell", "root", shell="agent"))
    bed.agent_error = AgentLost("no hello")
    with pytest.raises(AgentLost):
        bed.session.transition(State.AGENT)


def test_a_failing_probe_with_a_failed_cell_is_the_cells_fault(bed: Bed) -> None:
    bed.root_shell.answer("^probe", code=1, err=b"no answer from the peer\n")
    bed.session.transition(State.LOADED)
    bed.root_shell.answer("cells/\\*", out=b"running:root\nfailed:demo\n")
    with pytest.raises(Trapped, match="cell 'demo' failed without a trap"):
        bed.session.transition(State.DISABLED)


def test_a_failing_probe_with_a_running_cell_is_a_failure(bed: Bed) -> None:
    bed.root_shell.answer("^probe", code=1, err=b"no answer from the peer\n")
    with pytest.raises(CommandFailed, match="no answer from the peer"):
        bed.session.transition(State.DISABLED)


def test_a_missing_record_is_a_failure_and_a_damaged_one_is_not(bed: Bed) -> None:
    bed.root_shell.answer("^probe", out=b"all is well\n")
    with pytest.raises(Failed, match="no record for round-trip"):
        bed.session.transition(State.DISABLED)


def test_a_damaged_record_is_an_infrastructure_error(bed: Bed) -> None:
    bed.root_shell.answer("^probe", out=record_line(RECORD).replace("1.5", "1.6").encode())
    with pytest.raises(InfrastructureError, match="damaged"):
        bed.session.transition(State.DISABLED)
    assert not bed.lifecycle.records


@pytest.mark.parametrize(("shown", "walks"), [(b"/sys/bus/pci/devices/0001:00:00.0/vendor\n", False), (b"", True)])
def test_the_driver_walks_only_where_the_kernel_shows_no_device(tmp_path: Path, shown: bytes, walks: bool) -> None:
    pci = VirtualPci(0x0F000000, 0, 1, True, 96)
    bed = Bed(tmp_path, Plan("root.cell", "root", uio=pci))
    bed.root_shell.answer("^grep", code=0 if shown else 1, out=shown)
    bed.session.transition(State.ENABLED)
    insmod = next(command for command in bed.root_shell.commands if "uio_ivshmem.ko" in command)
    assert ("0xf000000" in insmod and "0xf100000" in insmod) == walks


def test_a_session_does_not_go_back(bed: Bed) -> None:
    bed.session.transition(State.ENABLED)
    with pytest.raises(ValueError, match="cannot go back"):
        bed.session.transition(State.BOOT)


def test_a_session_can_repeat_its_lifecycle_in_one_boot(bed: Bed) -> None:
    bed.session.transition(State.DISABLED)
    bed.session.repeat(State.AGENT, State.DISABLED)
    assert sum("jailhouse enable" in command for command in bed.root_shell.commands) == 2


class FakeSender:
    """A way to send the agent, which may fail."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self._error = error

    def send(self, watch: Watch, deadline: Deadline, tell: Callable[[str], None]) -> str:
        tell("50 %")
        if self._error is not None:
            raise self._error
        return f"/run/{self.name}/hil-agent"


def test_a_system_without_an_agent_gets_one_and_it_is_shown_why(bed: Bed) -> None:
    started: list[str] = []

    def start(watch: Watch, deadline: Deadline, path: str = "/hil/hil-agent") -> RootShell:
        started.append(path)
        if path == "/hil/hil-agent":
            raise AgentMissing("/hil/hil-agent: there is none")
        return bed.root_shell

    bed.lifecycle.start_agent = start
    bed.lifecycle.senders = [FakeSender("ssh", AgentLost("no route to host")), FakeSender("console")]
    bed.session.transition(State.AGENT)
    assert started == ["/hil/hil-agent", "/run/console/hil-agent"]
    shown = "agent sent over the console (agent: /hil/hil-agent: there is none; ssh: no route to host)"
    assert bed.lifecycle.shell_shown == shown
    assert any(shown in event.get("text", "") for event in bed.log())
    assert any("over the console: 50 %" in event.get("waiting_for", "") for event in bed.log())


LATE = TimeLimit("agent", 15.0, "the agent's hello", "no hello")


@pytest.mark.parametrize("error", [AgentLost("no hello"), LATE])
def test_an_agent_that_is_there_and_silent_is_not_sent_again(bed: Bed, error: Exception) -> None:
    bed.agent_error = error
    bed.lifecycle.senders = [FakeSender("console")]
    bed.session.transition(State.AGENT)
    assert bed.lifecycle.shell_shown == f"plain shell (agent: {error})"


def test_an_agent_that_was_demanded_and_is_late_ends_the_run(tmp_path: Path) -> None:
    bed = Bed(tmp_path, Plan("root.cell", "root", shell="agent"))
    bed.agent_error = LATE
    with pytest.raises(TimeLimit, match="no hello"):
        bed.session.transition(State.AGENT)


@pytest.mark.parametrize("way, kind", [("ssh", "agent sent by ssh"), ("console", "agent sent over the console")])
def test_a_way_that_was_demanded_is_the_only_one_tried(tmp_path: Path, way: str, kind: str) -> None:
    bed = Bed(tmp_path, Plan("root.cell", "root", shell=way))
    bed.lifecycle.senders = [FakeSender("ssh"), FakeSender("console")]
    bed.session.transition(State.AGENT)
    assert bed.lifecycle.shell_shown == kind
    other = Bed(tmp_path, Plan("root.cell", "root", shell=way))
    other.lifecycle.senders = [FakeSender(way, AgentLost("cannot"))]
    with pytest.raises(AgentLost, match="cannot"):
        other.session.transition(State.AGENT)


def test_ssh_without_an_address_is_refused(tmp_path: Path) -> None:
    bed = Bed(tmp_path, Plan("root.cell", "root", shell="ssh"))
    bed.lifecycle.senders = [FakeSender("console")]
    with pytest.raises(AgentLost, match="target.yaml does not say where"):
        bed.session.transition(State.AGENT)

# SPDX-License-Identifier: Apache-2.0
"""What goes wrong inside the machine and the verdict that a run gets for it, with exit code and JUnit form."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from conftest import Bed, Boot, plan
from verdict_checks import check

from hil import places
from hil.lifecycle import Plan
from hil.limits import USUAL_LIMITS
from hil.run_directory import RUNNING, Holdings
from hil.runner import judged
from hil.session import State
from hil.target import CellUse
from hil.verdict import Outcome, Verdict

PROBE = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")
PROBE_RAM = 0x7000_0000
MEASURE = "ivshmem-latency --warmup=20 --count=1000000 --timeout=1"
SERIES = ("round-trip",)
NOBODYS = 0x0C00_0000
IN_RUN = "to 'running' (wait 'run'"
LINES = "the console's last lines: \""
BREAK_IN = 0xD402_4682
"""`hvc #0x1234`: a call that no hypervisor serves."""


def symbol(elf: str, name: str) -> int:
    """The address of a function in an inmate; `name` is the beginning of its demangled name."""
    path = places.build() / "arm64/inmates" / elf
    listing = subprocess.run(["aarch64-linux-gnu-nm", "-C", path], capture_output=True, text=True, check=True).stdout
    (found,) = {line.split()[0] for line in listing.splitlines() if line[19:].startswith(name)}
    return int(found, 16)


def judge(bed: Bed, wanted: Plan, upto: State, before: Callable[[], None] = lambda: None) -> Verdict:
    """Carries out a plan on a machine that is enabled; `before` is done when its cells are loaded."""
    machine = bed.machine
    machine.lifecycle.plan = wanted
    machine.session.skip(State.ENABLED)

    def work() -> None:
        if upto in (State.RUNNING, State.COLLECTED):
            machine.session.transition(State.LOADED)
            before()
        machine.session.transition(upto)

    return judged(machine, work)


def tidy(bed: Bed) -> None:
    """Destroys what a verdict left standing."""
    for cell in bed.machine.lifecycle.plan.cells:
        bed.root.run(["jailhouse", "cell", "destroy", cell.name], "destroy", allowed=(0, 1))


def measuring(*cells: CellUse, program: str = MEASURE, **more: Any) -> Plan:
    return plan(cells=cells, program=program, series=SERIES, **more)


# --- Cases that leave the machine as it was: one boot for all ---


def test_an_inmate_that_never_starts(bed: Bed) -> None:
    idle = replace(PROBE, inmate="fault.bin", command_line="act=idle")
    verdict = judge(bed, measuring(idle, program=f"{MEASURE} --handshake=1"), State.COLLECTED)
    check(bed, verdict, Outcome.INFRASTRUCTURE_ERROR, IN_RUN, "did not become ready", LINES)
    tidy(bed)


def test_the_wrong_image_for_a_cell(bed: Bed) -> None:
    wrong = replace(PROBE, inmate="hello.bin", command_line="interval_ms=500")
    verdict = judge(bed, measuring(wrong, program=f"{MEASURE} --handshake=1"), State.COLLECTED)
    check(bed, verdict, Outcome.INFRASTRUCTURE_ERROR, IN_RUN, "did not become ready", LINES)
    tidy(bed)


def test_an_inmate_that_stops_answering(bed: Bed) -> None:
    running = "while ! pidof ivshmem-latency; do sleep 0.1; done; sleep 2"
    stop = f"({running}; jailhouse cell shutdown ivshmem-latency) >/dev/null 2>&1 &"
    verdict = judge(bed, measuring(PROBE, program=f"{stop} {MEASURE}"), State.COLLECTED)
    check(bed, verdict, Outcome.FAIL, IN_RUN, "stopped answering", LINES)
    assert not bed.machine.lifecycle.records
    tidy(bed)


def test_a_load_that_fails_ends_the_run_at_once(bed: Bed) -> None:
    beyond = replace(PROBE, load_address=0x4000_0000)
    verdict = judge(bed, measuring(beyond), State.COLLECTED)
    check(bed, verdict, Outcome.FAIL, "to 'loaded' (wait 'load'", "does not fit", LINES)
    steps = [json.loads(line) for line in (bed.directory / "events.jsonl").read_text().splitlines()]
    assert "jailhouse cell load" in str(steps[-1]) and steps[-1]["outcome"] == "failed", "nothing follows"
    tidy(bed)


def test_an_inmate_that_floods_is_recognised_and_stopped(bed: Bed) -> None:
    flood = CellUse("hello.cell", "hello", "fault.bin", "act=flood")
    verdict = judge(bed, plan(cells=(flood,), program="sleep 600"), State.COLLECTED)
    reason = check(bed, verdict, Outcome.FAIL, IN_RUN)
    assert re.search(r"flooded with \d+ kB/s .*fault: flood.*ended it by shutting cell 'hello' down", reason)
    assert bed.root.script("echo still here", "command").out == b"still here\n"
    tidy(bed)


# --- Cases that need a machine of their own ---


@pytest.fixture
def own(boot: Boot) -> Iterator[Bed]:
    """A machine that is lost afterwards."""
    started = boot(plan())
    started.machine.session.transition(State.ENABLED)
    yield started
    started.machine.off()


def test_an_inmate_that_traps_in_mid_measurement(own: Bed) -> None:
    ring = PROBE_RAM + symbol("ivshmem-latency.elf", "inmate::Ivshmem::ring(")

    def mine() -> None:
        own.root.script(f"devmem {ring:#x} 32 {BREAK_IN:#x}", "command")

    verdict = judge(own, measuring(PROBE), State.COLLECTED, mine)
    check(own, verdict, Outcome.TRAP, IN_RUN, 'cell "ivshmem-latency"', LINES)


PARKS = (State.ENABLED, State.CREATED, State.LOADED, State.RUNNING, State.COLLECTED, State.DESTROYED)
"""The states in which a hypervisor is there to park a CPU."""


@pytest.mark.parametrize("state", PARKS, ids=lambda state: str(state.value))
def test_the_root_parks(own: Bed, state: State) -> None:
    # The cell's RAM is the root's no more once the cell runs; the other address is nobody's.
    touch = f"devmem {PROBE_RAM if state is State.RUNNING else NOBODYS:#x} 32"

    def act() -> None:
        own.root.script(touch, "command")

    if state is State.RUNNING:
        later = f"(sleep 3; {touch}) >/dev/null 2>&1 &"
        verdict = judge(own, measuring(PROBE, program=f"{later} {MEASURE}"), State.COLLECTED)
    else:
        if state is not State.ENABLED:
            before = judge(own, measuring(PROBE, program=MEASURE.replace("1000000", "100")), state)
            assert before.outcome is Outcome.PASS, before.reason
        verdict = judged(own.machine, act)
    check(own, verdict, Outcome.TRAP, f"'{state.value}' (wait '", 'cell "qemu-root"', "CPU", "parked", LINES)


@contextmanager
def hanging(bed: Bed, scale: float = 0.05) -> Iterator[None]:
    """QEMU stands still, and limits are short."""
    (qemu,) = Holdings.from_json((bed.directory / RUNNING).read_text()).processes
    limits = bed.machine.session.limits
    before, limits.forced = limits.forced, scale
    os.kill(qemu.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(qemu.pid, signal.SIGCONT)
        limits.forced = before


def hangs(bed: Bed, state: State) -> str:
    """The reason of the verdict when QEMU stands still on the way to `state`."""
    with hanging(bed):
        verdict = judged(bed.machine, lambda: bed.machine.session.transition(state))
    said = (f"to '{state.value}' (wait '", "passed its limit of", "idle host, times 0.05", "has been silent for", LINES)
    hung = "QEMU does not answer its control socket: it hangs or is stopped"
    return check(bed, verdict, Outcome.INFRASTRUCTURE_ERROR, hung, *said)


def test_qemu_hangs_before_the_agent(boot: Boot) -> None:
    started = boot(plan(), upto=State.SHELL)
    assert "plain shell" in hangs(started, State.AGENT)
    started.machine.off()


def test_qemu_hangs_later(own: Bed) -> None:
    """In `login` and `collected` nothing of the machine is awaited; the next state tells. See also test_verdicts.py."""
    assert judge(own, measuring(PROBE), State.CREATED).outcome is Outcome.PASS
    assert "'load'" in hangs(own, State.LOADED)
    own.machine.session.skip(State.COLLECTED)
    assert "'destroy'" in hangs(own, State.DESTROYED)
    tidy(own)
    own.machine.session.skip(State.DESTROYED)
    assert "'driver'" in hangs(own, State.DISABLED)


def test_a_flood_that_the_root_cannot_stop(own: Bed) -> None:
    flood = CellUse("hello.cell", "hello", "fault.bin", "act=flood")
    killed = "kill -9 $PPID $(pidof hil-agent); sleep 600"  # before the flood has lasted long enough to be one
    own.machine.session.limits.forced = 0.5
    verdict = judge(own, plan(cells=(flood,), program=killed), State.COLLECTED)
    reason = check(own, verdict, Outcome.FAIL, "could not shut cell 'hello' down, the machine is switched off")
    assert re.search(r"flooded with \d+ kB/s .*fault: flood", reason)


def test_a_kernel_panic(own: Bed) -> None:
    verdict = judged(own.machine, lambda: _ignore(own.root.script("echo c > /proc/sysrq-trigger", "command")))
    check(own, verdict, Outcome.FAIL, "'enabled' (wait 'command'", "panicked: sysrq triggered crash", LINES)


def test_an_agent_that_is_killed(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USUAL_LIMITS, "silence", 4.0)  # a dead agent is waited for so long
    bed = boot(plan())
    work = "kill -9 $PPID $(pidof hil-agent); sleep 60"
    verdict = judged(bed.machine, lambda: _ignore(bed.root.script(work, "run")))
    said = ("the agent did not answer", "'silence' has a limit of", "QEMU says that the machine is running", LINES)
    assert len(check(bed, verdict, Outcome.INFRASTRUCTURE_ERROR, "'agent' (wait 'run'", *said)) < 1000
    bed.machine.off()


def test_a_silent_console(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_TIMEOUT_SCALE", "0.2")
    machine = boot(plan(), kernel_args="console=ttyS31 mem=768M rdinit=/init cryptomgr.notests", upto=State.OFF)
    verdict = judged(machine.machine, lambda: machine.machine.session.transition(State.BOOT))
    said = ("to 'boot' (wait 'boot'", "'boot' passed its limit of 6 s while waiting for first console text")
    known = ("QEMU says that the machine is running", "the console has shown no line")
    check(machine, verdict, Outcome.INFRASTRUCTURE_ERROR, *said, *known)


def _ignore(answer: object) -> None:
    """What a command said does not matter."""

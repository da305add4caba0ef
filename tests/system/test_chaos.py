# SPDX-License-Identifier: Apache-2.0
"""A bad console line: every command is answered once and right, and figures are the probe's or there are none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Bed, Boot, Command, plan

from hil import chaos_proof
from hil.errors import InfrastructureError
from hil.flood import FloodGauge
from hil.record_line import scan_records
from hil.run_log import read_events
from hil.runner import judged
from hil.session import State
from hil.target import CellUse
from hil.verdict import Outcome

PROBE = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")
SERIES = ("round-trip", "root-to-inmate", "inmate-to-root", "empty-exchange")
HARM = "corrupt=0.01,splice=0.002"
COMMANDS = 200


@pytest.fixture(scope="module")
def bad(boot: Boot) -> Bed:
    """A machine on a line that damages every hundredth byte and on which others write, with the hypervisor enabled."""
    started = boot(plan(), chaos=f"seed=11,{HARM},interleave=1")
    started.machine.session.transition(State.ENABLED)
    return started


def test_every_command_is_answered_once_and_right(bad: Bed) -> None:
    log = "/tmp/commands"
    for number in range(COMMANDS):
        answer = bad.root.script(
            f"echo {number} >>{log}; echo o{number}; echo e{number} >&2; exit {number % 7}",
            "command",
            allowed=tuple(range(7)),
        )
        assert (answer.code, answer.out, answer.err) == (number % 7, b"o%d\n" % number, b"e%d\n" % number)
    done = bad.root.script(f"cat {log}", "command").out.decode().split()
    assert done == [str(number) for number in range(COMMANDS)]


def test_figures_are_the_probes_own_or_there_are_none(bad: Bed) -> None:
    """The root cell keeps a copy of what the probe said; its digest, not the channel, says what is right."""
    bad.start(PROBE)
    program = "ivshmem-latency --warmup=20 --count=300 --timeout=5 >/tmp/records"
    bad.root.script(program, "run")
    digest = bad.root.script("md5sum </tmp/records", "command").out.split()[0].decode()
    for _ in range(3):
        try:
            said = bad.root.script("cat /tmp/records", "run").out
        except InfrastructureError:
            continue  # no figure is right as well
        assert hashlib.md5(said).hexdigest() == digest
        scan = scan_records(said)
        assert {record.series for record in scan.records} == set(SERIES) and not scan.errors
    bad.root.destroy(PROBE)


@pytest.mark.parametrize("chaos", [f"seed=1,{HARM}", "seed=2,drop=0.005,double=0.005,delay=0.001,flood=0.0001"])
def test_a_run_on_a_bad_line_measures_or_says_why_not(hil: Command, chaos: str) -> None:
    done = hil.run("run", "--target", "qemu", "ivshmem-latency", "--warmup", "20", "--count", "200", "--chaos", chaos)
    run = hil.only_run()
    events = read_events(run / "events.jsonl")
    assert done.returncode in (0, 4), done.stdout + done.stderr
    assert events.verdict().exit_code == done.returncode
    raw = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    records = [event["record"]["series"] for event in raw if event["event"] == "record"]
    if done.returncode == 0:
        assert sorted(records) == sorted(SERIES)


def test_a_console_that_is_lost_and_comes_back(boot: Boot) -> None:
    machine = boot(plan(), chaos="seed=5,disconnect=0.00005")
    for number in range(60):
        assert machine.root.script(f"echo {number}; seq 200", "command").out.startswith(b"%d\n" % number)
    notes = (machine.directory / "events.jsonl").read_text()
    assert "the console's line was lost: chaos: disconnected" in notes and "is open again" in notes


def test_chaos_between_a_stream_and_any_program(hil: Command, tmp_path: Path) -> None:
    """`hil chaos` offers a pty; the bytes of the machine's line come out of it, harmed as told."""
    with socket.socket(socket.AF_UNIX) as machine:
        machine.settimeout(20)
        machine.bind(str(tmp_path / "line"))
        machine.listen(1)
        proxy = hil.start("chaos", "--stream", f"unix:{tmp_path}/line", "--chaos", "seed=4,double=0.1")
        try:
            assert proxy.stdout is not None
            kind, _, path = proxy.stdout.readline().strip().partition(":")
            line, _ = machine.accept()
            user = os.open(path, os.O_RDWR | os.O_NOCTTY)
            line.sendall(b"a" * 1000)
            line.shutdown(socket.SHUT_WR)
            got = b""
            while select.select([user], [], [], 2)[0]:
                got += os.read(user, 4096)
            assert kind == "pty" and set(got) == {ord("a")} and 1050 < len(got) < 1150
            os.close(user)
        finally:
            proxy.send_signal(signal.SIGINT)
            _, said = proxy.communicate(timeout=20)
    assert re.search(r"1000 bytes, 0 dropped, \d+ doubled", said), said


def test_chaos_that_cannot_be(hil: Command) -> None:
    done = hil.run("run", "--target", "qemu", "ivshmem-latency", "--chaos", "typo=0.1")
    assert done.returncode == 2 and "unknown fault 'typo'" in done.stderr
    done = hil.run("run", "--target", "qemu", "ivshmem-latency", "--chaos", "splice=0.01,interleave=x")
    assert done.returncode == 2 and "interleave=x is neither 0 nor 1" in done.stderr and not hil.runs.exists()
    refused = subprocess.run(
        [sys.executable, "-m", "hil", "chaos", "--stream", "no:where", "--chaos", "drop=0.1"],
        capture_output=True,
        text=True,
        env=hil.environment(),
        check=False,
    )
    assert refused.returncode == 2


FAULTS = chaos_proof.FAULTS[1:] if os.environ.get("HIL_NIGHTLY") else ("corrupt=0.01,splice=0.01,interleave=1",)


def test_a_bad_line_changes_no_figure(tmp_path: Path) -> None:
    """A measurement out of the line's reach: what arrives has the root cell's digest, to the bit, or nothing does."""
    clean = chaos_proof.carried("", 3, 200, tmp_path)
    assert clean.records and clean.right == 3 and not clean.wrong, clean.error
    assert {record.series for record in scan_records(clean.records).records} == set(SERIES)
    for faults in FAULTS:
        harmed = chaos_proof.carried(f"seed=31,{faults}", 20, 200, tmp_path)
        assert not harmed.wrong and (harmed.records or harmed.error), harmed
        if not faults.startswith("disconnect"):
            assert harmed.right == 20 and harmed.damaged > 0 or "delay" in faults or "flood" in faults, harmed


# --- The flood gauge is on whatever the line is like ---


def test_damage_is_no_flood(bad: Bed) -> None:
    """What damaged frames leave is the agent's; six seconds of it, as fast as the line goes, are no flood."""
    bad.watch.flood = FloodGauge()
    before = bad.watch.console.text_of("agent")
    end = time.monotonic() + 6.5
    while time.monotonic() < end:
        assert bad.root.script("seq 400", "command").out.endswith(b"400\n")
    assert bad.watch.console.text_of("agent") > before, "frames were damaged, and known as such"
    bad.watch.flood = None


def test_a_flood_on_a_bad_line_is_recognised_and_stopped(bad: Bed) -> None:
    flood = CellUse("hello.cell", "hello", "fault.bin", "act=flood")
    bad.machine.lifecycle.plan = plan(cells=(flood,), program="sleep 600")
    bad.machine.session.skip(State.ENABLED)
    verdict = judged(bad.machine, lambda: bad.machine.session.transition(State.COLLECTED))
    assert (verdict.outcome, verdict.exit_code) == (Outcome.FAIL, 1), verdict.reason
    assert re.search(r"flooded with \d+ kB/s .*ended it by shutting cell 'hello' down", verdict.reason)
    assert bad.root.script("echo still here", "command").out == b"still here\n"
    bad.root.destroy(flood)


def test_a_flood_that_chaos_makes_blames_nobody(boot: Boot) -> None:
    started = boot(plan(), chaos="seed=3,flood=0.001")
    started.watch.flood = FloodGauge()

    def talk() -> None:
        while True:
            started.root.script("seq 400", "command")

    verdict = judged(started.machine, talk)
    assert verdict.outcome is Outcome.INFRASTRUCTURE_ERROR and "--chaos itself floods the line" in verdict.reason

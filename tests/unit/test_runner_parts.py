# SPDX-License-Identifier: Apache-2.0
"""The runner's small parts: limits, harmless text, errno's meaning, the virtual PCI of a system config, doctor."""

from __future__ import annotations

import json
import os
import pty
import re
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from runner_fakes import FakeConsole, FakePower, limits

from hil import doctor, kvm
from hil.causes import likely_cause
from hil.errors import Flooded, InfrastructureError, TimeLimit, Trapped, WrongUse
from hil.event_log import EventLog
from hil.flood import FloodGauge
from hil.harmless_text import HarmlessText, harmless_line
from hil.interactive import Seat, raw_terminal, shown
from hil.limits import MOST, USUAL_LIMITS, Deadline, Limits, measured_scale
from hil.lock import TargetLock
from hil.native import check_chaos
from hil.uio_walk import virtual_pci
from hil.verdict import Verdict
from hil.watch import Watch, describe


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_limit_is_stretched_by_load_that_rises_while_waiting() -> None:
    load, clock = [1.0], Clock()
    deadline = Deadline(Limits({"run": 10.0}, lambda: load[0], forced=None), "run", "records", clock)
    clock.now += 11
    load[0] = 3.0
    deadline.check()
    assert deadline.limit == 30 and deadline.left == 19
    clock.now += 20
    with pytest.raises(TimeLimit) as limit:
        deadline.check(lambda: "a hint")
    stretched = "10 s on an idle host, times 3 for the load that was measured"
    assert str(limit.value) == f"'run' passed its limit of 30 s while waiting for records ({stretched}); a hint"
    assert limit.value.hint == "a hint" and deadline.of("silence") == 3 * USUAL_LIMITS["silence"]


def test_a_limit_on_an_idle_host_says_no_more_than_itself() -> None:
    clock = Clock()
    deadline = Deadline(Limits({"run": 10.0}, lambda: 1.0, forced=None), "run", "records", clock)
    clock.now += 10
    with pytest.raises(TimeLimit, match="^'run' passed its limit of 10 s while waiting for records$"):
        deadline.check()


def test_the_load_is_not_measured_for_every_short_step() -> None:
    measured, clock = [0], Clock()

    def measure() -> float:
        measured[0] += 1
        return 2.0

    limits_ = Limits({"run": 10.0}, measure, forced=None, now=clock)
    for _ in range(20):
        assert Deadline(limits_, "run", "records", clock).limit == 20
    assert measured == [1]
    clock.now += 5
    assert limits_.scale() == 2.0 and measured == [2]
    assert limits_.scale(again=True) == 2.0 and measured == [3]


def test_a_forced_scale_holds_whatever_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_TIMEOUT_SCALE", "0.5")
    assert Limits({"run": 10.0}, lambda: 7.0).scale() == 0.5
    assert 1.0 <= measured_scale() <= MOST


def test_console_text_cannot_act_on_a_terminal() -> None:
    text = HarmlessText()
    assert text.feed("one\r\r\ntw") == ["one"]
    assert text.feed("o\x1b[2J\x07\x9b31m\u202e\n") == ["two^[[2J^G<9b>31m<202e>"]
    assert text.feed("x" * 5000) == ["x" * 5000], "a flood without line ends does not gather"
    assert text.rest() == "" and harmless_line("a\tb\x7f") == "a\tb^?"
    assert shown("a\x08 \x08\r\nb\x1b[0m") == "a\b \b\r\nb^[[0m"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("JAILHOUSE_ENABLE: Invalid argument", "online ones.*EINVAL"),
        ("JAILHOUSE_CELL_LOAD: No such file or directory", "no cell of that name.*ENOENT"),
        ("opening /dev/jailhouse: No such file or directory", "module is not loaded"),
        ("insmod: can't insert 'x.ko': Device or resource busy", "EBUSY"),
    ],
)
def test_an_errno_gets_its_meaning(output: str, said: str) -> None:
    import re

    assert re.search(said, likely_cause(output))
    assert likely_cause("all is well") == ""


def test_the_virtual_pci_is_read_from_the_system_config(tmp_path: Path) -> None:
    data = bytearray(700)
    struct.pack_into("<5sBH", data, 0, b"JHSYS", 2, 14)
    struct.pack_into("<QBBH", data, 76, 0x0F000000, 1, 1, 1)
    struct.pack_into("<I", data, 76 + 280 + 80, 96)
    file = tmp_path / "root.cell"
    file.write_bytes(data)
    found = virtual_pci(file)
    assert found.module_parameters() == ["ecam=0xf000000", "buses=2", "window=0xf200000", "irq_base=96"]
    data[6] = 13
    file.write_bytes(data)
    with pytest.raises(WrongUse, match="revision 13"):
        virtual_pci(file)
    file.write_bytes(b"JH")
    with pytest.raises(WrongUse, match="too few"):
        virtual_pci(file)
    with pytest.raises(WrongUse, match="cannot read"):
        virtual_pci(tmp_path / "nowhere")


def test_the_project_s_own_system_config_agrees_with_the_library() -> None:
    import _hil as native

    from hil import places

    config = places.build() / "cells/qemu/qemu-root.cell"
    found = virtual_pci(config)
    yaml = native.cell_decompile(config.read_bytes())
    assert f"{found.config_base:#x}" in yaml.lower().replace("0x0f", "0xf") and str(found.irq_base) in yaml


def test_a_trap_in_one_sentence() -> None:
    trap = {"kind": "data", "access": "write", "address": "0x7bfe0000", "cell": "a\x1b", "cpu": 0, "outcome": "parked"}
    assert describe([trap, trap]) == 'data write at 0x7bfe0000 of cell "a ", CPU 0 parked (and 1 more)'
    assert describe([{}]) == "unknown trap, outcome unknown"
    assert Verdict.of(Verdict.interrupted("x").outcome, "a\nb").reason == "a b"


def test_a_person_at_the_console_types_reads_and_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    console = FakeConsole(b"login: \x1b[2J")
    told: list[object] = []
    watch = Watch(console, FakePower(), told.append)
    console.traps.append({"kind": "data", "cell": "demo", "outcome": "parked"})
    read, write = os.pipe()
    os.write(write, b"ls\r")
    console.on_write = lambda data: os.write(write, b"\x1d") and None
    Seat(watch, keys=read).sit()
    said = capsys.readouterr().out
    assert console.written == b"ls\n" and "login: ^[[2J" in said and "trap: data demo parked" in said


def test_what_a_prompt_asks_of_the_terminal_is_left_out_in_pieces_too(capsys: pytest.CaptureFixture[str]) -> None:
    console = FakeConsole(b"hil# \x1b", b"[6", b"n", b"\x1b[1mbold ", b"\x1b[6nend")
    read, write = os.pipe()
    os.close(write)
    watch = Watch(console, FakePower(), lambda trap: None)
    seat = Seat(watch, keys=read)
    said = "".join(seat._without_where(watch.text(0.0)) for _ in range(5))
    assert said == "hil# \x1b[1mbold end"
    seat.sit()
    assert capsys.readouterr().out == ""


def test_a_seat_leaves_the_cursor_at_a_line_s_begin(capsys: pytest.CaptureFixture[str]) -> None:
    console = FakeConsole(b"hil# ")
    read, write = os.pipe()
    os.write(write, b"a")
    console.on_write = lambda data: os.write(write, b"\x1d") and None
    Seat(Watch(console, FakePower(), lambda trap: None), keys=read).sit()
    assert capsys.readouterr().out == "hil# \r\n"


def test_a_terminal_that_was_closed_needs_no_restoring() -> None:
    outer, inner = pty.openpty()
    with raw_terminal(inner):
        os.close(outer)
    os.close(inner)


def test_doctor_runs_on_the_standard_library_alone() -> None:
    code = (
        "import sys; sys.modules.update({n: None for n in ('click','rich','yaml','pexpect','_hil')}); import hil.doctor"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_doctor_names_the_package_of_a_missing_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "PROGRAMS", {"qemu-system-nowhere": "qemu-system-arm"})
    monkeypatch.setattr(doctor, "SECTIONS", (doctor.programs,))
    assert doctor.main() == 1
    said = capsys.readouterr().out
    assert (
        "MISSING qemu-system-nowhere" in said and "apt-get install --no-install-recommends -y qemu-system-arm" in said
    )


def test_kvm_is_judged_by_a_guest_and_always_in_time() -> None:
    works, said = kvm.try_guest()
    assert said and isinstance(works, bool)
    if works:
        assert "kernel" in said


def test_limits_of_fakes_are_never_stretched() -> None:
    assert limits(2.0).scale() == 1.0


def test_a_flood_is_text_that_is_fast_in_every_second() -> None:
    clock = Clock()
    gauge = FloodGauge(rate=1000, seconds=3, now=clock)
    total, told = 0, []
    for second in range(12):
        total += 100_000 if second == 2 else 50 if second < 6 else 5000
        told.append(gauge.feed(total))
        clock.now += 1
    assert told[:8] == [None] * 8, "a burst and its second are no flood"
    assert told[8] == 5000
    gauge.reset()
    assert gauge.feed(total) is None


def test_a_flood_ends_a_wait_with_its_last_words() -> None:
    console, clock = FakeConsole(*[b"inmate: hello hello\r\n"] * 20), Clock()
    watch = Watch(console, FakePower(), lambda trap: None)
    watch.flood = FloodGauge(now=clock)
    with pytest.raises(Flooded, match='flooded with 10 kB/s of text that is not the kernel\'s: "inmate: hello hello"'):
        for _ in range(10):
            clock.now += 1
            console.texts["unattributed"] = console.texts.get("unattributed", 0) + 10_000
            watch.text(0.0)
    assert watch.flood is None and watch.text(0.0), "what comes next is to stop it"


@pytest.mark.parametrize(
    ("pending", "outcome", "scale", "least", "most"),
    [
        (False, "parked", 1.0, 0.04, 0.1),
        (True, "parked", 1.0, 0.3, 0.4),
        (False, "unknown", 1.0, 0.3, 0.4),
        (False, "parked", 4.0, 0.04, 0.1),
        (False, "unknown", 4.0, 1.2, 1.3),
    ],
)
def test_a_whole_report_is_judged_within_a_tenth_of_a_second_of_silence(
    monkeypatch: pytest.MonkeyPatch, pending: bool, outcome: str, scale: float, least: float, most: float
) -> None:
    """In a clock of its own: each read that brings nothing takes as long as it was told to wait. Only where something
    is missing does a busy host stretch it."""
    clock = Clock()
    monkeypatch.setattr("hil.watch.time", SimpleNamespace(monotonic=clock, sleep=time.sleep))
    console = FakeConsole(b"a dump\r\n", *[b"more of the same writers\r\n"] * 5)
    read = console.read

    def timed(seconds: float) -> bytes:
        clock.now += 0.001 if console.incoming else seconds
        return read(seconds)

    monkeypatch.setattr(console, "read", timed)
    console.pending = pending
    console.traps.append({"kind": "data", "cell": "demo", "cpu": 1, "outcome": outcome})
    watch = Watch(console, FakePower(), lambda trap: None, Limits({}, forced=scale))
    with pytest.raises(Trapped):
        watch.text(1.0)
    assert not console.incoming, "what the writers still had to say was read"
    assert least <= clock.now - 100.006 <= most


def test_the_wall_clock_may_jump(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No wait, no lock, no event's time looks at the wall clock."""
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the wall clock was asked"))
    log = EventLog(tmp_path / "events.jsonl")
    limits_ = Limits({"wait": 0.05}, forced=1.0)
    watch = Watch(FakeConsole(b"x"), FakePower(), lambda trap: None)
    deadline = Deadline(limits_, "wait", "nothing")
    with pytest.raises(TimeLimit):
        while True:
            watch.text(0.0)
            deadline.check(watch.hint)
    log.note("later")
    (event,) = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert 0 <= event["t"] < 60
    lock = TargetLock("qemu", "test", tmp_path)
    lock.acquire()
    with pytest.raises(InfrastructureError, match="in use by"):
        TargetLock("qemu", "other", tmp_path).acquire(patience=0.2)
    lock.release()
    sources = Path(__file__).parents[2] / "hil"
    asking = {path.name for path in sources.rglob("*.py") if re.search(r"\btime\.time\(\)", path.read_text())}
    assert asking <= {"root_image.py", "root_packages.py"}, "only a cache's age may be told by the wall clock"


def test_chaos_that_cannot_be_is_wrong_use() -> None:
    check_chaos("")
    check_chaos("seed=3,double=0.5")
    with pytest.raises(WrongUse, match="unknown fault 'typo'"):
        check_chaos("typo=1")

# SPDX-License-Identifier: Apache-2.0
"""Run directories, locks and leftovers: the truth about a run stays readable whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from hil import leftovers
from hil.errors import InfrastructureError, WrongUse
from hil.event_log import EventLog
from hil.lock import TargetLock
from hil.process import ProcessId, start_bound
from hil.run_log import read_events
from hil.run_directory import NAMELESS, RUNNING, UNFINISHED, Holdings, RunDirectory, find_run, write_whole
from hil.verdict import Outcome, Verdict

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)


def test_a_run_directory_is_marked_until_it_is_finished(tmp_path: Path) -> None:
    run = RunDirectory("qemu", "../evil bench", NOON, tmp_path)
    assert run.path.parent == tmp_path and run.path.name == "20261121T120000Z-qemu-_evil_bench"
    mark = Holdings.from_json((run.path / RUNNING).read_text())
    assert mark.controller.pid == os.getpid() and mark.controller.alive()
    assert run.scratch.is_dir()
    run.finish()
    assert not (run.path / RUNNING).exists() and not run.scratch.exists()


def test_two_runs_in_one_second_get_two_directories(tmp_path: Path) -> None:
    first, second = (RunDirectory("qemu", "b", NOON, tmp_path) for _ in range(2))
    assert second.path.name == first.path.name + "-2"
    first.finish()
    second.finish()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \udcff")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.fail("this host has no /dev/full")
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    events = EventLog(tmp_path / "events.jsonl")
    with pytest.raises(InfrastructureError, match="the disk is full.*HIL_RUNS"):
        for _ in range(10):
            events.note("x" * 5000)


def test_what_is_told_is_on_disk(tmp_path: Path) -> None:
    """A controller that is killed right after it has told its verdict has left it, too."""
    events = EventLog(tmp_path / "events.jsonl")
    told: list[str] = []
    events.observe(lambda event: told.append((tmp_path / "events.jsonl").read_text()))
    events.note("one")
    events.verdict(Verdict.of(Outcome.PASS, "all is well"))
    assert '"one"' in told[0] and '"all is well"' in told[1]


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "runs"
    blocker.write_text("a file where the runs should go")
    with pytest.raises(InfrastructureError, match=f"cannot write {blocker}"):
        RunDirectory("qemu", "b", NOON, blocker)


def test_sockets_find_room_however_long_the_directory_for_temporary_files_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    run = RunDirectory("qemu", "b", NOON, tmp_path)
    with socket.socket(socket.AF_UNIX) as console:
        console.bind(str(run.scratch / "console"))
    run.finish()
    assert not run.scratch.exists()
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    run = RunDirectory("qemu", "b", NOON, tmp_path)
    run.finish()
    assert run.scratch.parent == Path("/var/tmp")


def test_a_lock_that_cannot_be_made_names_its_own_variable() -> None:
    with pytest.raises(InfrastructureError, match="set HIL_LOCKS to a directory elsewhere") as error:
        TargetLock("qemu", "a test", Path("/proc/hil")).acquire()
    assert "free some space" not in str(error.value)


def test_a_lock_is_no_way_into_another_users_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can make /tmp/hil-1000 before user 1000 does, and a link in it."""
    monkeypatch.delenv("HIL_LOCKS", raising=False)
    precious, locks = tmp_path / "precious", tmp_path / "locks"
    precious.write_text("mine")
    locks.mkdir()
    (locks / "qemu.lock").symlink_to(precious)
    with pytest.raises(InfrastructureError, match="cannot write .*qemu.lock"):
        TargetLock("qemu", "a test", locks).acquire()
    locks.chmod(0o777)
    with pytest.raises(InfrastructureError, match="is not yours alone .*drwxrwxrwx.*set HIL_LOCKS"):
        TargetLock("other", "a test", locks).acquire()
    assert precious.read_text() == "mine"


def test_a_user_without_a_name_holds_a_lock_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", nobody)
    lock = TargetLock("qemu", "a test", tmp_path)
    lock.acquire()
    assert lock.holder() == f"user {os.getuid()}, pid {os.getpid()}: a test"
    lock.release()


def test_the_lock_names_its_holder_and_is_let_go(tmp_path: Path) -> None:
    first, second = TargetLock("qemu", "first", tmp_path), TargetLock("qemu", "second", tmp_path)
    first.acquire()
    with pytest.raises(InfrastructureError, match=f"in use by .*pid {os.getpid()}: first"):
        second.acquire()
    told: list[str] = []
    with pytest.raises(InfrastructureError):
        second.acquire(0.3, told.append)
    assert len(told) == 1 and "first" in told[0]
    with TargetLock("other", "another target", tmp_path):
        first.release()
    second.acquire()
    second.release()


def test_a_process_is_known_by_more_than_its_number() -> None:
    own = ProcessId.of(os.getpid())
    assert own is not None and own.alive()
    assert not ProcessId(own.pid, own.start + 1, own.boot).alive()
    assert not ProcessId(own.pid, own.start, "another boot").alive()


def test_a_bound_process_dies_with_its_starter(tmp_path: Path) -> None:
    script = (
        "import sys, os, time; from hil.process import start_bound;"
        "p = start_bound(['sleep', '60'], open(os.devnull, 'wb')); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        bound = ProcessId.of(int(starter.stdout.readline()))
        assert bound is not None
        starter.kill()
    end = time.monotonic() + 5
    while bound.alive() and time.monotonic() < end:
        time.sleep(0.02)
    assert not bound.alive()


def test_a_missing_program_is_named() -> None:
    with pytest.raises(InfrastructureError, match="qemu-system-nowhere.*doctor"), open(os.devnull, "wb") as null:
        start_bound(["qemu-system-nowhere"], null)


def killed_run(base: Path, process: ProcessId | None, cut: str = "") -> Path:
    """What a controller killed with -9 leaves."""
    run = base / "20261121T120000Z-qemu-b"
    run.mkdir(parents=True)
    events = EventLog(run / "events.jsonl")
    events.state("loaded", "load", 30, 1.0, "the inmate")
    events.close()
    with (run / "events.jsonl").open("a") as file:
        file.write(cut)
    dead = ProcessId(2**22 + 1, 1, "no boot")
    scratch = base / "elsewhere"
    scratch.mkdir()
    (run / RUNNING).write_text(Holdings(dead, [process] if process else [], str(scratch), "qemu").to_json())
    return run


def test_what_a_killed_controller_left_is_ended_and_only_that(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "60"], start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        process = ProcessId.of(left.pid)
        run = killed_run(tmp_path, process, cut='{"t": 1, "eve')
        found = leftovers.clean(tmp_path)
        assert left.wait(5) == -signal.SIGKILL and other.poll() is None
        assert len(found) == 1 and "ended without a verdict, last in state 'loaded'" in found[0]
        assert not (run / RUNNING).exists() and (run / UNFINISHED).exists()
        assert (tmp_path / "elsewhere").exists(), "only scratch directories of ours may be removed"
        verdict = read_events(run / "events.jsonl").verdict()
        assert verdict.outcome is Outcome.INFRASTRUCTURE_ERROR and "loaded" in verdict.reason
        assert leftovers.clean(tmp_path) == []
    finally:
        other.kill()
        other.wait()


def test_a_verdict_that_was_given_stays_and_halves_of_files_go(tmp_path: Path) -> None:
    given = json.dumps({"t": 2, "event": "verdict", "verdict": "pass", "exit_code": 0, "reason": "measured"}) + "\n"
    run = killed_run(tmp_path, None, cut=given)
    (run / ".report.html.x1y2").write_text("half")
    (run / ".mine").write_text("no file of a run's")
    (found,) = leftovers.clean(tmp_path)
    assert "ended after its verdict (pass), before all its files were there" in found
    assert read_events(run / "events.jsonl").verdict().outcome is Outcome.PASS
    assert [path.name for path in run.glob(".*")] == [".mine"]


def test_a_process_that_got_an_old_number_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        process = ProcessId.of(other.pid)
        assert process is not None
        killed_run(tmp_path, ProcessId(process.pid, process.start - 1, process.boot))
        leftovers.clean(tmp_path)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_what_was_killed_before_it_was_a_run_is_removed(tmp_path: Path) -> None:
    own = ProcessId.of(os.getpid())
    assert own is not None
    for start, name in ((own.start, "being-made"), (own.start - 1, "dead"), (own.start - 1, "dead-and-marked")):
        (tmp_path / f"{NAMELESS}{own.pid}-{start}-{name}").mkdir()
    (tmp_path / f"{NAMELESS}{own.pid}-{own.start - 1}-dead-and-marked" / RUNNING).write_text("{}")
    (tmp_path / f"{NAMELESS}of somebody else").mkdir()
    assert leftovers.clean(tmp_path) == []
    kept = {path.name.removeprefix(NAMELESS) for path in tmp_path.iterdir()}
    assert kept == {f"{own.pid}-{own.start}-being-made", "of somebody else"}


def test_a_run_that_was_killed_before_its_first_event_has_a_verdict_too(tmp_path: Path) -> None:
    run = killed_run(tmp_path, None)
    (run / "events.jsonl").unlink()
    assert len(leftovers.clean(tmp_path)) == 1
    assert read_events(run / "events.jsonl").verdict().exit_code == 4


def test_runs_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    runs = [RunDirectory("qemu", "b", NOON, tmp_path) for _ in range(3)]
    assert len({run.path for run in runs}) == 3 and all((run.path / RUNNING).exists() for run in runs)
    assert not list(tmp_path.glob(f"{NAMELESS}*"))
    for run in runs:
        assert run.scratch.stat().st_mode & 0o777 == 0o700
        run.finish()


def test_a_run_that_lasts_is_left_alone(tmp_path: Path) -> None:
    run = RunDirectory("qemu", "b", NOON, tmp_path)
    assert leftovers.clean(tmp_path) == [] and (run.path / RUNNING).exists()
    run.finish()


def test_runs_are_found_by_path_by_name_and_as_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_RUNS", str(tmp_path))
    with pytest.raises(WrongUse, match="no run in"):
        find_run("last")
    for name in ("20260101T000000Z-qemu-a", "20260102T000000Z-qemu-a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").write_text("")
    assert find_run("last").name == "20260102T000000Z-qemu-a"
    assert find_run("20260101T000000Z-qemu-a") == tmp_path / "20260101T000000Z-qemu-a"
    with pytest.raises(WrongUse, match="no events.jsonl"):
        find_run(str(tmp_path))
    with pytest.raises(WrongUse, match="no run directory 'nowhere'"):
        find_run("nowhere")


def test_events_are_on_disk_as_they_happen(tmp_path: Path) -> None:
    events = EventLog(tmp_path / "events.jsonl")
    seen: list[dict[str, object]] = []
    events.observe(seen.append)
    events.step("loaded", "load", 0.25, "failed", "why")
    events.verdict(Verdict.of(Outcome.FAIL, "two\nlines \x1b[31m"))
    lines = [json.loads(line) for line in events.path.read_text().splitlines()]
    assert lines == seen and lines[1]["reason"] == "two lines [31m" and lines[1]["exit_code"] == 1
    assert [event.kind for event in read_events(events.path).events] == ["step", "verdict"]

# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a run and the verdict that it must get; afterwards no process of the run is left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from conftest import REPOSITORY, Command
from verdict_checks import check_run

from hil import leftovers
from hil.event_schema import problems
from hil.process import ProcessId
from hil.events import StatisticsEvent, VerdictEvent
from hil.run_log import read_events
from hil.run_directory import RUNNING, UNFINISHED, Holdings
from hil.verdict import Outcome

BROKEN = Outcome.INFRASTRUCTURE_ERROR
MANIFEST = "manifest.json"
RUN = ("run", "--target", "qemu", "ivshmem-latency", "--warmup", "20", "--json-events")
SHORT = (*RUN, "--count", "200")
LONG = (*RUN, "--count", "1000000")


def verdict_of(run: Path) -> VerdictEvent:
    return read_events(run / "events.jsonl").verdict()


def holdings(run: Path) -> Holdings:
    return Holdings.from_json((run / RUNNING).read_text())


def gone(process: ProcessId, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while process.alive() and time.monotonic() < end:
        time.sleep(0.02)
    return not process.alive()


class Started:
    """A run under way, followed by its JSON events up to a state."""

    def __init__(self, hil: Command, *words: str, **environment: str) -> None:
        self._hil = hil
        self.process = hil.start(*words, **environment)

    def wait_for(self, test: Callable[[dict[str, object]], bool]) -> Path:
        """Reads events until one passes the test; the run directory."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            assert not problems(event), problems(event)
            if test(event):
                return self._hil.only_run()
        assert self.process.stderr is not None
        pytest.fail(f"the run ended before it got there: {self.process.stderr.read()}")

    def wait_for_state(self, state: str, waiting_for: str = "") -> Path:
        return self.wait_for(
            lambda event: event["event"] == "state" and event["state"] == state and waiting_for in str(event)
        )

    def wait_for_note(self, words: str) -> None:
        """Of one that has no run directory yet: its first event."""
        assert self.process.stdout is not None
        event = json.loads(self.process.stdout.readline())
        assert event["event"] == "note" and words in event["text"], event

    def end(self, seconds: float = 120) -> int:
        self.process.communicate(timeout=seconds)
        return self.process.returncode


def tools(directory: Path, *names: str) -> str:
    """A PATH with these programs alone."""
    directory.mkdir(exist_ok=True)
    for name in names:
        found = shutil.which(name)
        assert found, f"{name} is not installed"
        (directory / name).symlink_to(found)
    return str(directory)


def test_qemu_missing(hil: Command, tmp_path: Path) -> None:
    done = hil.run(*SHORT, PATH=tools(tmp_path / "bin", "sh", "setpriv"))
    said = ("to 'boot' (wait 'boot'", "cannot start qemu-system-aarch64", "hil doctor")
    check_run(hil.only_run(), done.returncode, BROKEN, *said)


def test_qemu_missing_for_somebody_at_the_console(hil: Command, tmp_path: Path) -> None:
    done = hil.run("console", "--target", "qemu", PATH=tools(tmp_path / "bin", "sh", "setpriv"))
    assert done.returncode == 4 and "infrastructure-error: on the way from 'off' to 'boot'" in done.stderr
    assert "cannot start qemu-system-aarch64" in done.stderr and "console.raw" in done.stdout


def test_qemu_refuses_to_start(hil: Command, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "sh", "setpriv")
    fake = tmp_path / "bin/qemu-system-aarch64"
    fake.write_text("#!/bin/sh\necho 'qemu-system-aarch64: no such machine'\nexit 1\n")
    fake.chmod(0o755)
    done = hil.run(*SHORT, PATH=path)
    own = "QEMU ended by itself with code 1: qemu-system-aarch64: no such machine"
    check_run(hil.only_run(), done.returncode, BROKEN, "to 'boot' (wait 'boot'", own)


def test_qemu_starts_and_does_nothing(hil: Command, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "sh", "setpriv", "sleep")
    fake = tmp_path / "bin/qemu-system-aarch64"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] || exec sleep 60\n')
    fake.chmod(0o755)
    done = hil.run(*SHORT, PATH=path, HIL_TIMEOUT_SCALE="0.1")
    stretched = "(20 s on an idle host, times 0.1 by HIL_TIMEOUT_SCALE)"
    check_run(hil.only_run(), done.returncode, BROKEN, "to 'boot'", "'power' passed its limit of 2 s", stretched)
    assert not processes_of(hil.runs)


@pytest.mark.parametrize(
    ("state", "step", "words"),
    [
        ("boot", "first console", LONG),
        ("shell", "", LONG),
        ("agent", "", LONG),
        ("enabled", "jailhouse enable", LONG),
        ("created", "", LONG),
        ("loaded", "", LONG),
        ("running", "records", LONG),
        ("destroyed", "", SHORT),
        ("disabled", "", SHORT),
    ],
)
def test_qemu_dies(hil: Command, state: str, step: str, words: tuple[str, ...]) -> None:
    """There is nothing to wait for in `login` on this target, and nothing of the machine in `collected`."""
    started = Started(hil, *words)
    run = started.wait_for_state(state, step)
    (qemu,) = holdings(run).processes
    os.kill(qemu.pid, signal.SIGKILL)
    code = started.end(30)
    check_run(run, code, BROKEN, f"to '{state}' (wait '", "QEMU was ended by SIGKILL", "; the console")
    assert not (run / RUNNING).exists() and (run / "report.html").exists()


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("boot", "first console"),
        ("shell", ""),
        ("enabled", "jailhouse enable"),
        ("created", ""),
        ("running", "records"),
    ],
)
def test_qemu_hangs(hil: Command, state: str, step: str) -> None:
    started = Started(hil, *LONG, HIL_TIMEOUT_SCALE="0.2")
    run = started.wait_for_state(state, step)
    held = holdings(run)
    os.kill(held.processes[0].pid, signal.SIGSTOP)
    code = started.end(90)
    check_run(run, code, BROKEN, f"to '{state}' (wait '", "hangs or is stopped", "has been silent for", "; the console")
    assert gone(held.processes[0]) and not Path(held.scratch).exists()


@pytest.mark.parametrize(("state", "step"), [("boot", "first console"), ("running", "records")])
def test_ctrl_c_stops_orderly(hil: Command, state: str, step: str) -> None:
    started = Started(hil, *LONG)
    run = started.wait_for_state(state, step)
    held = holdings(run)
    started.process.send_signal(signal.SIGINT)
    code = started.end(30)
    check_run(run, code, BROKEN, f"to '{state}' (wait '", "stopped by Ctrl-C", "; the console", interrupted=True)
    assert gone(held.processes[0]) and not (run / RUNNING).exists() and (run / "report.html").exists()


def test_ctrl_c_twice_stops_at_once(hil: Command) -> None:
    started = Started(hil, *LONG)
    run = started.wait_for_state("running", "records")
    held = holdings(run)
    begun = time.monotonic()
    while started.process.poll() is None and time.monotonic() - begun < 10:
        started.process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    assert started.end(5) == 130 and gone(held.processes[0])
    leftovers.clean(hil.runs)
    assert verdict_of(run).exit_code in (4, 130) and not (run / RUNNING).exists()
    check_run(
        run, verdict_of(run).exit_code, BROKEN, "'running' (wait 'run'", interrupted=verdict_of(run).exit_code == 130
    )


@pytest.mark.parametrize(
    ("words", "state", "step"),
    [
        (LONG, "boot", "first console"),
        (LONG, "enabled", "jailhouse enable"),
        (LONG, "running", "records"),
        (("reproduce", "pair-write", "--json-events"), "enabled", "jailhouse enable"),
    ],
    ids=["boot", "enabled", "running", "reproduce"],
)
def test_controller_killed(hil: Command, words: tuple[str, ...], state: str, step: str) -> None:
    bystander = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    try:
        started = Started(hil, *words)
        run = started.wait_for_state(state, step)
        held = holdings(run)
        started.process.kill()
        started.process.communicate()
        assert gone(held.processes[0]), "QEMU outlived its controller"
        assert (run / RUNNING).exists() and verdict_of(run).reason.startswith("the run was cut off")

        done = hil.run(*SHORT)
        assert done.returncode == 0, done.stderr
        assert "an earlier run was killed" in done.stdout and bystander.poll() is None
        assert (run / UNFINISHED).exists() and not Path(held.scratch).exists()
        said = (f"last in state '{state}' (wait '", f"pid {held.controller.pid}", "; the console")
        check_run(run, 4, BROKEN, *said)
    finally:
        bystander.kill()
        bystander.wait()


def environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""  # it is gone, or another user's


def processes_of(runs: Path) -> list[str]:
    """Every process that was started with this directory for its runs, the controller's children too."""
    mine = f"HIL_RUNS={runs}".encode()
    return [path.name for path in Path("/proc").glob("[0-9]*") if mine in environment_of(path).split(b"\0")]


MOMENTS = 12 if os.environ.get("HIL_NIGHTLY") else 3


def test_controller_killed_at_any_moment(hil: Command) -> None:
    """Each run is the next one of the run that was killed before it; moments from its first instruction to its end."""
    random = Random(20260301)
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    killed: list[tuple[Path, Holdings]] = []
    try:
        for number in range(MOMENTS):
            moment = (number + random.random()) * 6 / MOMENTS
            process = hil.start(*SHORT)
            time.sleep(moment)
            process.kill()
            process.communicate()
            end = time.monotonic() + 5
            while (left := processes_of(hil.runs)) and time.monotonic() < end:
                time.sleep(0.02)
            assert not left, f"after {moment:.2f} s: processes {left} outlived their controller"
            killed += [(mark.parent, holdings(mark.parent)) for mark in hil.runs.glob(f"[!.]*/{RUNNING}")]
        done = hil.run(*SHORT)
        assert done.returncode == 0, done.stderr
        assert bystander.poll() is None and not list(hil.runs.glob(f"*/{RUNNING}")) and not list(hil.runs.glob(".*"))
        for run, held in killed:
            assert (run / UNFINISHED).exists() and not Path(held.scratch).exists()
            verdict = verdict_of(run)
            assert verdict.exit_code == 4 and f"pid {held.controller.pid}" in verdict.reason, verdict.reason
        assert killed, "a moment after the start of a run was among them"
    finally:
        bystander.kill()
        bystander.wait()


def test_the_wall_clock_jumps(hil: Command, tmp_path: Path) -> None:
    """Six hours back and forth at every look, for controller and QEMU alike."""
    shim = tmp_path / "jumping_clock.so"
    source = REPOSITORY / "tests/system/jumping_clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", shim, source], check=True)
    looks = [sys.executable, "-c", "import time; print(*(time.time() for _ in range(4)))"]
    said = subprocess.run(looks, env={**os.environ, "LD_PRELOAD": str(shim)}, capture_output=True, check=True).stdout
    first, second = (float(word) for word in said.split()[:2])
    assert abs(first - second) > 40_000, "the clock does jump"
    done = hil.run(*SHORT, LD_PRELOAD=str(shim))
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["event"] for event in events} == {"state", "step", "note", "record", "statistics", "verdict"}
    assert not [problem for event in events for problem in problems(event)], "as the schema says"
    assert events == [json.loads(line) for line in (hil.only_run() / "events.jsonl").read_text().splitlines()]
    times = [event["t"] for event in events]
    assert times == sorted(times) and 0 <= times[0] and times[-1] < 300


def test_two_runs_on_one_target(hil: Command) -> None:
    first = Started(hil, *LONG)
    first.wait_for_state("boot", "first console")
    refused = hil.run(*SHORT)
    assert refused.returncode == 4
    assert "in use by" in refused.stderr and f"pid {first.process.pid}: hil run ivshmem-latency" in refused.stderr
    waiting = Started(hil, *SHORT, "--wait", "60")
    waiting.wait_for_note("waiting for the target: it is in use by")
    first.process.send_signal(signal.SIGINT)
    first.end()
    assert waiting.end() == 0


def test_a_run_that_waits_comes_after_the_other_and_one_that_is_interrupted_leaves_nothing(hil: Command) -> None:
    first = Started(hil, *SHORT)
    run = first.wait_for_state("boot", "first console")
    waiting, impatient = (Started(hil, *SHORT, "--wait", "120") for _ in range(2))
    for one in (waiting, impatient):
        one.wait_for_note(f"pid {first.process.pid}: hil run ivshmem-latency")
    impatient.process.send_signal(signal.SIGINT)
    said, complaint = impatient.process.communicate(timeout=20)
    assert impatient.process.returncode == 130 and "Traceback" not in complaint
    assert "stopped by Ctrl-C while it waited for the target" in said
    assert hil.only_run() == run, "who only waited has no run directory"
    assert first.end() == 0
    ended = time.time()
    assert waiting.end() == 0
    (other,) = [path for path in hil.runs.glob(f"[!.]*/{MANIFEST}") if path.parent != run]
    started = datetime.fromisoformat(json.loads(other.read_text())["started"]).timestamp()
    assert started >= ended - 1, "they did not share the machine"
    for one in (run, other.parent):
        check_run(one, 0, Outcome.PASS, "4 series measured")


EVERY_STATE = "boot shell agent enabled created loaded running collected destroyed disabled".split()
"""But `login`, for which nothing is done on this target."""


def shown(hil: Command, run: Path) -> str:
    """What `hil report` and `hil replay` say of a run; both have to work."""
    report, replay = hil.run("report", str(run)), hil.run("replay", str(run))
    assert report.returncode == 0 and replay.returncode == 0, report.stderr + replay.stderr
    assert "Traceback" not in report.stderr + replay.stderr
    return report.stdout + replay.stdout


def test_controller_killed_in_each_state(hil: Command) -> None:
    """Each run finds what the one before left; what is shown of it is true before that and after."""
    before: tuple[Path, str, int] | None = None
    for state in (*EVERY_STATE, ""):
        started = Started(hil, *SHORT)
        assert started.process.stdout is not None
        earlier = set(hil.runs.glob("[!.]*"))
        for line in started.process.stdout:
            event = json.loads(line)
            if event["event"] == "state" and event["state"] == state:
                started.process.kill()
                break
        code = started.end()
        (run,) = set(hil.runs.glob("[!.]*")) - earlier - {hil.runs / "locks"}
        assert code == (-signal.SIGKILL if state else 0), f"{state}: {code}"
        end = time.monotonic() + 5
        while (left := processes_of(hil.runs)) and time.monotonic() < end:
            time.sleep(0.02)
        assert not left, f"{state}: processes {left} outlived their controller"
        if before is not None:
            path, was, pid = before
            assert (path / UNFINISHED).exists() and not (path / RUNNING).exists(), was
            check_run(path, 4, BROKEN, f"last in state '{was}' (wait '", f"pid {pid}")
            assert f"last in state '{was}'" in " ".join(shown(hil, path).split()), was
        if state:
            said = " ".join(shown(hil, run).split())
            assert "infrastructure-error" in said and f'cut off in state "{state}"' in said, said
            before = (run, state, started.process.pid)


STAGES = ("result.json", "junit.xml", "report.html", RUNNING)

# As hil, but killed where the file of this name would be put in its place, or taken away.
KILLED_AT = """
import os, signal, sys
from pathlib import Path
name, last = sys.argv[1], [0]
def deadly(real):
    def call(*paths, **more):
        if verdict() and os.path.basename(str(paths[-1])) == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*paths, **more)
    return call
def verdict():
    marks = Path(os.environ["HIL_RUNS"]).glob("[!.]*/running")
    me = f'"pid": {os.getpid()},'
    mine = [mark.with_name("events.jsonl") for mark in marks if me in mark.read_text()]
    return any(log.exists() and '"verdict"' in log.read_text() for log in mine)
os.replace, os.unlink = deadly(os.replace), deadly(os.unlink)
sys.argv = ["hil", *sys.argv[2:]]
from hil.cli import main
main()
"""


def test_controller_killed_while_the_reports_are_written(hil: Command) -> None:
    """The verdict that it had given stays; the next run makes the reports."""
    killed: list[Path] = []
    for stage in STAGES:
        earlier = set(hil.runs.glob("[!.]*"))
        words = [sys.executable, "-c", KILLED_AT, stage, *SHORT]
        done = subprocess.run(words, env=hil.environment(), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, (stage, done.stderr)
        (run,) = set(hil.runs.glob("[!.]*")) - earlier - {hil.runs / "locks"}
        assert (run / RUNNING).exists() and verdict_of(run).outcome is Outcome.PASS
        assert not (run / stage).exists() or stage == RUNNING
        killed.append(run)
        note = [json.loads(line) for line in done.stdout.splitlines()][0]
        if len(killed) > 1:
            after = "ended after its verdict (pass), before all its files were there"
            assert note["text"].startswith("an earlier run was killed") and after in note["text"], note
    assert hil.run(*SHORT).returncode == 0
    for run in killed:
        check_run(run, 0, Outcome.PASS, "4 series measured")
        assert (run / UNFINISHED).exists() and not (run / RUNNING).exists() and not list(run.glob(".*"))
        said = shown(hil, run)
        assert "4 series measured" in said and "Started cell" in said


def test_a_run_directory_that_cannot_be_written(hil: Command) -> None:
    done = hil.run(*SHORT, HIL_RUNS="/proc/hil-runs")
    assert done.returncode == 4
    assert "cannot write /proc/hil-runs" in done.stderr and "HIL_RUNS" in done.stderr


def without_space(directory: Path, kilobytes: int) -> list[str]:
    """Words before a command that give it a full disk at `directory`: a small file system, or a limit of a file's size
    where this user may not mount one."""
    directory.mkdir()
    mount = f'mount -t tmpfs -o size={kilobytes}k tmpfs {directory} && exec "$@"'
    small = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*small, "true"], capture_output=True, check=False).returncode == 0:
        return small
    return ["prlimit", f"--fsize={kilobytes * 250}", "--"]


@pytest.mark.parametrize("kilobytes", [48, 300])  # full while the run lasts; full when its page is written
def test_a_full_disk(hil: Command, tmp_path: Path, kilobytes: int) -> None:
    full = without_space(tmp_path / "full", kilobytes)
    words = [*full, *hil.words(*SHORT)]
    environment = hil.environment(HIL_RUNS=str(tmp_path / "full"), HIL_LOCKS=str(tmp_path / "locks"))
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 4, done.stderr[-500:]
    assert "disk is full" in done.stderr or "File too large" in done.stderr, done.stderr[-500:]
    assert "HIL_RUNS" in done.stderr


def test_a_file_system_that_is_read_only(hil: Command, tmp_path: Path) -> None:
    """By mount where this user may, else by the directory's mode."""
    runs = tmp_path / "read-only"
    runs.mkdir(mode=0o555)
    mount = f'mount -t tmpfs -o ro tmpfs {runs} && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    mounted = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    assert mounted or os.geteuid() != 0, "root ignores modes"
    environment = hil.environment(HIL_RUNS=str(runs))
    whole = [*(words if mounted else []), *hil.words(*SHORT)]
    done = subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4 and f"cannot write {runs}" in done.stderr and "HIL_RUNS" in done.stderr
    assert "read-only" in done.stderr if mounted else "permission denied" in done.stderr


def test_whoever_watched_has_gone(hil: Command) -> None:
    """Neither a reader that is killed nor a pipe that is closed changes what a run finds."""
    started = Started(hil, *SHORT, "-v")
    run = started.wait_for_state("boot", "first console")
    assert started.process.stdout is not None and started.process.stderr is not None
    started.process.stdout.close()
    started.process.stderr.close()
    check_run(run, started.process.wait(120), Outcome.PASS, "4 series measured")
    assert (run / "report.html").exists() and not (run / RUNNING).exists()


def test_a_console_that_is_lost_and_back_in_the_middle_of_a_run(hil: Command) -> None:
    words = [word for word in SHORT if word != "--json-events"]
    done = hil.run(*words, "--chaos", "seed=5,disconnect=0.00005")
    run = hil.only_run()
    check_run(run, done.returncode, Outcome.PASS, "4 series measured")
    notes = (run / "events.jsonl").read_text()
    assert "the console's line was lost: chaos: disconnected" in notes and "is open again" in notes


def test_two_runs_on_two_targets(hil: Command, tmp_path: Path) -> None:
    """They do not wait for each other. The second target is a copy of the first under another name."""
    for name in ("hil", "reports", "scenarios", "abi"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "build/cells").mkdir(parents=True)
    for name in ("arm64", "host"):
        (tmp_path / "build" / name).symlink_to(REPOSITORY / "build" / name)
    (tmp_path / "targets").mkdir()
    for name in ("qemu", "twin"):
        (tmp_path / "targets" / name).symlink_to(REPOSITORY / "targets/qemu")
        (tmp_path / "build/cells" / name).symlink_to(REPOSITORY / "build/cells/qemu")
    both = [
        hil.start(*[name if word == "qemu" else word for word in SHORT], HIL_ROOT=str(tmp_path))
        for name in ("qemu", "twin")
    ]
    told = [run.communicate(timeout=200) for run in both]
    assert [run.returncode for run in both] == [0, 0], told
    assert all("waiting for the target" not in out + err for out, err in told)


# Root without any of root's powers, which is any user with files of their own; somebody else has none to begin with.
NO_POWERS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--") if os.geteuid() == 0 else ()


def test_a_whole_run_passes_without_root_and_leaves_everything(hil: Command) -> None:
    status = subprocess.run([*NO_POWERS, "cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"CapEff:\s+0+$", status, re.MULTILINE), status
    words = [word for word in SHORT if word != "--json-events"]
    done = hil.run(*words, "-v", "--statistics", "0.05", before=NO_POWERS)
    assert done.returncode == 0, done.stderr
    run = hil.only_run()
    readings = [event for event in read_events(run / "events.jsonl").events if isinstance(event, StatisticsEvent)]
    assert [reading.when for reading in readings if reading.when != "during"] == ["before", "after"]
    uptimes = [reading.reading.uptime for reading in readings]
    assert len(uptimes) > 2 and uptimes == sorted(uptimes), "some of them beside the probe"
    names = {path.name for path in run.iterdir()}
    wanted = "manifest.json console.raw console.times events.jsonl result.json junit.xml report.html qemu.log"
    assert set(wanted.split()) <= names and RUNNING not in names
    for word in (
        "round-trip",
        "p99.9",
        "stddev",
        "no hardware latencies",
        "contention: alone",
        str(run / "report.html"),
    ):
        assert word in done.stdout
    assert "Linux version" in done.stderr and "\x1b" not in done.stderr
    check_run(run, done.returncode, Outcome.PASS, "4 series measured")
    again = hil.run("report", run.name)
    assert again.returncode == 0 and "round-trip" in again.stdout
    replayed = hil.run("replay", "last")
    assert "Started cell" in replayed.stdout and "\x1b" not in replayed.stdout

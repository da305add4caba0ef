# SPDX-License-Identifier: Apache-2.0
"""The command line: what is typed wrongly is told by name, with exit code 2."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from report_data import write_run

from hil import cli, hypervisor, target
from hil.cli import COMMANDS, root
from hil.commands import run
from hil.console_times import console_times
from hil.errors import WrongUse
from hil.limits import USUAL_LIMITS, WAITS
from hil.names import choose, harmless
from hil.options import RunOptions
from hil.prepare import patience, prepare
from hil.progress import PlainProgress, sentence, waiting
from hil.replay import merged, replay

REPOSITORY = Path(__file__).resolve().parents[2]


def hil(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the real command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hil", *words],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "HIL_ROOT": str(REPOSITORY), **environment},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--target", "qemo", "ivshmem-latency"], "no target is called 'qemo'; did you mean 'qemu'?"),
        (["run", "--target", "qemu", "ivshmem-latensy"], "did you mean 'ivshmem-latency'?"),
        (["run", "--target", "qemu", "zzz"], "no probe is called 'zzz'; there are: "),
        (["run", "--target", "qemu", "--count", "0", "ivshmem-latency"], "'0' is no whole number from 1 to 1000000"),
        (["run", "--target", "qemu", "--count", "many", "ivshmem-latency"], "'many' is no whole number"),
        (["run", "--target", "qemu", "--root", "guess", "ivshmem-latency"], "'guess' is not one of"),
        (["run", "ivshmem-latency"], "Missing option '--target'"),
        (["run", "ivshmem-latency"], "targets: qemu"),
        (["run", "--target", "qemu"], "probes: ivshmem-latency, timer-jitter"),
        (["list"], "targets, probes, scenarios and limits"),
        (["run", "--target", "qemu", "--hypervisor", "gool", "ivshmem-latency"], "not 'gaol', the bundled one"),
        (["list", "target"], "did you mean 'targets'?"),
        (["test", "blck"], "no stage is called 'blck'; did you mean 'black'?"),
        (["report", "nowhere"], "no run directory 'nowhere'"),
        (["replay", "nowhere"], "no run directory 'nowhere'"),
        (["reprot"], "no command is called 'reprot'; did you mean 'report'?"),
    ],
)
def test_wrong_use_is_told_and_exits_2(words: list[str], said: str) -> None:
    done = hil(*words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_bad_timeout_scale_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    from hil.limits import forced_scale

    monkeypatch.setenv("HIL_TIMEOUT_SCALE", "fast")
    with pytest.raises(WrongUse, match="HIL_TIMEOUT_SCALE is 'fast'"):
        forced_scale()


def test_help_names_every_command() -> None:
    said = hil("--help").stdout
    for name in ("run", "list", "doctor", "report", "replay", "console", "test"):
        assert name in COMMANDS and f"  {name}" in said


def test_help_has_a_whole_line_for_each_command_in_80_columns() -> None:
    said = hil("--help", COLUMNS="80").stdout
    assert max(map(len, said.splitlines())) <= 80
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in said and line in said


def test_lists() -> None:
    runner = CliRunner()
    assert "QEMU virt" in runner.invoke(root, ["list", "targets"]).output
    assert "ivshmem-latency" in runner.invoke(root, ["list", "probes"]).output
    limits = [line.split() for line in runner.invoke(root, ["list", "limits"]).output.splitlines()[1:]]
    assert [words[0] for words in limits] == list(WAITS) and all(float(words[1]) > 0 for words in limits)


def test_every_wait_is_in_the_documents() -> None:
    document = (REPOSITORY / "docs/targets.md").read_text()
    for wait, what in WAITS.items():
        usual = f"{USUAL_LIMITS[wait]:g}" if wait in USUAL_LIMITS else "–"
        assert f"| {wait} | {usual} | {what} |" in document


def test_every_wait_is_used_and_no_time_of_a_session_is_nameless() -> None:
    """A limit that is written into the source can be neither configured nor stretched. Left out is what is no
    session's: doctor, measuring tools, the tests' own stages, a cache's age; and how long a flood is gauged."""
    source = {path.name: path.read_text() for path in (REPOSITORY / "hil").rglob("*.py")}
    used = "".join(text for name, text in source.items() if name != "limits.py")
    used += (REPOSITORY / "targets/qemu/target.yaml").read_text()
    assert not [wait for wait in WAITS if not re.search(rf"[\"{{']{wait}[\"}}']", used)]
    constant = r"^[A-Z_]*(?:SECONDS|PATIENCE|TIMEOUT|LIMIT|QUIET|SETTLE|AGAIN|AFTER|SILENT|TALKS)[A-Z_]* = [\d.]+"
    argument = r"^.*\b(?:timeout|patience|seconds|limit)\w*(?:: float)? ?= ?[\d.]*[1-9]"
    call = r"^.*\.(?:settimeout|join|wait)\([\d.]+\)"
    nameless = re.compile(f"{constant}|{argument}|{call}", re.MULTILINE)
    assert nameless.search("SECONDS = 5") and nameless.search("    run(x, timeout=10, y=1)")
    found = {name for name, text in source.items() if nameless.search(text)}
    assert found <= {"doctor.py", "kvm.py", "run_time.py", "testing.py", "root_image.py", "flood.py"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"limits": {"silense": 3}}, "did you mean 'silence'"),
        ({"limits": {"boot": 0}}, "'boot' is 0; it must be a number of seconds above 0"),
        ({"limits": {"boot": -1}}, "'boot' is -1"),
        ({"limits": {"run": float("nan")}}, "'run' is nan"),
        ({"limits": {"run": 1e300}}, r"'run' is 1e\+300; .* at most 1,000,000"),
        ({"limits": {"run": "ten"}}, "'run' is 'ten'"),
        ({"limits": {"run": True}}, "'run' is True"),
        ({"limits": {"run": None}}, "'run' is None"),
        ({"limits": [1, 2]}, r"limits holds \[1, 2\]; it must hold names"),
        ({"limits": None}, "limits holds None"),
        ({"limits": {}}, "none for power, connect, boot"),
        ({"console": {"baud": -1}}, "'baud' is -1"),
        ({"console": {"boud": 9600}}, "did you mean 'baud'"),
        ({"console": {"baud": "fast"}}, "'baud' is 'fast'"),
    ],
)
def test_a_target_s_wrong_limit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], found: str
) -> None:
    source = REPOSITORY / "targets/qemu/target.yaml"
    data = yaml.safe_load(source.read_text())
    for part, values in change.items():
        added = isinstance(values, dict) and values and part in data
        data[part] = data[part] | values if added else values
    (tmp_path / "targets/mine").mkdir(parents=True)
    (tmp_path / "targets/mine/target.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setenv("HIL_ROOT", str(tmp_path))
    with pytest.raises(WrongUse, match=found):
        target.load("mine")


def test_the_qemu_target_names_every_limit_and_probe() -> None:
    machine = target.load("qemu")
    assert set(WAITS) == set(machine.limits) and machine.emulated
    probe = machine.probe("ivshmem-latency")
    values = {"root": "poll", "inmate": "interrupt", "warmup": 5, "count": 6, **patience(machine)}
    assert "6" in probe.program.format(**values) and probe.cells[0].command_line.format(**values)


def test_a_broken_target_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets/bad").mkdir(parents=True)
    file = tmp_path / "targets/bad/target.yaml"
    monkeypatch.setenv("HIL_ROOT", str(tmp_path))
    for text in ("title: [", "title: x", "just words", "{title: x, emulated: true, limits: {boot: soon}}"):
        file.write_text(text)
        with pytest.raises(WrongUse, match="target.yaml"):
            target.load("bad")


def test_a_hypervisor_directory_that_lacks_something_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="is no directory and not 'gaol'"):
        hypervisor.find(str(tmp_path / "nowhere"))
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver/jailhouse.ko").write_bytes(b"")
    with pytest.raises(WrongUse, match="holds no jailhouse\\*.bin, no jailhouse \\(the tool\\)"):
        hypervisor.find(str(tmp_path))
    (tmp_path / "jailhouse.bin").write_bytes(b"image")
    (tmp_path / "jailhouse").write_bytes(b"#!/bin/sh")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/jailhouse").write_bytes(b"\x7fELF")
    found = hypervisor.find(str(tmp_path))
    assert found.tool.parent.name == "tools" and found.module.name == "jailhouse.ko"


def test_names_become_harmless_file_names() -> None:
    assert harmless("../../etc/passwd") == "_.._etc_passwd"
    assert harmless("") == "_" and harmless("a b\x1b[31m") == "a_b_31m"
    assert choose("x", "b", ["a", "b"]) == "b"


def test_the_run_command_has_the_documented_options() -> None:
    options = {option for parameter in run.command.params for option in parameter.opts}
    wanted = "--target --hypervisor --root --inmate --warmup --count --contention -v --json-events --keep"
    assert set(wanted.split()) <= options


def test_replay_merges_console_and_events_by_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "console.raw").write_bytes(b"first line\r\nsecond \x1b]0;evil\x07line\r\n")
    (tmp_path / "console.times").write_text("0 1000000000\n12 3000000000\n")
    (tmp_path / "events.jsonl").write_text('{"t": 2.0, "event": "note", "text": "between"}\n{"t": 2.5, "ev')
    assert [t for t, _ in merged(tmp_path)] == [1.0, 2.0, 3.0]
    waits: list[float] = []
    import sys as system

    replay(tmp_path, PlainProgress(system.stdout), 2.0, waits.append)
    said = capsys.readouterr().out
    assert said.index("first line") < said.index("between") < said.index("second ^[]0;evil^Gline")
    assert waits == [0.5, 0.5, 0.5]


def test_a_replay_of_a_damaged_run_shows_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        '{"event": "step"}',
        '{"t": "x", "event": "note", "text": "a"}',
        "[1]",
        '{"event": []}',
        '{"t": 1, "event": "trap", "trap": 7}',
    ]
    lines += [
        '{"t": 1e400, "event": "note", "text": "never"}',
        '{"t": 1e300, "event": "note", "text": "late"}',
        '{"cut',
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    waits: list[float] = []
    replay(tmp_path, PlainProgress(sys.stdout), 1e-9, waits.append)
    said = capsys.readouterr().out
    assert "late" in said and "never" not in said and waits == [1e6]
    assert "6 events of events.jsonl are not shown, the first for this: step: no 't'" in said
    assert "there is no console.raw" in said


@pytest.mark.parametrize(
    "words",
    [["replay", "--speed", "nan"], ["run", "--target", "qemu", "ivshmem-latency", "--wait", "nan"]],
)
def test_no_number_is_no_number(words: list[str]) -> None:
    """A wait that ends at `nan` never ends."""
    result = hil(*words)
    assert result.returncode == 2 and "'nan' is no number from 0 to" in result.stderr


def test_a_thread_in_the_library_does_not_change_the_exit_code() -> None:
    """Python ends such a thread by unwinding it, which the C++ in between answers with an abort."""
    code = """if True:
        import os, pty, threading, time
        import _hil
        from hil import cli
        def command(**ignored):
            console = _hil.Console(f"fd:{pty.openpty()[0]}", "", "", start=time.monotonic())
            def broken_off():
                while True:
                    console.read(0.001)
            threading.Thread(target=broken_off, daemon=True).start()
            time.sleep(0.2)
            print("told")
            return 7
        cli.root.main = command
        cli.main()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "told\n", "")


@pytest.mark.parametrize(
    ("before", "sent", "code"),
    [("DFL", "SIGHUP, SIGHUP", 130), ("DFL", "SIGINT, SIGTERM", 130), ("IGN", "SIGHUP, SIGHUP", 0)],
)
def test_a_second_signal_after_the_run_has_its_verdict(before: str, sent: str, code: int) -> None:
    """It may come while the summary is shown. Under nohup(1) the terminal's end is no signal at all."""
    source = f"""if True:
        import os, signal
        from signal import SIGHUP, SIGINT, SIGTERM
        signal.signal(SIGHUP, signal.SIG_{before})
        from hil.interrupt import Interrupts
        first, second = {sent}
        with Interrupts():
            try:
                os.kill(os.getpid(), first)
            except KeyboardInterrupt:
                pass
        os.kill(os.getpid(), second)
    """
    assert subprocess.run([sys.executable, "-c", source], timeout=60, check=False).returncode == code


@pytest.mark.parametrize(
    "words", [["console", "--target", "qemu"], ["run", "--keep", "--target", "qemu", "ivshmem-latency"]]
)
def test_a_seat_without_an_input(words: list[str]) -> None:
    code = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-m', 'hil', *sys.argv[1:]])"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "standard input is closed" in done.stderr, done.stderr


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    """As in a container that runs under a number that passwd does not know."""
    names = ("HOME", "HIL_CACHE", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    code = "import os; os.setuid(54321); from hil import places; places.cache()"
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert "InfrastructureError: there is no home directory for the cache: set HOME, or HIL_CACHE" in done.stderr


def test_a_replay_shows_the_writers_and_no_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = bytes([0xFE]) + bytes(range(0xA1, 0xE0)) + bytes([0xFD])
    text = b'[    1.000000] kernel\r\nStarted cell "x"\r\ninm' + frame + b"ate \xc3\xa4\r\nhil# "
    (tmp_path / "console.raw").write_bytes(text)
    (tmp_path / "console.times").write_bytes(console_times([(at, at * 1000) for at in range(0, len(text), 3)]))
    (tmp_path / "events.jsonl").write_text("")
    replay(tmp_path, PlainProgress(sys.stdout), 0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines] == ["k [    1.000000] kernel", 'h Started cell "x"', "| inmate ä", "| hil#"]


@pytest.mark.parametrize(
    "words",
    [["run", "--target", "qemu", "ivshmem-latency"], ["replay"], ["report"], ["history"], ["compare", "a", "b"]],
)
def test_runs_in_a_place_that_cannot_be_looked_at(words: list[str]) -> None:
    """Such as another user's directory; here a name that no file system takes, for root may look at all others."""
    done = hil(*words, HIL_RUNS="/tmp/" + 300 * "x")
    assert done.returncode == 4 and "Traceback" not in done.stderr, done.stderr
    assert 300 * "x" in done.stderr and "name too long" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_log_that_knows_few_characters(tmp_path: Path, encoding: str) -> None:
    write_run(tmp_path / "run", console="µ → \ufffd\r\n".encode())
    for words in (["report", "run"], ["history"], ["replay", "run"], ["compare", "run", "run"]):
        done = subprocess.run(
            [sys.executable, "-m", "hil", *words],
            env={**os.environ, "HIL_RUNS": str(tmp_path), "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr


def test_a_mistake_of_ours_is_no_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def mistaken(**_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(cli.root, "main", mistaken)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 4
    said = capsys.readouterr().err
    assert "KeyError: 'a bug'" in said and "nothing is known about the system under test" in said


def test_sentences_of_events_are_harmless() -> None:
    trap = {"event": "trap", "trap": {"kind": "data", "cell": "\x1b[2Jevil"}}
    assert sentence(trap) == "trap: data ^[[2Jevil"
    step = {"event": "step", "state": "loaded", "seconds": 1.0, "name": "load", "outcome": "failed", "detail": "no"}
    assert "FAILED: no" in sentence(step)


def test_a_probe_is_as_patient_as_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_TIMEOUT_SCALE", "3")
    assert "--timeout=3.0" in prepare(RunOptions(target="qemu", probe="ivshmem-latency")).plan.program


def test_the_progress_tells_state_elapsed_and_limit() -> None:
    state = {"event": "state", "state": "boot", "limit": 30.4, "scale": 1.0, "waiting_for": "the first line"}
    assert waiting(state, 12.34) == "boot       12.3 s of at most 30 s: waiting for the first line"
    assert waiting({**state, "scale": 2.5}, 0).endswith("waiting for the first line (limit × 2.5)")
    assert waiting({**state, "limit": None}, 1) == "boot        1.0 s: waiting for the first line"

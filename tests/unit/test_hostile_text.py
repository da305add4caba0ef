# SPDX-License-Identifier: Apache-2.0
"""Text from a console, a record or a cell's config, through every way out: it is shown, and does nothing."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner
from report_data import events, record, write_run
from rich.console import Console as Terminal
from runner_fakes import FakeConsole, FakePower

from hil import places, summary
from hil.commands import history, replay
from hil.events import NoteEvent, StateEvent, StepEvent, VerdictEvent
from hil.harmless_text import HarmlessText
from hil.interactive import shown
from hil.live_progress import LiveProgress
from hil.names import harmless
from hil.progress import JsonProgress, PlainProgress, sentence
from hil.root_cell import RootCell
from hil.run_directory import RunDirectory
from hil.session import Session
from hil.shell import Answer, Hear
from hil.target import CellUse
from hil.verdict import Outcome, Verdict
from hil.watch import Watch
from reports import write_all

HOSTILE = [
    "\x1b]0;title\x07\x1b[2J\x1b[31m",
    "\x9b31m\x9d0;title\x9c\x85",
    "\u202eright to left\u2066\u200f\u2069",
    "]]><script>alert(1)</script></script><!--",
    "'\"`&<>$(reboot);`reboot`\\",
    "../../../etc/passwd",
    "-rf --name -- ",
    "two\nlines\r\nand\x0bmore\u2028yet",
    "nul \x00 bell \x07 backspace \x08 delete \x7f",
    "\udcff\udc80 no text at all",
    "[red]markup[/red] [link=file:///]x[/link]",
    "long " + "x" * 20_000,
    "%s {0} {name} %n ${HOME} ~",
]
STEERING = [chr(code) for code in (*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x2069, 0x200F)]


def harmless_for_a_terminal(text: str, colours: bool = False) -> bool:
    """Whether nothing but lines and tabs is in the text; with `colours`, the ones that rich itself makes."""
    if colours:
        text = re.sub(r"\x1b\[[0-9;?]*[mKAhlGJH]|\r", "", text)
    return not [c for c in STEERING if c in text]


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_lines_for_a_terminal(text: str) -> None:
    lines = HarmlessText()
    said = lines.feed(text + "\n") + [lines.rest()]
    trap = {"event": "trap", "trap": {"kind": text, "cell": text}}
    step = {"event": "step", "state": text, "seconds": 1.0, "name": text, "outcome": "failed", "detail": text}
    for line in [*said, sentence(trap), sentence(step), sentence({"event": "note", "text": text})]:
        assert harmless_for_a_terminal(line) and "\n" not in line
    seat = shown(text)
    assert harmless_for_a_terminal(seat.replace("\r\n", "").replace("\b", "")), "CR LF and backspace are a terminal's"


def test_progress(text: str) -> None:
    """As text it is never markup; colours come from us alone."""
    plain, living = io.StringIO(), io.StringIO()
    terminal = Terminal(file=living, force_terminal=True, width=60, color_system="standard")
    state = {"event": "state", "state": "boot", "limit": 5.0, "waiting_for": text}
    for show in (PlainProgress(plain), LiveProgress(terminal)):
        with show:
            show.event(state)
            show.event({"event": "note", "text": text})
            show.console(text, "kernel")
    assert harmless_for_a_terminal(plain.getvalue()) and harmless_for_a_terminal(living.getvalue(), colours=True)
    if "[red]" in text:
        assert living.getvalue().count("[red]") >= 2 and "\x1b]8" not in living.getvalue()


def test_json_events(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show = JsonProgress()
    show.event({"event": "note", "text": text})
    show.console(text, "")
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 and out.isascii() and json.loads(out)["text"] == text
    assert harmless_for_a_terminal(out) and harmless_for_a_terminal(err)


def test_a_run_directory_with_hostile_words(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is made of it, and every command that shows it."""
    monkeypatch.setenv("HIL_RUNS", str(tmp_path))
    hostile = record(probe=text, series=text, **{"from": text, "to": text}, mode={text: text})
    log = events(records=[hostile])[:-1]
    log += [
        NoteEvent(4.0, text),
        StateEvent(4.0, "running", 1.0, text),
        StepEvent(4.0, "running", text, 1, "failed", text),
    ]
    log.append(VerdictEvent(4.1, Outcome.FAIL, 1, text))
    raw = (text + "\n").encode("utf-8", "surrogateescape")
    words = {"machine": text, "hypervisor": text, "kernel": text, "contention": text, "target": text, "bench": text}
    run = write_run(tmp_path / "run", log, raw, **words)
    write_all(run)
    ElementTree.parse(run / "junit.xml")
    json.loads((run / "result.json").read_text())
    for name in ("junit.xml", "result.json", "report.html"):
        content = (run / name).read_bytes().decode()
        assert harmless_for_a_terminal(content), name
        if name != "result.json":  # which is data, and no markup
            assert "<script>alert" not in content and "</script><!--" not in content, name
    said = io.StringIO()
    summary.show(run, Terminal(file=said, width=70))
    summary.show(run, Terminal(file=said, width=400))
    assert harmless_for_a_terminal(said.getvalue())
    for command, words_ in ((history.command, []), (replay.command, [str(run)])):
        done = CliRunner().invoke(command, words_)
        assert done.exit_code == 0, (done.output, done.exception)
        assert harmless_for_a_terminal(done.output)


def test_names_of_files(tmp_path: Path, text: str) -> None:
    name = harmless(text)
    assert name and not name.startswith(".") and not set(name) & set("/\\\0\n '\"$`") and name.isascii()
    directory = RunDirectory(text, text, base=tmp_path / "runs")
    assert directory.path.parent == tmp_path / "runs" and directory.path.is_dir()
    directory.finish()
    assert places.scratch() == directory.scratch.parent


def test_reasons(text: str) -> None:
    """One line, of a console that says it as well."""
    watch = Watch(FakeConsole((text + "\r\n").encode("utf-8", "surrogateescape")), FakePower(), lambda trap: None)
    watch.text(0)
    reason = Verdict.of(Outcome.FAIL, f"{text}; {watch.hint()}").reason
    assert reason.isprintable() and harmless_for_a_terminal(reason) and len(watch.last_words()) < 600


class Shell:
    """Keeps what it is told to run."""

    kind = "fake"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def run(self, command: str, deadline: object, hear: Hear | None = None) -> Answer:
        self.lines.append(command)
        return Answer(0, b"", b"")


def test_words_for_the_root_cell_s_shell(tmp_path: Path, text: str) -> None:
    """A cell's name is one word, and never an option or a number of another cell."""
    from runner_fakes import limits

    from hil.event_log import EventLog

    shell = Shell()
    root = RootCell(Session(EventLog(tmp_path / "events.jsonl"), limits(), {}), shell)
    cell = CellUse("x.cell", text, "x.bin", text)
    for act in (root.load, root.start, root.destroy):
        act(cell)
    for line in shell.lines:
        words = shlex.split(line)
        assert words[:2] == ["jailhouse", "cell"] and words[words.index("--name") + 1] == text
    assert shlex.split(shell.lines[0])[-4:] == ["-s", text, "-a", "0x1000"]


def test_a_config_that_somebody_sent(tmp_path: Path, text: str) -> None:
    cells = places.build() / "cells/qemu"
    data = bytearray((cells / "hello.cell").read_bytes())
    at = data.index(b"hello\0")
    data[at : at + 31] = text.encode("utf-8", "surrogateescape")[:31].ljust(31, b"\0")
    (tmp_path / "sent.cell").write_bytes(data)
    system, hello, sent = str(cells / "qemu-root.cell"), str(cells / "hello.cell"), str(tmp_path / "sent.cell")
    for words in (["check", system, hello, sent], ["diff", hello, sent], ["decompile", sent]):
        done = subprocess.run([sys.executable, "-m", "hil", "cell", *words], capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert harmless_for_a_terminal(done.stdout.decode()) and harmless_for_a_terminal(done.stderr.decode())
    assert len(done.stdout.splitlines()) > 5


def test_what_was_typed_on_a_real_terminal(tmp_path: Path) -> None:
    """click leaves escape sequences alone where it writes to a terminal."""
    name = "\x1b]0;title\x07\x9b31m"
    for words in (["explain", name], ["cell", "check", name], ["run", f"--{name}"], ["list", name], ["run", name]):
        terminal = pexpect.spawn(sys.executable, ["-m", "hil", *words], encoding="utf-8", timeout=60)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 2, words
        assert "title" in terminal.before or words[0] == "run"
        assert harmless_for_a_terminal(terminal.before.replace("\r\n", "\n")), (words, terminal.before)

# SPDX-License-Identifier: Apache-2.0
"""Cells whose names are meant to do harm, in live runs: never a path, markup, terminal command or shell word."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, Command
from verdict_checks import check_run

from hil.harmless_text import harmless_line
from hil.verdict import Outcome

LATENCY = ("run", "--target", "qemu", "ivshmem-latency", "--warmup", "20", "--count", "200")
PWNED = Path("/hil-pwned")
NAMES = ("../$(>/hil-pwned);'<q>[red]|&*", "-r `>/hil-pwned` ../../\\%s{}#!~", "]]></script><q>&#60;$HOME")
"""Printable characters without quotes: more gaol takes in no name."""
PRINTED = "\x1b]0;title\x07\x9b31m\x1b[2J../<q>$(>/hil-pwned)\u202e"
"""What another hypervisor may print as a name."""


class Tags(HTMLParser):
    """All elements of a page, and what its text says."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of its own, in which the target's cells and description can be changed."""
    tree = tmp_path / "tree"
    (tree / "build").mkdir(parents=True)
    for name in ("hil", "reports", "scenarios", "abi"):
        (tree / name).symlink_to(REPOSITORY / name)
    for name in ("arm64", "host"):
        (tree / "build" / name).symlink_to(REPOSITORY / "build" / name)
    shutil.copytree(REPOSITORY / "targets/qemu", tree / "targets/qemu")
    shutil.copytree(REPOSITORY / "build/cells/qemu", tree / "build/cells/qemu")
    return tree


def change(tree: Path, name: str = "", program: str = "{}") -> None:
    """Another name for the probe's cell, in its config and in target.yaml; `program` is run around the probe's own."""
    path = tree / "targets/qemu/target.yaml"
    target = yaml.safe_load(path.read_text())
    probe = target["probes"]["ivshmem-latency"]
    probe["program"] = program.replace("{}", probe["program"])
    if name:
        probe["cells"][0]["name"] = name
        config = tree / "build/cells/qemu/ivshmem-latency.cell"
        field = name.encode().ljust(32, b"\0")
        assert len(field) == 32 and field.endswith(b"\0"), "31 characters"
        config.write_bytes(config.read_bytes().replace(b"ivshmem-latency".ljust(32, b"\0"), field, 1))
    path.write_text(yaml.safe_dump(target, allow_unicode=True))


def is_harmless(text: str) -> bool:
    return all(harmless_line(line) == line for line in text.replace("\r\n", "\n").split("\n"))


def check_directory(hil: Command, run: Path, name: str) -> None:
    """Nothing lies beside the run, its papers are well formed, and have no more elements than any run's."""
    assert {path.name for path in hil.runs.iterdir()} == {run.name, "locks"} and run.parent == hil.runs
    assert {path.name for path in (hil.runs / "locks").iterdir()} == {"qemu.lock"}
    assert not PWNED.exists() and not list(run.glob(".*"))
    for path in run.iterdir():
        assert path.is_file() and path.name.isascii() and is_harmless(path.name) and name not in path.name
    document = (run / "junit.xml").read_text()
    ElementTree.fromstring(document)
    page = (run / "report.html").read_text()
    assert is_harmless(document) and not set(page) & set("\x1b\x07\x9b\u202e")
    assert not Tags(page).tags & {"q", "red"} and "<q>" not in page
    for line in (run / "events.jsonl").read_text().splitlines():
        json.loads(line)


def check_shown(hil: Command, run: Path) -> None:
    for words in (("report", str(run)), ("replay", str(run)), ("history",)):
        done = hil.run(*words)
        assert done.returncode == 0, done.stderr
        assert is_harmless(done.stdout) and is_harmless(done.stderr), words
    assert not PWNED.exists()


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_cell_with_a_hostile_name_lives_and_is_measured(hil: Command, tree: Path, name: str) -> None:
    """In the root cell a word that the shell took would have made a file: then the program fails."""
    change(tree, name, "{}; code=$?; [ ! -e /hil-pwned ] || code=99; [ $code = 0 ]")
    done = hil.run(*LATENCY, "-v", HIL_ROOT=str(tree))
    run = hil.only_run()
    check_run(run, done.returncode, Outcome.PASS, "4 series measured")
    assert f'Created cell "{name}"' in done.stderr and is_harmless(done.stderr) and is_harmless(done.stdout)
    (counted,) = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines() if '"after"' in line]
    assert name in counted["cells"], "the name as it is, as data"
    check_directory(hil, run, name)
    page = (run / "report.html").read_text()
    assert html.escape(name, quote=False)[:12] in page or name in Tags(page).text, "and as text"
    check_shown(hil, run)


def test_a_name_on_the_console_steers_nothing(hil: Command, tree: Path) -> None:
    """A cell that nobody here created, with escape sequences and what else a terminal obeys."""
    octal = "".join(f"\\{byte:03o}" for byte in PRINTED.encode())
    lines = (f'Created cell "{octal}"', f'Parking CPU 3 (Cell: "{octal}")')
    said = "; ".join(f"printf '{line}\\n' >/dev/console" for line in lines)
    change(tree, program=f"{said}; sleep 1; {{}}")
    done = hil.run(*LATENCY, "-v", HIL_ROOT=str(tree))
    run = hil.only_run()
    reason = check_run(run, done.returncode, Outcome.TRAP)
    assert "title" in (run / "console.raw").read_bytes().decode(errors="replace")
    assert b"\x1b]0;title\x07" in (run / "console.raw").read_bytes(), "the log keeps the bytes as they were"
    assert is_harmless(done.stderr) and is_harmless(done.stdout) and "^[]0;title^G" in done.stderr
    assert is_harmless(reason)
    check_directory(hil, run, PRINTED)
    check_shown(hil, run)
    explained = subprocess.run(
        [*hil.words("explain", str(run / "console.raw"))], env=hil.environment(), capture_output=True, check=False
    )
    assert is_harmless(explained.stdout.decode()) and is_harmless(explained.stderr.decode())

# SPDX-License-Identifier: Apache-2.0
"""The papers speak of files that are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAPERS = sorted([*REPOSITORY.glob("docs/*.md"), REPOSITORY / "README.md"])
WRITTEN_BY_RUNS = ("build/", "runs/")
ROOMS = tuple(f"{path.name}/" for path in REPOSITORY.iterdir() if path.is_dir() and not path.name.startswith("."))


def named_paths(text: str) -> set[str]:
    """The repository's paths in `code`: with a directory of ours first. `<name>` stands for any name."""
    found = set()
    for code in re.findall(r"`([^`\n]+)`", text):
        for word in re.split(r"[\s,;()\"']+", code):
            word = re.sub(r"<[^<>]*>", "*", word).rstrip(".:/")
            word = re.sub(r":\d+(-\d+)?$", "", word)
            if word.startswith(ROOMS) and not word.startswith(WRITTEN_BY_RUNS) and not re.search(r"[$={}|…]", word):
                found.add(word)
    return found


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_path_that_a_paper_names_is_there(paper: Path) -> None:
    missing = sorted(path for path in named_paths(paper.read_text()) if not any(REPOSITORY.glob(path)))
    assert missing == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_every_link_between_papers_leads_somewhere(paper: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", paper.read_text())
    assert sorted(link for link in links if not (paper.parent / link).exists()) == []


def test_the_architecture_names_a_room_for_every_directory() -> None:
    text = (REPOSITORY / "docs/architecture.md").read_text()
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    rooms = {path.split("/")[0] for path in tracked.splitlines() if "/" in path and not path.startswith(".")}
    assert {room for room in rooms if f"{room}/" not in text} == set()

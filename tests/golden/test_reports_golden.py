# SPDX-License-Identifier: Apache-2.0
"""The reports of real runs, as they were: any change of a figure, a field or a sentence shows in a diff.

tests/golden/runs/ holds runs of this project on the qemu target, their consoles cut to the last lines. Run this file as
a program to write the expected reports anew, and read the diff before committing it.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

RUNS = Path(__file__).parent / "runs"
NAMES = ("result.json", "junit.xml", "report.txt")
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import reports  # noqa: E402
from reports import html_page, junit, result_json  # noqa: E402
from reports.files import as_json  # noqa: E402


class VisibleText(HTMLParser):
    """What a reader sees of a page, a line an element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._hidden = 0
        self._text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        if tag not in ("span", "b", "a", "code"):
            self._text += "\n"

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._text += " ".join(data.split(" ")) + " "

    def lines(self) -> str:
        lines = (" ".join(line.split()) for line in self._text.split("\n"))
        return "".join(f"{line}\n" for line in lines if line)


def made(run_dir: Path) -> dict[str, bytes]:
    run = reports.load(run_dir)
    text = VisibleText(html_page.page(run)).lines().encode()
    return dict(zip(NAMES, (as_json(result_json.result(run)), junit.junit(run), text)))


@pytest.mark.parametrize(
    "run_dir", sorted(path for path in RUNS.iterdir() if path.is_dir()), ids=lambda path: path.name
)
def test_the_reports_are_as_they_were(run_dir: Path) -> None:
    for name, data in made(run_dir).items():
        assert data.decode() == (run_dir / f"expected.{name}").read_text(encoding="utf-8"), name


def test_there_are_runs_that_passed_and_that_did_not() -> None:
    assert {path.name for path in RUNS.iterdir()} >= {"pass", "infrastructure-error"}


if __name__ == "__main__":
    for directory in RUNS.iterdir():
        for file_name, content in made(directory).items():
            (directory / f"expected.{file_name}").write_bytes(content)

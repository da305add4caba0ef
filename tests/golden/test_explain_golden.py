# SPDX-License-Identifier: Apache-2.0
"""The whole page that `hil explain` prints, for synthetic reports: any change of a sentence shows in a diff.

Run this file as a program to write the expected pages anew, and read the diff before committing it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "explain"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from hil.trap_page import page  # noqa: E402
from hil.traps import explain  # noqa: E402

CONFIGS = [ROOT / "targets/qemu/cells" / name for name in ("qemu-root.yaml", "ivshmem-latency.yaml")]
TEXTS = sorted(HERE.glob("*.txt"))


def shown(text: Path) -> str:
    """The page for one text; those named config-* are explained with the qemu target's configs."""
    configs = CONFIGS if text.name.startswith("config-") else []
    return page(explain(text.read_bytes(), configs=configs)) + "\n"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_page_is_as_before(text: Path) -> None:
    assert shown(text) == text.with_suffix(".page").read_text()


def test_there_are_texts() -> None:
    assert len(TEXTS) >= 6


if __name__ == "__main__":
    for path in TEXTS:
        path.with_suffix(".page").write_text(shown(path))

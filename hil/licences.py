# SPDX-License-Identifier: Apache-2.0
"""Checks that every source file names its licence: kernel modules GPL-2.0-only, the ABI both, the rest Apache-2.0."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SUFFIXES = {".py", ".cpp", ".hpp", ".h", ".c", ".S", ".ld", ".cmake", ".sh", ".lds"}
MODULES = ("driver/gaol/", "driver/uio_ivshmem/", "hypervisor/check/")
"""Directories of kernel modules."""
TAG = re.compile(r"SPDX-License-Identifier: ([^*\n]+?)\s*(?:\*/|-->|$)", re.MULTILINE)


def expected(name: str) -> str:
    """The licence that a file of the repository must name."""
    if name.startswith("abi/"):
        return "GPL-2.0-only OR Apache-2.0"
    if name.startswith(MODULES) and name.endswith((".c", ".h", "Kbuild")):
        return "GPL-2.0-only"
    return "Apache-2.0"


def problem(root: Path, name: str) -> str | None:
    """What is wrong with the file's header, or None."""
    head = "\n".join((root / name).read_text(errors="replace").splitlines()[:3])
    found = TAG.search(head)
    if found is None:
        return f"{name}: no SPDX-License-Identifier in its first three lines; expected {expected(name)}"
    if found.group(1) != expected(name):
        return f"{name}: licence {found.group(1)}; expected {expected(name)}"
    return None


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    listing = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    names = [n for n in listing.splitlines() if Path(n).suffix in SUFFIXES or Path(n).name == "CMakeLists.txt"]
    problems = [text for name in names if (root / name).is_file() and (text := problem(root, name))]
    for text in problems:
        print(text)
    print(f"{len(names)} files looked at, {len(problems)} without the right header")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

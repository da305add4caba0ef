# SPDX-License-Identifier: Apache-2.0
"""QEMU plugins of the tests: built where they are used, told addresses of a program's functions."""

from __future__ import annotations

import subprocess
from pathlib import Path


def built(name: str, place: Path) -> Path:
    """The plugin whose source is `name`.c beside this file, as a library in `place`."""
    library = place / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def symbols(program: Path) -> list[str]:
    """The lines of nm for an arm64 program, names as in the source."""
    command = ["aarch64-linux-gnu-nm", "-C", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

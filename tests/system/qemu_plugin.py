# SPDX-License-Identifier: Apache-2.0
"""QEMU plugins of the tests: built where they are used, told addresses of a program's functions."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hil import places


def built(name: str, place: Path) -> Path:
    """The plugin whose source is `name`.c beside this file, as a library in `place`."""
    library = place / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


IMAGE = 0x7FC00000
"""Where the qemu target's hypervisor memory begins: gaol runs at its physical addresses."""


def in_hypervisor(*names: str) -> list[int]:
    """Where these functions or labels of the hypervisor are when it runs; each by the beginning of its name."""
    return [IMAGE + place for place in addresses(places.build() / "arm64/hypervisor/gaol.elf", *names)]


def addresses(program: Path, *names: str) -> list[int]:
    """Where an arm64 program has these functions or labels; each by the beginning of its name as in the source."""
    command = ["aarch64-linux-gnu-nm", "-C", program]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split(" ", 2) for line in listed.splitlines()]
    found = [{int(line[0], 16) for line in lines if line[2].startswith(name)} for name in names]
    assert all(len(one) == 1 for one in found), list(zip(names, found))
    return [one.pop() for one in found]

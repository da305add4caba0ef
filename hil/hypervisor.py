# SPDX-License-Identifier: Apache-2.0
"""The hypervisor a run uses: the bundled one or a directory of the user's own build. Both have the same shape."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hil import places
from hil.errors import WrongUse

BUNDLED = "gaol"


@dataclass(frozen=True)
class Hypervisor:
    """Module, firmware images and tool."""

    name: str
    module: Path
    firmware: tuple[Path, ...]
    tool: Path

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by file name."""
        return {path.name: sha256(path) for path in (self.module, *self.firmware, self.tool)}


def sha256(path: Path) -> str:
    """Of a file's content, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find(typed: str, architecture: str = "arm64") -> Hypervisor:
    """The hypervisor that `--hypervisor` names: `gaol` or a directory, searched with its subdirectories.

    WrongUse names what is missing in it.
    """
    directory = places.build() / architecture / "hypervisor" if typed == BUNDLED else Path(typed).expanduser()
    if not directory.is_dir():
        if typed == BUNDLED:
            raise WrongUse(f"--hypervisor '{typed}': {directory} is not built; bin/hil builds it")
        raise WrongUse(
            f"--hypervisor '{typed}' is no directory and not '{BUNDLED}', the bundled one; name a directory that holds "
            "jailhouse.ko, jailhouse*.bin and the tool jailhouse"
        )
    try:
        modules = sorted(directory.rglob("jailhouse.ko"))
        firmware = sorted(p for p in directory.rglob("jailhouse*.bin") if p.is_file())
        tools = sorted(p for p in directory.rglob("jailhouse") if p.is_file())
    except OSError as error:
        raise WrongUse(f"--hypervisor '{typed}': cannot read {error.filename}: {error.strerror}") from error
    wanted = {"jailhouse.ko": modules, "jailhouse*.bin": firmware, "jailhouse (the tool)": tools}
    missing = [what for what, found in wanted.items() if not found]
    if missing:
        raise WrongUse(f"--hypervisor '{typed}': {directory} holds no {', no '.join(missing)}")
    name = BUNDLED if typed == BUNDLED else directory.name
    return Hypervisor(name, modules[0], tuple(firmware), _program(tools))


def _program(tools: list[Path]) -> Path:
    """The tool: an ELF file before anything else of that name (a build tree also has scripts and directories)."""
    for tool in tools:
        with tool.open("rb") as file:
            if file.read(4) == b"\x7fELF":
                return tool
    return tools[0]

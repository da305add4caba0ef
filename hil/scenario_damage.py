# SPDX-License-Identifier: Apache-2.0
"""A hypervisor with a fault of its own: an instruction of its image is made an undefined one before it is enabled. The
root cell's own files stay as they are: its kernel is told to look for images in another directory first."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.errors import InfrastructureError
from hil.root_cell import RootCell
from hil.scenario import Damage

FIRMWARE = "/lib/firmware"
LOOKED_FOR_FIRST = "/sys/module/firmware_class/parameters/path"
"""Of Linux: a directory that it searches for firmware before its own."""
WORD = 4
"""Bytes of an arm64 instruction; one that is 0 is permanently undefined."""


@dataclass(frozen=True)
class DamagedImage:
    """An image of the hypervisor in which the instructions at these offsets have become 0."""

    name: str
    offsets: Sequence[int]
    sha256: str


def matches(image: bytes, damage: Damage) -> list[int]:
    """Where an image holds the instruction."""
    words = range(0, len(image) - WORD + 1, WORD)
    return [at for at in words if int.from_bytes(image[at : at + WORD], "little") & damage.mask == damage.instruction]


def damaged(images: Sequence[Path], damage: Damage) -> list[DamagedImage]:
    """All images that hold the instruction. InfrastructureError when none does: there would be no fault to see."""
    found = []
    for path in images:
        image = bytearray(path.read_bytes())
        offsets = matches(image, damage)
        for at in offsets:
            image[at : at + WORD] = bytes(WORD)
        if offsets:
            found.append(DamagedImage(path.name, offsets, hashlib.sha256(image).hexdigest()))
    if not found:
        raise InfrastructureError(
            f"the hypervisor cannot be damaged: no instruction {damage.instruction:#x} (mask {damage.mask:#x}) in "
            f"{', '.join(str(path) for path in images)}; `hypervisor: damage` must name one that it executes"
        )
    return found


def script(image: DamagedImage, directory: str) -> str:
    """Shell that makes the damaged copy in a directory and leaves its SHA-256 as its only output."""
    copy = shlex.quote(f"{directory}/{image.name}")
    commands = [f"mkdir -p {directory}", f"cp {shlex.quote(f'{FIRMWARE}/{image.name}')} {copy}"]
    for at in image.offsets:
        commands.append(f"printf '{chr(92)}000%.0s' 1 2 3 4 | dd of={copy} bs=1 seek={at} conv=notrunc 2>/dev/null")
    commands += [f"printf %s {directory} >{LOOKED_FOR_FIRST}", f"sha256sum <{copy}"]
    return " && ".join(commands)


def deliver(root: RootCell, images: Sequence[DamagedImage], directory: str) -> None:
    """Makes the root cell's next `enable` load the damaged images."""
    for image in images:
        answer = root.script(script(image, directory), "command", f"damage {image.name}", allowed=tuple(range(256)))
        said = answer.text.split()
        if answer.code != 0 or said[:1] != [image.sha256]:
            raise InfrastructureError(
                f"the root cell's copy of {image.name} was not damaged as wanted (code {answer.code}: "
                f"{' '.join(said) or 'no output'}; expected SHA-256 {image.sha256}): is {FIRMWARE}/{image.name} the "
                f"file that --hypervisor names, and is there a {LOOKED_FOR_FIRST}?"
            )

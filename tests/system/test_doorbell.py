# SPDX-License-Identifier: Apache-2.0
"""What a doorbell from one cell to another costs in instructions of the hypervisor: the sender's exit, the injection.
The figures that -s shows are those of docs/performance.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from conftest import Boot, plan
from qemu_plugin import IMAGE, built, in_hypervisor

from hil.session import State
from hil.target import CellUse

SENDER, RECEIVER = 2, 3
"""CPUs."""
SYNCHRONOUS, INTERRUPT = 0x400, 0x480
"""Vectors by which a cell enters the hypervisor."""
RINGS = 100
MOST = {"sender's exit": 320, "injection": 150}
"""Instructions; docs/performance.md tells what they are spent on."""


def plugin(place: Path, out: Path) -> str:
    """The plugin, built, with its arguments."""
    end, vectors = in_hypervisor("image_end", "gaol_vectors")
    return f"{built('exits', place)},out={out},image={IMAGE:#x},size={end - IMAGE:#x},vectors={vectors:#x}"


def stays(text: str, cpu: int, vector: int) -> Counter[int]:
    """How many of a CPU's stays in the hypervisor had so many instructions."""
    rows = [line.split() for line in text.splitlines()]
    return Counter(int(count) for number, offset, count in rows if (int(number), int(offset, 16)) == (cpu, vector))


def test_a_doorbell_takes_two_exits_of_a_known_length(boot: Boot, tmp_path: Path) -> None:
    out = tmp_path / "exits"
    bed = boot(plan(), virtual_time=True, extra=("-plugin", plugin(tmp_path, out)))
    bed.machine.session.transition(State.ENABLED)
    bed.start(CellUse("ivshmem-peer-2.cell", "ivshmem-peer-2", "ivshmem-demo.bin", "quiet=1 answer=0"))
    ringing = "quiet=1 answer=0 peer=2 ring_ms=1"
    bed.start(CellUse("ivshmem-peer-1.cell", "ivshmem-peer-1", "ivshmem-demo.bin", ringing))
    bed.root.script("sleep 2", "command")
    text = out.read_text()
    found = {
        "sender's exit": stays(text, SENDER, SYNCHRONOUS),
        "injection": stays(text, RECEIVER, INTERRUPT),
    }
    for name, lengths in found.items():
        (length, often), *_ = lengths.most_common(1)
        print(f"{name}: {length} instructions in {often} of {lengths.total()}: {sorted(lengths.items())}")
        assert often >= RINGS and length <= MOST[name], (name, lengths)

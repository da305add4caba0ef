# SPDX-License-Identifier: Apache-2.0
"""Cells that load and store as a test lists it (inmate `access`): what they read, or the trap that each ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conftest import CELLS, Bed, cell_file
from mesh import words

from hil.limits import Deadline, Limits
from hil.target import CellUse

RESULTS = 0x7E000000
"""A page that the root reads, too; where the qemu target has RAM for cells."""
AT_ONCE = 40
"""Operations in one command line of the inmate."""


def config(name: str, cpu: int, regions: Iterable[str], ram: int = 0) -> str:
    """`hello` under another name, on this CPU, with the page for results and more memory regions (in YAML)."""
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", f"name: {name}").replace("[1]", f"[{cpu}]")
    text = text.replace("0x70000000", f"{ram or 0x70000000:#x}").rstrip()
    results = f"{{physical: {RESULTS:#x}, size: 4K, flags: read write root-shared}}"
    return text + "".join(f"\n  - {region}" for region in [results, *regions]) + "\n"


@dataclass
class Accessor:
    """A cell that exists."""

    bed: Bed
    name: str

    @classmethod
    def create(cls, bed: Bed, name: str, text: str) -> Accessor:
        bed.root.run(["jailhouse", "cell", "create", cell_file(bed, text, name)], "create")
        return cls(bed, name)

    def destroy(self) -> None:
        self.bed.root.run(["jailhouse", "cell", "destroy", self.name], "destroy")

    def start(self, operations: Iterable[str], more: str = "") -> None:
        """Loads the inmate and starts it; what was said and trapped before is forgotten."""
        self.bed.lines.clear()
        self.bed.watch.traps.clear()
        line = f"ops={','.join(operations)} results={RESULTS:#x} {more}".strip()
        assert len(line) < 1023, "longer than the inmate's command line"
        use = CellUse("", self.name, "access.bin", line)
        self.bed.root.load(use)
        self.bed.root.start(use)

    def values(self, *operations: str, more: str = "") -> list[int]:
        """What these operations give, all of which must go through; 0 for one that reads nothing."""
        self.start(operations, more)
        deadline = Deadline(Limits({"line": 20.0}), "line", f"{self.name} to end")
        while (state := self.bed.root.cell_states()[self.name]) != "shut down":
            assert state == "running", f"{state}: {self.bed.lines}"
            deadline.check(self.bed.watch.hint)
            self.bed.watch.pause(0.02)
        (done,) = words(self.bed, RESULTS, 4, 1)
        assert done == len(operations)
        assert self.bed.watch.traps == []
        found = words(self.bed, RESULTS + 8, 4, 2 * done)
        return [low | high << 32 for low, high in zip(found[::2], found[1::2], strict=True)]

    def trap(self, *operations: str) -> dict[str, object]:
        """The one trap that the last of these operations must end in."""
        watch = self.bed.watch
        waits, watch.traps_end_waits = watch.traps_end_waits, False
        try:
            self.start(operations)
            return self._awaited(operations[-1])
        finally:
            watch.traps_end_waits = waits

    def traps(self, operations: Iterable[str], more: str = "") -> Iterator[tuple[str, dict[str, object]]]:
        """Each operation with the one trap that it must end in. `more`: further words of the inmate's command line."""
        left = list(operations)
        watch = self.bed.watch
        waits, watch.traps_end_waits = watch.traps_end_waits, False
        try:
            while left:
                some = left[:AT_ONCE]
                self.bed.root.script(f"devmem {RESULTS + 4:#x} 32 0", "command")
                self.start(some, f"resume=1 {more}")
                for index, operation in enumerate(some):
                    if index:
                        self._again()
                    yield operation, self._awaited(operation)
                del left[:AT_ONCE]
        finally:
            watch.traps_end_waits = waits

    def _again(self) -> None:
        self.bed.lines.clear()
        self.bed.watch.traps.clear()
        self.bed.root.start(CellUse("", self.name, ""))

    def _awaited(self, operation: str) -> dict[str, object]:
        watch = self.bed.watch
        deadline = Deadline(Limits({"line": 20.0}), "line", f"the trap of {operation}")
        while not watch.traps:
            watch.text(0.02)
            deadline.check(lambda: f"{watch.hint()}; what it has read: {words(self.bed, RESULTS, 4, 4)}")
        (trap,) = watch.traps
        assert (trap["cell"], trap["outcome"]) == (self.name, "parked") and trap["registers"], operation
        watch.traps.clear()
        return dict(trap)

    def refused(self, operations: Iterable[str], more: str = "") -> None:
        """Each must end in a trap that is told by its address and its direction, and change nothing else: the cell is
        started again and again."""
        for operation, trap in self.traps(operations, more):
            assert int(str(trap["address"]), 16) == int(operation.split(":")[1], 16), (operation, trap)
            assert str(trap["access"]) == ("write" if operation[0] == "w" else "read"), (operation, trap)

# SPDX-License-Identifier: Apache-2.0
"""A cell whose RAM is several regions apart from each other, with all kinds of flags: each is what its flags say, what
lies between stays the root's, and the root has everything again in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from accesses import Accessor, config
from conftest import Bed, Boot, cell_file, plan
from mesh import words

from hil.session import State
from hil.target import CellUse

PAGE = 0x1000
POOL = "cat /sys/devices/jailhouse/mem_pool_used"
RETURN = r"\300\003\137\326"
"""An instruction, `ret`, in the shell's octal."""


@dataclass(frozen=True)
class Region:
    """One of them. `virtual`: where the cell has it, 0: at its physical address."""

    start: int
    size: int
    flags: str
    virtual: int = 0

    def has(self, flag: str) -> bool:
        return flag in self.flags.split()

    @property
    def at(self) -> int:
        return self.virtual or self.start

    @property
    def ends(self) -> tuple[int, int]:
        """The cell's addresses of its first and its last word."""
        return self.at, self.at + self.size - 4

    def yaml(self) -> str:
        return f"{{physical: {self.start:#x}, virtual: {self.at:#x}, size: {self.size:#x}, flags: {self.flags}}}"


REGIONS = {
    "private": Region(0x71010000, 2 * PAGE, "read write"),
    "loadable": Region(0x71013000, PAGE, "read write loadable"),
    "constants": Region(0x71015000, PAGE, "read loadable"),
    "dma": Region(0x71017000, PAGE, "read write dma"),
    "code": Region(0x71019000, PAGE, "read execute loadable"),
    "dma-code": Region(0x7101B000, PAGE, "read execute dma loadable"),
    "all": Region(0x7101D000, PAGE, "read write execute dma loadable"),
    "write-only": Region(0x7101F000, PAGE, "write"),
    "nothing": Region(0x71021000, PAGE, "dma"),
    "huge": Region(0x71200000, 0x200000 + PAGE, "read write loadable"),
    "small-pages": Region(0x71600000, 0x200000, "read write loadable no-hugepages"),
    "elsewhere": Region(0x71A00000, 2 * PAGE, "read write loadable", virtual=0x20_0000_0000),
    "shared": Region(0x71050000, PAGE, "read write root-shared"),
    "shared-constants": Region(0x71052000, PAGE, "read root-shared"),
    "shared-loadable": Region(0x71054000, PAGE, "read write loadable root-shared"),
}
BETWEEN = [
    *(region.start - PAGE for region in REGIONS.values()),
    *(region.start + region.size for region in REGIONS.values()),
]
"""Pages just before and just behind each, no cell's."""


def write_words(bed: Bed, values: dict[int, int]) -> None:
    """By the root's user space."""
    bed.root.script("; ".join(f"devmem {address:#x} 32 {value:#x}" for address, value in values.items()), "run")


def read_words(bed: Bed, addresses: list[int]) -> list[int]:
    """By the root's user space."""
    said = bed.root.script("; ".join(f"devmem {address:#x} 32" for address in addresses), "run").text
    return [int(word, 16) for word in said.split()]


def pattern(address: int) -> int:
    """A word that tells where it is from."""
    return 0x80000000 | address >> 2 & 0x3FFFFFFF


def root_words(region: Region) -> tuple[int, int]:
    """The physical addresses of a region's first and last word."""
    return region.start, region.start + region.size - 4


def owner(at: int) -> bool:
    """Is it the cell's after all? Some regions are neighbours."""
    return any(region.at <= at < region.at + region.size for region in REGIONS.values())


@dataclass
class Patchwork:
    """The cell, and the pages in use before it was created."""

    cell: Accessor
    pages: str


@pytest.fixture(scope="module")
def patchwork(bed: Bed) -> Iterator[Patchwork]:
    """Created after the root has filled all of it and what is between."""
    pages = bed.root.script(POOL, "command").text
    write_words(bed, {at: pattern(at) for region in REGIONS.values() for at in root_words(region)})
    write_words(bed, {at: pattern(at) for at in BETWEEN})
    text = config("patchwork", 1, [region.yaml() for region in REGIONS.values()])
    cell = Accessor.create(bed, "patchwork", text)
    yield Patchwork(cell, pages)


def may(flag: str) -> list[str]:
    return [name for name, region in REGIONS.items() if region.has(flag)]


def may_not(flag: str) -> list[str]:
    return [name for name, region in REGIONS.items() if not region.has(flag)]


def test_what_is_loadable_is_loaded(bed: Bed, patchwork: Patchwork) -> None:
    """The loader writes into each loadable region, at its end; into no other, and not across an end."""
    bed.root.script(f"printf '{RETURN * 2}' > /tmp/return", "command")
    load = "jailhouse cell load patchwork /tmp/return -a"
    for name, region in REGIONS.items():
        last = region.at + region.size - 8
        bed.root.script(f"{load} {last:#x}", "load", allowed=(0,) if region.has("loadable") else (1,))
        bed.root.script(f"{load} {last + 4:#x}", "load", allowed=(1,))
        if region.has("loadable"):
            assert words(bed, region.start + region.size - 8, 4, 2) == [0xD65F03C0] * 2, name


def test_readable_ones_are_read_from_end_to_end(patchwork: Patchwork) -> None:
    readable = [REGIONS[name] for name in may("read")]
    assert len(readable) == 13
    found = patchwork.cell.values(*(f"r4:{at:x}" for region in readable for at in region.ends))
    loaded = [0xD65F03C0 if region.has("loadable") else pattern(root_words(region)[1]) for region in readable]
    assert found[::2] == [pattern(region.start) for region in readable]
    assert found[1::2] == loaded


def test_writable_ones_are_written_from_end_to_end(bed: Bed, patchwork: Patchwork) -> None:
    writable = [REGIONS[name] for name in may("write")]
    patchwork.cell.values(*(f"w4:{at:x}:{at & 0xFFFFFFFF ^ 0x5A:x}" for region in writable for at in region.ends))
    both = [region for region in writable if region.has("read")]
    found = patchwork.cell.values(*(f"r4:{at:x}" for region in both for at in region.ends))
    assert found == [at & 0xFFFFFFFF ^ 0x5A for region in both for at in region.ends]
    assert read_words(bed, [REGIONS["shared"].start]) == [REGIONS["shared"].start ^ 0x5A]


def test_executable_ones_are_executed(bed: Bed, patchwork: Patchwork) -> None:
    for name in may("execute"):
        region = REGIONS[name]
        last = region.at + region.size - 8
        bed.root.script(f"jailhouse cell load patchwork /tmp/return -a {last:#x}", "load")
    patchwork.cell.values(*(f"x0:{REGIONS[name].at + REGIONS[name].size - 8:x}" for name in may("execute")))


@pytest.mark.parametrize("name", may_not("read"))
def test_the_others_are_not_read(patchwork: Patchwork, name: str) -> None:
    patchwork.cell.refused(f"r4:{at:x}" for at in REGIONS[name].ends)


@pytest.mark.parametrize("name", may_not("write"))
def test_the_others_are_not_written(patchwork: Patchwork, name: str) -> None:
    patchwork.cell.refused(f"w4:{at:x}:bad" for at in REGIONS[name].ends)


def test_the_others_are_not_executed(patchwork: Patchwork) -> None:
    for operation, trap in patchwork.cell.traps(f"x0:{REGIONS[name].at:x}" for name in may_not("execute")):
        assert int(str(trap["address"]), 16) == int(operation[3:], 16), operation
        assert any(f"instruction abort at 0x{operation[3:]}" in line for line in patchwork.cell.bed.lines)


def test_what_is_between_is_not_the_cells(patchwork: Patchwork) -> None:
    patchwork.cell.refused(f"r4:{at:x}" for at in BETWEEN if not owner(at))


def test_what_is_between_is_the_roots_while_the_cell_runs(bed: Bed, patchwork: Patchwork) -> None:
    cell = CellUse("", "patchwork", "hello.bin", "interval_ms=1000")
    bed.root.load(cell)
    bed.root.start(cell)
    assert read_words(bed, BETWEEN) == [pattern(at) for at in BETWEEN]
    write_words(bed, {at + PAGE - 4: at for at in BETWEEN})
    assert read_words(bed, [at + PAGE - 4 for at in BETWEEN]) == BETWEEN
    shared = [at for name in may("root-shared") for at in root_words(REGIONS[name])]
    write_words(bed, {at: at for at in shared})
    assert read_words(bed, shared) == shared
    assert bed.watch.traps == [] and bed.root.cell_states()["patchwork"] == "running"


def test_a_cell_of_many_regions_is_the_same_when_it_is_made_again(bed: Bed, patchwork: Patchwork) -> None:
    for _ in range(3):
        patchwork.cell.destroy()
        assert bed.root.script(POOL, "command").text == patchwork.pages
        Accessor.create(bed, "patchwork", config("patchwork", 1, [region.yaml() for region in REGIONS.values()]))
        patchwork.cell.values(*(f"r4:{at:x}" for name in may("read") for at in REGIONS[name].ends))


def test_the_root_has_all_of_it_again(bed: Bed, patchwork: Patchwork) -> None:
    """To read, as the cell left it, and to write, whatever the cell's own rights were."""
    mark = {at: at ^ 0x77 for name in may("write") for at in REGIONS[name].ends}
    patchwork.cell.values(*(f"w4:{at:x}:{value & 0xFFFFFFFF:x}" for at, value in mark.items()))
    patchwork.cell.destroy()
    everywhere = [at for region in REGIONS.values() for at in root_words(region)]
    left = read_words(bed, [at for name in may("write") for at in root_words(REGIONS[name])])
    assert left == [value & 0xFFFFFFFF for value in mark.values()]
    write_words(bed, {at: at for at in everywhere})
    assert read_words(bed, everywhere) == everywhere
    assert bed.root.script(POOL, "command").text == patchwork.pages
    assert bed.watch.traps == []


def test_the_root_has_none_of_it_while_the_cell_runs(boot: Boot) -> None:
    """Three of its CPUs reach for three of the regions at once. A machine of its own: its root cell is gone then."""
    bed = boot(plan())
    bed.machine.session.transition(State.ENABLED)
    text = config("patchwork", 1, [region.yaml() for region in REGIONS.values()])
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, text, "patchwork")], "create")
    cell = CellUse("", "patchwork", "hello.bin", "interval_ms=4000")
    bed.root.load(cell)
    bed.root.start(cell)
    bed.wait_for_line("hello 1")
    huge = REGIONS["huge"]
    aims = [REGIONS["constants"].start, huge.start + huge.size - 4, REGIONS["write-only"].start]
    bed.park_root_cpus(f"peek={','.join(map(hex, aims))}", 3)
    assert {int(str(trap["address"]), 16) for trap in bed.watch.traps} == set(aims)
    bed.lines.clear()
    bed.wait_for_line("hello ")  # the inmate runs on

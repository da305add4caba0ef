# SPDX-License-Identifier: Apache-2.0
"""IO regions that are no pages: of odd sizes, at odd places, across a page's end, of two cells in one page. Each width
at each edge, aligned and not: what the flags allow goes through with the right bytes, everything else ends the cell
with its address. The "device" is RAM, whose every byte shows what reached it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from accesses import Accessor, config
from conftest import Bed, cell_file

NIGHTLY = os.environ.get("HIL_NIGHTLY", "") not in ("", "0")
"""Tries all accesses that are to be refused, 652; otherwise every third one of them."""
PAGE = 0x1000
BASE = 0x73000000
WIDTHS = (1, 2, 4, 8)
ALL = "io-8 io-16 io-32 io-64"


@dataclass(frozen=True)
class Part:
    """A region of some bytes."""

    start: int
    size: int
    flags: str

    @property
    def end(self) -> int:
        return self.start + self.size

    def yaml(self) -> str:
        return f"{{physical: {self.start:#x}, virtual: {self.start:#x}, size: {self.size:#x}, flags: io {self.flags}}}"

    def allows(self, at: int, width: int, what: str) -> bool:
        """What docs/isolation.md says of an access: all bytes in the region and in one page, direction, width, and
        alignment as the flags say."""
        inside = self.start <= at and at + width <= self.end and at // PAGE == (at + width - 1) // PAGE
        aligned = at % width == 0 or "io-unaligned" in self.flags
        return inside and aligned and f"io-{8 * width}" in self.flags.split() and what in self.flags.split()

    def edges(self, width: int) -> list[int]:
        """Places around both ends, and around a page's end inside."""
        page = [at for at in range(self.start + 1, self.end) if at % PAGE == 0]
        aims = {self.start, self.end, *page}
        return sorted({aim + offset for aim in aims for offset in (-width, -width + 1, -1, 0, 1)})


LEFT = [
    Part(BASE + 0x000, 1, "read write io-8"),
    Part(BASE + 0x102, 2, "read write io-8 io-16"),
    Part(BASE + 0x203, 3, "read write io-8 io-16 io-unaligned"),
    Part(BASE + 0x303, 5, f"read write {ALL}"),
    Part(BASE + 0x403, 5, f"read write {ALL} io-unaligned"),
    Part(BASE + 0x500, 8, "read io-64"),
    Part(BASE + 0x600, 4, "write io-32"),
    Part(BASE + 0x1001, 4095, f"read write {ALL}"),
    Part(BASE + 0x2FFC, 8, f"read write {ALL} io-unaligned"),
]
RIGHT = [
    Part(BASE + 0x001, 1, "read write io-8"),
    Part(BASE + 0x104, 2, "read write io-16"),
    Part(BASE + 0x3004, 4, "read write io-32"),
]
"""A second cell's, next to those of the first."""


AIMS = sorted({at for part in [*LEFT, *RIGHT] for width in WIDTHS for at in part.edges(width)})
WORDS = sorted({(at + offset) & ~3 for at in AIMS for offset in (-8, -4, 0, 4, 8)})
"""Whatever an access could touch, in the root's words."""


@dataclass
class Memory:
    """What each byte must be: it tells its place until a cell writes it."""

    bed: Bed
    bytes: dict[int, int]

    @classmethod
    def fill(cls, bed: Bed) -> Memory:
        """By the root, while all of it is the root's."""
        memory = cls(bed, {word + byte: (word + byte) * 37 + word // 256 & 0xFF for word in WORDS for byte in range(4)})
        bed.root.script("; ".join(f"devmem {word:#x} 32 {memory.at(word, 4):#x}" for word in WORDS), "run")
        return memory

    def at(self, address: int, width: int) -> int:
        return int.from_bytes(bytes(self.bytes[address + byte] for byte in range(width)), "little")

    def put(self, address: int, width: int, value: int) -> None:
        self.bytes.update({address + byte: value >> 8 * byte & 0xFF for byte in range(width)})

    def check(self) -> None:
        """The root reads all of it: it must be the root's again."""
        said = self.bed.root.script("; ".join(f"devmem {word:#x} 32" for word in WORDS), "run").text
        found = [int(word, 16) for word in said.split()]
        wrong = {hex(at): hex(word) for at, word in zip(WORDS, found, strict=True) if word != self.at(at, 4)}
        assert wrong == {}


@dataclass
class Neighbours:
    """Two cells with parts of the same pages."""

    left: Accessor
    right: Accessor
    memory: Memory


@pytest.fixture(scope="module")
def neighbours(bed: Bed) -> Iterator[Neighbours]:
    memory = Memory.fill(bed)
    left = Accessor.create(bed, "left", config("left", 1, [part.yaml() for part in LEFT]))
    right = Accessor.create(bed, "right", config("right", 2, [part.yaml() for part in RIGHT], ram=0x74000000))
    yield Neighbours(left, right, memory)


def sort_out(parts: list[Part], what: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Accesses around all edges, as (address, width): those that the cell's parts allow, and the others."""
    aims = sorted({(at, width) for part in parts for width in WIDTHS for at in part.edges(width)})
    allowed = [aim for aim in aims if any(part.allows(*aim, what) for part in parts)]
    return allowed, [aim for aim in aims if aim not in allowed]


@pytest.mark.parametrize(("name", "parts", "least"), [("left", LEFT, 40), ("right", RIGHT, 3)])
def test_what_is_allowed_goes_through(neighbours: Neighbours, name: str, parts: list[Part], least: int) -> None:
    cell: Accessor = getattr(neighbours, name)
    memory = neighbours.memory
    reads, _ = sort_out(parts, "read")
    assert len(reads) >= least
    for some in filter(None, (reads[:60], reads[60:])):
        found = cell.values(*(f"r{width}:{at:x}" for at, width in some), more="map=normal")
        assert found == [memory.at(at, width) for at, width in some]
    writes, _ = sort_out(parts, "write")
    for at, width in writes:
        memory.put(at, width, (at * 0x9E3779B97F4A7C15) >> 7 & (1 << 8 * width) - 1)
        # overlapping ones come later in the list, and so in the cell: what stays is the last
    for first in range(0, len(writes), 25):
        some = writes[first : first + 25]
        values = [(at * 0x9E3779B97F4A7C15) >> 7 & (1 << 8 * width) - 1 for at, width in some]
        cell.values(
            *(f"w{width}:{at:x}:{value:x}" for (at, width), value in zip(some, values, strict=True)), more="map=normal"
        )
    found = cell.values(*(f"r{width}:{at:x}" for at, width in reads[:60]), more="map=normal")
    assert found == [memory.at(at, width) for at, width in reads[:60]]


@pytest.mark.parametrize("what", ["read", "write"])
@pytest.mark.parametrize(("name", "parts"), [("left", LEFT), ("right", RIGHT)])
def test_everything_else_ends_the_cell(neighbours: Neighbours, name: str, parts: list[Part], what: str) -> None:
    _, refused = sort_out(parts, what)
    assert len(refused) >= 80
    if not NIGHTLY:
        refused = refused[what == "write" :: 3]
    cell: Accessor = getattr(neighbours, name)
    form = "r{width}:{at:x}" if what == "read" else "w{width}:{at:x}:5a"
    cell.refused((form.format(at=at, width=width) for at, width in refused), "map=normal")


@pytest.mark.parametrize("form", ["rp", "ri", "rx", "wp", "wi"])
def test_a_form_without_a_syndrome_ends_the_cell(neighbours: Neighbours, form: str) -> None:
    """In the middle of a region that allows all widths."""
    at = BASE + 0x1100
    neighbours.left.refused([f"{form}:{at:x}" + (":5a" if form[0] == "w" else "")])


def test_signs_and_order_are_kept(neighbours: Neighbours) -> None:
    left, at = neighbours.left, BASE + 0x1200
    left.values(f"w8:{at:x}:8182838485868788")
    assert left.values(*(f"{op}:{at:x}" for op in ("s1", "s2", "s4", "a1", "a2", "a4", "a8"))) == [
        0xFFFFFFFFFFFFFF88,
        0xFFFFFFFFFFFF8788,
        0xFFFFFFFF85868788,
        0x88,
        0x8788,
        0x85868788,
        0x8182838485868788,
    ]


def test_the_root_keeps_the_bytes_between(bed: Bed, neighbours: Neighbours) -> None:
    """Access by access, right up to the cells' bytes, to read and to write."""
    memory = neighbours.memory
    rest = [(BASE + 2, 1), (BASE + 4, 4), (BASE + 0x100, 2), (BASE + 0x106, 2), (BASE + 0x202, 1), (BASE + 0x206, 2)]
    rest += [(BASE + 0x302, 1), (BASE + 0x308, 8), (BASE + 0x4F8, 8), (BASE + 0x508, 8), (BASE + 0x1000, 1)]
    rest += [(BASE + 0x2FF8, 4), (BASE + 0x3008, 8)]
    for at, width in rest:
        (value,) = bed.root.script(f"devmem {at:#x} {8 * width}", "command").text.split()
        assert int(value, 16) == memory.at(at, width), hex(at)
        memory.put(at, width, at * 0x123457 & (1 << 8 * width) - 1)
        bed.root.script(f"devmem {at:#x} {8 * width} {memory.at(at, width):#x}", "command")
        assert int(bed.root.script(f"devmem {at:#x} {8 * width}", "command").text, 16) == memory.at(at, width)
    assert bed.watch.traps == []


def test_a_page_is_the_roots_again_when_the_last_part_is(bed: Bed, neighbours: Neighbours) -> None:
    """Nothing was written but what was allowed."""
    neighbours.left.destroy()
    (value,) = neighbours.right.values(f"r1:{BASE + 1:x}")  # the page stays away from the root for the other cell
    assert value == neighbours.memory.at(BASE + 1, 1)
    neighbours.right.destroy()
    neighbours.memory.check()
    assert bed.watch.traps == []


@pytest.mark.parametrize(
    ("region", "line"),
    [
        (f"{{physical: {BASE + 1:#x}, size: 1, flags: read write io}}", "not page aligned, which needs IO_8"),
        (f"{{physical: {BASE + 1:#x}, size: 4, flags: read io io-32 execute}}", "no LOADABLE, no EXECUTE"),
        (f"{{physical: {BASE + 1:#x}, size: 4, flags: read io io-32 loadable}}", "no LOADABLE, no EXECUTE"),
        (f"{{physical: {BASE + 1:#x}, virtual: {BASE + 2:#x}, size: 4, flags: read io io-8}}", "keep its alignment"),
        ("{physical: 0x7fbffffe, size: 3, flags: read io io-8}", "overlaps the hypervisor's memory"),
        ("{physical: 0x0800ffff, size: 1, flags: read io io-8}", "or the interrupt controller"),
    ],
)
def test_parts_that_make_no_sense_are_refused(bed: Bed, region: str, line: str) -> None:
    path = cell_file(bed, config("senseless", 3, [region], ram=0x72000000), "senseless")
    bed.lines.clear()
    bed.root.script(f"jailhouse cell create {path}", "create", allowed=(1,))
    assert "memory region 4" in bed.wait_for_line(line)
    assert "senseless" not in bed.root.cell_states()


def test_two_cells_parts_may_not_overlap(bed: Bed) -> None:
    one = Accessor.create(bed, "one", config("one", 1, [Part(BASE + 0x10, 3, "read write io-8").yaml()]))
    for part in (Part(BASE + 0x12, 1, "read io-8"), Part(BASE + 0xF, 2, "read io-8"), Part(BASE, PAGE, "read")):
        path = cell_file(bed, config("two", 2, [part.yaml()], ram=0x74000000), "two")
        bed.lines.clear()
        said = bed.root.script(f"jailhouse cell create {path} 2>&1", "create", allowed=(1,)).text
        assert "Device or resource busy" in said
        bed.wait_for_line('overlaps memory of cell "one"')
    one.destroy()

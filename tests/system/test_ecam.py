# SPDX-License-Identifier: Apache-2.0
"""Configuration space and device registers under accesses of all widths, alignments and forms, by a cell and by the
root: each byte lane has its value, what is absent reads as ones, and what cannot be answered ends with a report. No
access gets a wrong value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from accesses import RESULTS, Accessor
from conftest import CELLS, Bed, Boot, plan

from hil.session import State

ECAM = 0x0F000000
END = ECAM + 0x100000
OWN = ECAM + 0x8000
"""The cell's device, 00:01.0; its neighbours are absent for the cell, though 00:00.0 is the root's."""
BAR = 0x0F140000
"""Where the cell puts its registers."""
HEADER = {
    0x00: 0x4106110A,
    0x08: 0xFF400000,
    0x0C: 0,
    0x2C: 0x4106110A,
    0x34: 0x40,
    0x3C: 0x200,
    0x40: 0x00200009,
    0x44: 0x1000,
    0x48: 0xF000,
    0x4C: 0,
    0x50: 0x40000,
    0x54: 0,
    0x58: 0x7FB00000,
    0x5C: 0,
    0x60: 0,
    0xFFC: 0,
}
"""Words of its configuration space that never change."""
WIDTHS = (1, 2, 4)


def lanes(words: dict[int, int], base: int, widths: tuple[int, ...] = WIDTHS) -> dict[str, int]:
    """All aligned loads of these words, with what they must give."""
    return {
        f"r{width}:{base + reg + lane:x}": word >> 8 * lane & (1 << 8 * width) - 1
        for reg, word in words.items()
        for width in widths
        for lane in range(0, 4, width)
    }


@pytest.fixture(scope="module")
def bed(boot: Boot) -> Bed:
    """Enabled, without a driver: it would keep /dev/mem away from its window."""
    started = boot(plan())
    started.root.enable("qemu-root.cell")
    return started


@pytest.fixture(scope="module")
def linked(bed: Bed) -> Iterator[Accessor]:
    """Peer 1 of link 1."""
    text = (CELLS / "ivshmem-peer-1.yaml").read_text().rstrip()
    results = f"  - {{physical: {RESULTS:#x}, size: 4K, flags: read write root-shared}}\n"
    yield Accessor.create(bed, "ivshmem-peer-1", text.replace("\nirqchips:", f"\n{results.rstrip()}\nirqchips:") + "\n")


def expect(cell: Accessor, expected: dict[str, int]) -> None:
    """All of these loads, in as many runs as they need."""
    operations = list(expected)
    for first in range(0, len(operations), 50):
        some = operations[first : first + 50]
        assert dict(zip(some, cell.values(*some), strict=True)) == {one: expected[one] for one in some}


def test_every_byte_lane_of_the_header(linked: Accessor) -> None:
    expect(linked, lanes(HEADER, OWN))


def test_signed_and_ordered_loads(linked: Accessor) -> None:
    expect(
        linked,
        {
            f"s1:{OWN + 0xB:x}": 0xFFFFFFFFFFFFFFFF,  # the class, 0xff
            f"s1:{OWN + 1:x}": 0x11,
            f"s2:{OWN + 0xA:x}": 0xFFFFFFFFFFFFFF40,
            f"s4:{OWN + 8:x}": 0xFFFFFFFFFF400000,
            f"s4:{OWN:x}": 0x4106110A,
            f"a1:{OWN + 3:x}": 0x41,
            f"a2:{OWN:x}": 0x110A,
            f"a4:{OWN:x}": 0x4106110A,
            f"a8:{ECAM:x}": 0xFFFFFFFFFFFFFFFF,
            f"s2:{ECAM + 2:x}": 0xFFFFFFFFFFFFFFFF,
        },
    )


@pytest.mark.parametrize("function", [ECAM, OWN + 0x1000, OWN - 0x1000, ECAM + 0x80000, END - 0x1000])
def test_an_absent_function_reads_as_ones_and_ignores_writes(linked: Accessor, function: int) -> None:
    """The root's own device, the neighbours of the cell's, the middle of the bus, its last function."""
    ones = {reg: 0xFFFFFFFF for reg in (0, 4, 0x40, 0xFFC)}
    expect(linked, lanes(ones, function) | {f"r8:{function + reg:x}": (1 << 64) - 1 for reg in (0, 0xFF8)})
    unaligned = {
        f"r2:{function + 1:x}": 0xFFFF,
        f"r4:{function + 0xFFB:x}": 0xFFFFFFFF,
        f"r8:{function + 3:x}": -1 % 2**64,
    }
    expect(linked, unaligned)
    linked.values(*(f"w{width}:{function + 4:x}:0" for width in (1, 2, 4)), f"w8:{function:x}:0")
    expect(linked, lanes(ones, function))


def test_narrow_writes_reach_their_bytes(linked: Accessor) -> None:
    """BAR 0 and the command register, byte by byte."""
    command, bar, size = OWN + 4, OWN + 0x10, 0xFFFFF000
    found = linked.values(
        f"w4:{bar:x}:ffffffff",
        f"r4:{bar:x}",
        f"w4:{bar:x}:0",
        f"w1:{bar + 3:x}:f",
        f"w1:{bar + 2:x}:14",
        f"r4:{bar:x}",
        f"w2:{bar:x}:ffff",
        f"r4:{bar:x}",
        f"w2:{bar:x}:0",
        f"w1:{command:x}:2",
        f"r4:{command:x}",
        f"w1:{command + 1:x}:4",
        f"r2:{command:x}",
        f"w2:{command + 2:x}:ffff",
        f"r4:{command:x}",
        f"w1:{OWN + 0x43:x}:ff",
        f"r4:{OWN + 0x40:x}",
        f"w1:{OWN + 0x43:x}:0",
    )
    read = [value for value in found if value]
    assert read == [size, BAR, BAR | 0xF000, 0x00100002, 0x402, 0x00100402, 0x01200009]


REFUSED = {
    "64 bits of a function": (f"r8:{OWN:x}", "MMCONFIG read, device 00:01.0, reg: 0x0, size: 8"),
    "64 bits written": (f"w8:{OWN + 0x10:x}:0", "MMCONFIG write, device 00:01.0, reg: 0x10, size: 8"),
    "a half word off its place": (f"r2:{OWN + 1:x}", "MMCONFIG read, device 00:01.0, reg: 0x1, size: 2"),
    "a word off its place": (f"r4:{OWN + 2:x}", "MMCONFIG read, device 00:01.0, reg: 0x2, size: 4"),
    "a word off its place, written": (f"w4:{OWN + 0x11:x}:0", "MMCONFIG write, device 00:01.0, reg: 0x11, size: 4"),
    "out of an absent function into it": (f"r4:{OWN - 2:x}", "MMCONFIG read, device 00:00.7, reg: 0xffe, size: 4"),
    "written there": (f"w8:{OWN - 4:x}:0", "MMCONFIG write, device 00:00.7, reg: 0xffc, size: 8"),
    "out of it": (f"r8:{OWN + 0xFFC:x}", "MMCONFIG read, device 00:01.0, reg: 0xffc, size: 8"),
    "out of the bus": (f"r4:{END - 2:x}", "MMCONFIG read, device 00:1f.7, reg: 0xffe, size: 4"),
    "the identity": (f"w2:{OWN + 2:x}:0", "MMCONFIG write, device 00:01.0, reg: 0x2, size: 2"),
    "the capability": (f"w1:{OWN + 0x42:x}:0", "MMCONFIG write, device 00:01.0, reg: 0x42, size: 1"),
    "behind the bus": (f"r4:{END + 0x90000:x}", f"Unhandled data read at 0x{END + 0x90000:x}(4)"),
    "before the bus": (f"r1:{ECAM - 1:x}", f"Unhandled data read at 0x{ECAM - 1:x}(1)"),
    "into the bus": (f"r4:{ECAM - 2:x}", f"Unhandled data read at 0x{ECAM - 2:x}(4)"),
    "a pair": (f"rp:{OWN:x}", f"Unhandled data read at 0x{OWN:x}(1)"),
    "a pair, written": (f"wp:{OWN + 4:x}:0", f"Unhandled data write at 0x{OWN + 4:x}(1)"),
    "a pair, absent": (f"rp:{ECAM:x}", f"Unhandled data read at 0x{ECAM:x}(1)"),
    "write-back": (f"ri:{OWN:x}", f"Unhandled data read at 0x{OWN:x}(1)"),
    "write-back, written": (f"wi:{OWN + 0x10:x}:0", f"Unhandled data write at 0x{OWN + 0x10:x}(1)"),
    "exclusive": (f"rx:{OWN:x}", f"Unhandled data read at 0x{OWN:x}(1)"),
}


def test_what_cannot_be_answered_ends_the_cell(linked: Accessor) -> None:
    """What each of them is, the report says."""
    for operation, trap in linked.traps(operation for operation, _ in REFUSED.values()):
        (line,) = [line for op, line in REFUSED.values() if op == operation]
        assert any(line in said for said in linked.bed.lines), (operation, linked.bed.lines)
        assert trap["cpu"] is not None
    expect(linked, lanes({0x10: 0, 0x00: 0x4106110A}, OWN))  # nothing of it was written


PLACE_BAR = (f"w4:{OWN + 0x10:x}:{BAR:x}", f"w2:{OWN + 4:x}:2")


def test_every_byte_lane_of_the_registers(linked: Accessor) -> None:
    """They have 32 bits each; other widths get or change the bytes that they name."""
    operations = {
        f"w4:{BAR + 0x10:x}:81828384": 0,
        f"r1:{BAR + 0x10:x}": 0x84,
        f"r1:{BAR + 0x11:x}": 0x83,
        f"r1:{BAR + 0x13:x}": 0x81,
        f"r2:{BAR + 0x12:x}": 0x8182,
        f"s2:{BAR + 0x10:x}": 0xFFFFFFFFFFFF8384,
        f"r8:{BAR + 0x10:x}": 0x81828384,
        f"r8:{BAR:x}": 0x3_0000_0001,  # its id and the number of peers
        f"r1:{BAR + 4:x}": 3,
        f"r2:{BAR + 6:x}": 0,
        f"w1:{BAR + 0x12:x}:55": 0,
        f"r4:{BAR + 0x10:x}": 0x81558384,
        f"w8:{BAR + 8:x}:1": 0,  # interrupts on, and a doorbell to peer 0
        f"r4:{BAR + 8:x}": 1,
        f"w2:{BAR + 8:x}:0": 0,
        f"r8:{BAR + 8:x}": 0,
        f"r4:{BAR + 0xFFC:x}": 0,
        f"r8:{BAR + 0xFF8:x}": 0,
    }
    found = linked.values(*PLACE_BAR, *operations)[len(PLACE_BAR) :]
    assert dict(zip(operations, found, strict=True)) == operations


@pytest.mark.parametrize("operation", ["r4:{:x}", "r2:{:x}", "r8:{:x}", "w4:{:x}:1"])
def test_registers_off_their_place_end_the_cell(linked: Accessor, operation: str) -> None:
    at = BAR + 0x11
    assert int(str(linked.trap(*PLACE_BAR, operation.format(at))["address"]), 16) == at


def devmem(bed: Bed, address: int, width: int) -> int:
    return int(bed.root.script(f"devmem {address:#x} {8 * width}", "command").text, 16)


def test_the_root_sees_the_same(bed: Bed, linked: Accessor) -> None:
    """Its own two devices, and the cell's neighbour at none of them."""
    for reg, word in HEADER.items():
        for width in WIDTHS:
            for lane in range(0, 4, width):
                assert devmem(bed, OWN + reg + lane, width) == word >> 8 * lane & (1 << 8 * width) - 1, hex(reg)
    for function in (ECAM + 0x1000, OWN + 0x1000, END - 0x1000):
        for width in (*WIDTHS, 8):
            assert devmem(bed, function, width) == (1 << 8 * width) - 1
            assert devmem(bed, function + 0x1000 - width, width) == (1 << 8 * width) - 1
    assert bed.watch.traps == []


def test_the_root_is_stopped_where_it_cannot_be_answered(boot: Boot) -> None:
    """A CPU each: 64 bits of a function that is there, a pair, a write-back, behind the bus."""
    bed = boot(plan())
    bed.machine.session.transition(State.ENABLED)
    aims = [OWN, ECAM + 0x10, OWN + 8, END + 0x90000]
    bed.park_root_cpus(f"peek={','.join(map(hex, aims))} form=8,2,1,4", len(aims))
    assert {int(str(trap["address"]), 16) for trap in bed.watch.traps if trap["address"]} >= set(aims[1:])
    for line in ("MMCONFIG read, device 00:01.0, reg: 0x0, size: 8", f"at 0x{OWN + 8:x}(1)"):
        assert any(line in said for said in bed.lines), line


TWINS = """
  - {{type: ivshmem, domain: 1, bdf: "00:0{slot}.{function}", first-region: {first}, peer-id: 1, peers: 2,
     protocol: {protocol}}}"""


def test_functions_of_one_slot_are_told_as_such(bed: Bed) -> None:
    """Header type, bit 7: whoever looks for functions looks no further without it."""
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: twins").replace("[1]", "[3]").rstrip()
    text = text.replace("0x70000000", "0x72000000") + "\nvpci-irq-base: 108\n"
    places = {"undefined": (0x7D000000, 4, 0), "ethernet": (0x7D010000, 4, 7), "virtio-front": (0x7D020000, 5, 0)}
    regions = f"\n  - {{physical: {RESULTS:#x}, size: 4K, flags: read write root-shared}}"
    for name, (start, _, _) in places.items():
        for page, size, flags in ((0, "4K", f"read root-shared, name: {name}"), (1, "0", "read root-shared")):
            regions += f"\n  - {{physical: {start + page * 0x1000:#x}, size: {size}, flags: {flags}}}"
        for peer in range(2):
            right = "read write" if peer == 1 else "read"
            regions += f"\n  - {{physical: {start + (1 + peer) * 0x1000:#x}, size: 4K, flags: {right} root-shared}}"
    devices = "".join(
        TWINS.format(slot=slot, function=f, first=name, protocol=name) for name, (_, slot, f) in places.items()
    )
    text = text.replace("\nvpci-irq-base", f"{regions}\npci:{devices}\nvpci-irq-base")
    cell = Accessor.create(bed, "twins", text)
    at = [ECAM + (slot << 15) + (f << 12) for _, slot, f in places.values()]
    found = cell.values(*(f"r1:{function + 0xE:x}" for function in at), *(f"r4:{function + 8:x}" for function in at))
    cell.destroy()
    assert found == [0x80, 0x80, 0, 0xFF000000, 0xFF000100, 0xFF800000], "and their protocols are the class's"

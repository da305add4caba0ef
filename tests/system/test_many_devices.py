# SPDX-License-Identifier: Apache-2.0
"""One cell with as many ivshmem devices as gaol has links, 32, each on a link of its own with peers of its own: the
root on all of them, a third cell on some. A doorbell, a state and an interrupt are those of one device alone, though
the devices share the four pins of the bus."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from conftest import CELLS, TARGET, Bed, Boot, cell_file, plan
from mesh import words
from test_pci_core import tree_with_host

from hil import target
from hil.limits import Deadline, Limits
from hil.target import CellUse

MANY = 0x7E000000
PAGE = 0x1000
STRIDE = 4 * PAGE
"""A link's memory: state table, no read/write section, up to three output sections."""
DEVICES = 32
MULTI = 2
"""The slot that has two functions; the others have one."""
SPOKES = (3, 7, MULTI)
"""Links, by index, that have a third peer, the cell `spoke`."""
FUNCTIONS = [(slot, 0) for slot in range(DEVICES - 1)]
FUNCTIONS.insert(MULTI + 1, (MULTI, 1))
"""Slot and function of each link's devices, in the order in which a bus is searched."""
POOL = "cat /sys/devices/jailhouse/mem_pool_used"
ROOT_PCI = "/sys/bus/pci/devices"


@dataclass(frozen=True)
class Link:
    """One of them. Ids differ from link to link, so that one who takes a peer for another is found out."""

    index: int

    @property
    def peers(self) -> int:
        return 3 if self.index in SPOKES else 2

    @property
    def hub(self) -> int:
        return self.index % self.peers

    @property
    def root(self) -> int:
        return (self.hub + 1) % self.peers

    @property
    def spoke(self) -> int:
        return (self.hub + 2) % self.peers

    @property
    def memory(self) -> int:
        return MANY + self.index * STRIDE

    @property
    def bdf(self) -> str:
        return "00:{:02x}.{:x}".format(*FUNCTIONS[self.index])

    @property
    def pin(self) -> int:
        return FUNCTIONS[self.index][0] % 4

    def output(self, peer: int) -> int:
        return self.memory + PAGE * (1 + peer)

    def sections(self, own: int, flags: str) -> str:
        """Memory regions of one end, in YAML."""
        state = f"{{name: l{self.index}, physical: {self.memory:#x}, size: 4K, flags: read {flags}}}"
        empty = f"{{physical: {self.memory + PAGE:#x}, size: 0, flags: read write {flags}}}"
        outputs = [
            f"{{physical: {self.output(peer):#x}, size: 4K, flags: read {'write' if peer == own else ''} {flags}}}"
            for peer in range(self.peers)
        ]
        return "".join(f"\n  - {region}" for region in [state, empty, *outputs])

    def device(self, own: int) -> str:
        """The PCI device of one end, in YAML."""
        words = f'domain: 1, bdf: "{self.bdf}", first-region: l{self.index}, peer-id: {own}, peers: {self.peers}'
        return f"\n  - {{type: ivshmem, {words}, protocol: custom}}"


LINKS = [Link(index) for index in range(DEVICES)]


def cell_text(name: str, cpu: int, ends: list[tuple[Link, int]]) -> str:
    """A cell on one CPU with these ends: links and its ids there."""
    first = 128 + 4 * cpu
    return f"""
kind: cell
architecture: arm64
name: {name}
devices: ../devices.yaml
flags: passive-comm-region virtual-console-permitted
cpus: [{cpu}]
vpci-irq-base: {first - 32}
reset-address: 0x0
memory:
  - {{physical: {0x70000000 + cpu * 0x200000:#x}, virtual: 0, size: 1M, flags: read write execute loadable}}
  - {{physical: 0, virtual: 0x80000000, size: 4K, flags: read write comm-region}}
{"".join(link.sections(own, "root-shared") for link, own in ends).strip(chr(10))}
irqchips:
  - {{device: gicd, pin-base: 32, interrupts: [{first}-{first + 3}]}}
pci:{"".join(link.device(own) for link, own in ends)}
"""


def system_text() -> str:
    """The qemu target's system config with the root's ends of the 32 links in the place of its own two."""
    text = (CELLS / "qemu-root.yaml").read_text()
    before, rest = text.split("  # link0: root (0) and one cell (1)\n")
    irqchips = rest[rest.index("irqchips:") : rest.index("pci:\n")]
    before = before.replace("size: 250M", "size: 224M")  # up to the links' memory
    sections = "".join(link.sections(link.root, "") for link in LINKS).lstrip("\n")
    return f"{before}{sections}\n{irqchips}pci:{''.join(link.device(link.root) for link in LINKS)}\n"


def hub_text() -> str:
    return cell_text("hub", 1, [(link, link.hub) for link in LINKS])


def states(bed: Bed) -> list[list[int]]:
    """Each link's state table."""
    of_peers = zip(*(words(bed, MANY + 4 * peer, STRIDE, DEVICES) for peer in range(3)), strict=True)
    return [list(table[: link.peers]) for link, table in zip(LINKS, of_peers, strict=True)]


@dataclass
class Root:
    """The root's ends: the UIO device of each. While a file of it is open it has its state and its interrupt."""

    bed: Bed
    devices: list[str]

    @classmethod
    def find(cls, bed: Bed) -> Root:
        names = bed.root.script(f"ls -d {ROOT_PCI}/0001:*/uio/uio*", "run").text.split()
        devices = [f"/dev/{name.rpartition('/')[2]}" for name in names]
        bed.root.script("; ".join(f"sleep 100000 <>{device} & " for device in devices).replace("& ;", "&"), "run")
        return cls(bed, devices)

    def write(self, link: Link, register: int, value: int) -> None:
        device = self.devices[link.index]
        self.bed.root.script(f"driver-check register {register:#x} {value:#x} {device}", "command")

    def read(self, register: int) -> list[int]:
        """A register of each end."""
        said = self.bed.root.script(f"driver-check register {register:#x} - {' '.join(self.devices)}", "command")
        return [int(word, 16) for word in said.text.split()]

    def ring(self, link: Link, peer: int) -> None:
        self.write(link, 0xC, peer << 16)

    def arm(self) -> None:
        """Switches the interrupts of all ends on; the driver has made them one-shot."""
        self.bed.root.script(f"driver-check register 8 1 {' '.join(self.devices)}", "command")

    def fired(self) -> set[int]:
        """Which ends have switched theirs off since."""
        return {index for index, on in enumerate(self.read(8)) if not on}

    def events(self) -> list[int]:
        """What each end's UIO device has counted."""
        files = " ".join(f"/sys/class/uio/{device.rpartition('/')[2]}/event" for device in self.devices)
        return [int(count) for count in self.bed.root.script(f"cat {files}", "command").text.split()]


def found(bed: Bed) -> list[str]:
    """The virtual devices that the root's kernel has."""
    said = bed.root.script(f"ls {ROOT_PCI}", "command").text.split()
    return [name for name in said if name.startswith("0001:")]


def counts(bed: Bed, which: str) -> list[int]:
    """Interrupts that `hub` or `spoke` has counted, by link; those that are no end of one have none."""
    of_peers = [words(bed, MANY + PAGE * (1 + peer), STRIDE, DEVICES) for peer in range(2)]
    third = [0] * DEVICES
    for index in SPOKES:
        (third[index],) = words(bed, LINKS[index].output(2), PAGE, 1)
    of_peers.append(third)
    return [
        of_peers[getattr(link, which)][link.index] if which == "hub" or link.index in SPOKES else 0 for link in LINKS
    ]


@pytest.fixture(scope="module")
def root(boot: Boot, tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Enabled, the devices found by the kernel's PCI core and bound to the driver; no cell."""
    described = target.load(TARGET)
    tree = tree_with_host(tmp_path_factory.mktemp("tree"), 0x100000)
    machine = replace(described.machine, extra=(*described.machine.extra, "-dtb", str(tree)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "load", lambda name: replace(described, machine=machine))
        bed = boot(plan())
    bed.root.run(["insmod", "/hil/jailhouse.ko"], "enable")
    bed.root.script("modprobe uio; insmod /hil/uio_ivshmem.ko", "driver")
    bed.root.run(["jailhouse", "enable", cell_file(bed, system_text(), "many")], "enable")
    return Root.find(bed)


@dataclass
class Hub:
    """The cell with all the devices, and `spoke` beside it; what they had counted when it was quiet."""

    root: Root
    before: int
    """Pages in use before it was created."""
    counts: dict[str, list[int]]

    def rise(self, **rises: set[int]) -> None:
        """These links' ends of `hub` and `spoke` have one more interrupt each soon, and nobody else has."""
        bed = self.root.bed
        expected = {
            name: [count + (index in rises.get(name, ())) for index, count in enumerate(had)]
            for name, had in self.counts.items()
        }
        deadline = Deadline(Limits({"line": 20.0}), "line", f"interrupts at {rises}")
        while (now := {name: counts(bed, name) for name in expected}) != expected:
            deadline.check(lambda: f"counted are {now}")
            bed.watch.pause(0.05)
        bed.watch.pause(0.1)
        assert {name: counts(bed, name) for name in expected} == expected, "one too many"
        self.counts = expected


@pytest.fixture(scope="module")
def hub(root: Root) -> Hub:
    bed = root.bed
    before = int(bed.root.script(POOL, "command").text)
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, hub_text(), "hub")], "create")
    spoke = cell_text("spoke", 2, [(LINKS[index], LINKS[index].spoke) for index in sorted(SPOKES)])
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, spoke, "spoke")], "create")
    root.arm()
    for name, devices in (("spoke", len(SPOKES)), ("hub", DEVICES)):
        use = CellUse("", name, "ivshmem-many.bin", f"devices={devices}")
        bed.root.load(use)
        bed.root.start(use)
    deadline = Deadline(Limits({"line": 40.0}), "line", "all devices of both cells to be ready")
    while [table[link.hub] for link, table in zip(LINKS, states(bed), strict=True)] != [2] * DEVICES:
        deadline.check(bed.watch.hint)
        bed.watch.pause(0.2)
    had: dict[str, list[int]] = {}
    while had != (now := {name: counts(bed, name) for name in ("hub", "spoke")}):
        had = now
        bed.watch.pause(0.3)
    return Hub(root, before, had)


def test_the_kernel_finds_all_of_them(root: Root) -> None:
    assert found(root.bed) == [f"0001:{link.bdf}" for link in LINKS]
    assert root.read(0) == [link.root for link in LINKS]
    assert root.read(4) == [link.peers for link in LINKS]


def test_state_tables_are_each_links_own(root: Root, hub: Hub) -> None:
    bed = root.bed
    ready = [[0 if peer == link.root else 2 for peer in range(link.peers)] for link in LINKS]
    assert states(bed) == ready
    assert root.fired() == set(range(DEVICES)), "each end of the root was told of its own peer's state"
    root.write(LINKS[5], 0x10, 77)
    hub.rise(hub={5})
    ready[5][LINKS[5].root] = 77
    assert states(bed) == ready


@pytest.mark.parametrize("index", [0, 5, 9, 29, MULTI, MULTI + 1, 31, 30])
def test_a_doorbell_is_one_devices_alone(root: Root, hub: Hub, index: int) -> None:
    """From the root to the cell, and the answer back. The first four are on one pin, and so are the next three."""
    link = LINKS[index]
    root.arm()
    events = root.events()
    root.ring(link, link.hub)
    hub.rise(hub={index})
    assert root.fired() == {index}
    risen = [now - had for now, had in zip(root.events(), events, strict=True)]
    assert risen == [int(other.pin == link.pin) for other in LINKS], "UIO counts an edge for all devices of its pin"


@pytest.mark.parametrize("index", sorted(SPOKES))
def test_a_third_peer_has_its_own_links(root: Root, hub: Hub, index: int) -> None:
    """The root rings the spoke, that rings the hub, that rings the root; the other links hear nothing."""
    root.arm()
    root.ring(LINKS[index], LINKS[index].spoke)
    hub.rise(hub={index}, spoke={index})
    assert root.fired() == {index}


def test_one_link_more_is_refused_and_changes_nothing(root: Root, hub: Hub) -> None:
    bed = root.bed
    before = bed.root.script(POOL, "command").text
    section = "".join(
        f"\n  - {{physical: {0x7D000000 + PAGE * page:#x}, size: {size}, flags: read root-shared {flags}}}"
        for page, size, flags in ((1, 0, ""), (1, "4K", ""), (2, "4K", "write"))
    )
    text = cell_text("late", 3, []).replace("pci:\n", "").rstrip()
    state = "\n  - {name: l, physical: 0x7d000000, size: 4K, flags: read root-shared}"
    text = text.replace("\nirqchips", f"{state}{section}\nirqchips")
    text += '\npci:\n  - {type: ivshmem, domain: 1, bdf: "00:1f.0", first-region: l, peer-id: 1, peers: 2}\n'
    bed.lines.clear()
    said = bed.root.script(f"jailhouse cell create {cell_file(bed, text, 'late')} 2>&1", "create", allowed=(1,))
    assert "Cannot allocate memory" in said.text
    bed.wait_for_line('Cell "late" refused: more than 32 shared memory links')
    assert bed.root.script(POOL, "command").text == before
    assert set(bed.root.cell_states()) == {"qemu-root", "hub", "spoke"}
    hub.rise()


def test_a_cell_that_goes_is_gone_from_all_of_its_links(root: Root, hub: Hub) -> None:
    bed = root.bed
    root.arm()
    bed.root.run(["jailhouse", "cell", "destroy", "hub"], "destroy")
    assert [table[link.hub] for link, table in zip(LINKS, states(bed), strict=True)] == [0] * DEVICES
    assert root.fired() == set(range(DEVICES)), "its state became 0 on each"
    bed.root.run(["jailhouse", "cell", "destroy", "spoke"], "destroy")
    assert int(bed.root.script(POOL, "command").text) == hub.before
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-3\n"


def test_the_roots_devices_go_and_come_back(root: Root, hub: Hub) -> None:
    bed = root.bed
    for _ in range(2):
        bed.root.script("killall sleep; jailhouse disable", "disable")
        assert found(bed) == []
        assert bed.root.script("ls /dev/uio* 2>&1; true", "command").text.startswith("ls: ")
        bed.root.script("jailhouse enable /tmp/many.cell", "enable")
        assert found(bed) == [f"0001:{link.bdf}" for link in LINKS]
    again = Root.find(bed)
    assert again.read(0) == [link.root for link in LINKS]
    assert again.events() == [0] * DEVICES
    assert bed.watch.traps == []

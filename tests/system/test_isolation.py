# SPDX-License-Identifier: Apache-2.0
"""Every rule of docs/isolation.md, broken on purpose: by cells with their MMU on and off, by the root cell's kernel and
user space. What must trap traps, is told whole, parks and fails its cell alone; what must stay hidden reads as zero."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from conftest import CELLS, Bed, Boot, cell_file, plan
from debugger import Debugger

from hil import places
from hil.errors import Trapped
from hil.limits import Deadline, Limits
from hil.session import State
from hil.target import CellUse

CHECK = "/hil/gaol-check.ko"
SEEDS = (77, 1234)


@dataclass
class Cell:
    """A cell that exists, to be loaded with one inmate after the other."""

    bed: Bed
    name: str

    def run(self, inmate: str, command_line: str) -> None:
        """Loads and starts; what the console has said before is forgotten."""
        self.bed.lines.clear()
        self.bed.watch.traps.clear()
        use = CellUse("", self.name, inmate, command_line)
        self.bed.root.load(use)
        self.bed.root.start(use)

    def trap(self, inmate: str, command_line: str) -> dict[str, object]:
        """Runs what must trap; the one trap."""
        self.bed.watch.traps_end_waits = True
        try:
            with pytest.raises(Trapped):
                self.run(inmate, command_line)
                self.bed.watch.pause(30)
        finally:
            self.bed.watch.traps_end_waits = False
        (trap,) = self.bed.watch.traps
        assert (trap["cell"], trap["outcome"]) == (self.name, "parked")
        assert trap["pc"] is not None and trap["registers"]
        self.bed.watch.traps.clear()
        return dict(trap)

    def holds(self, act: str, more: str = "") -> None:
        """Runs an act of the inmate `isolation` that must end well. The neighbour writes to the same UART now and then:
        when it wrote into the end's line, the act is run once more."""
        said, expected = "", f"isolation: held {act}"
        for _ in range(2):
            self.run("isolation.bin", f"act={act} {more}".strip())
            said = self.bed.wait_for_line(f"{act}").strip()
            assert [line for line in self.bed.lines if "BROKEN" in line] == []
            if said == expected:
                return
        assert said == expected

    def state(self) -> str:
        return str(self.bed.root.cell_states()[self.name])


@dataclass
class Slot:
    """CPU 1 and its RAM: one cell at a time, kept until another one is wanted."""

    bed: Bed
    name: str = ""

    def use(self, path: str, name: str) -> Cell:
        if self.name != name:
            self.clear()
            self.bed.root.run(["jailhouse", "cell", "create", path], "create")
            self.name = name
        return Cell(self.bed, name)

    def clear(self) -> None:
        if self.name:
            self.bed.root.run(["jailhouse", "cell", "destroy", self.name], "destroy")
            self.name = ""


@pytest.fixture(scope="module")
def slot(bed: Bed) -> Slot:
    return Slot(bed)


@pytest.fixture(scope="module")
def neighbour(bed: Bed) -> Cell:
    """A cell on CPU 2 that counts, now and then, while others misbehave; it must go on."""
    bed.root.run(["jailhouse", "cell", "create", "/hil/cells/neighbour.cell"], "create")
    cell = Cell(bed, "neighbour")
    cell.run("hello.bin", "interval_ms=4000")
    return cell


@pytest.fixture
def hello(slot: Slot, neighbour: Cell) -> Cell:
    return slot.use("/hil/cells/hello.cell", "hello")


@pytest.fixture
def linked(slot: Slot) -> Cell:
    return slot.use("/hil/cells/ivshmem-latency.cell", "ivshmem-latency")


ATTACKS = {
    "device-not-granted": ("fault.bin", "act=read addr=0x09010000", 0x09010000),
    "write-to-hypervisor": ("fault.bin", "act=write addr=0x7fc00000", 0x7FC00000),
    "read-of-root-memory": ("fault.bin", "act=read addr=0x40000000", 0x40000000),
    "read-of-another-cell": ("fault.bin", "act=read addr=0x71000000", 0x71000000),
    "write-to-another-cell": ("fault.bin", "act=write addr=0x71000008 size=8", 0x71000008),
    "pair-at-the-gic": ("fault.bin", "act=pair-read addr=0x08000100", 0x08000100),
    "byte-at-the-gic": ("fault.bin", "act=read addr=0x08000100 size=1", 0x08000100),
    "uart-page-behind": ("fault.bin", "act=write addr=0x09001000", 0x09001000),
    "foreign-hypervisor-call": ("fault.bin", "act=hvc", None),
    "foreign-monitor-call": ("fault.bin", "act=smc", None),
    "unknown-service": ("fault.bin", "act=smc-service", None),
    "mmu-off-write-to-hypervisor": ("isolation.bin", "act=mmu-off addr=0x7fc00000 write=1", 0x7FC00000),
    "mmu-off-read-of-root-memory": ("isolation.bin", "act=mmu-off addr=0x48000000", 0x48000000),
    "mmu-off-read-of-another-cell": ("isolation.bin", "act=mmu-off addr=0x71000000", 0x71000000),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_violation_is_trapped_and_only_its_cell_fails(bed: Bed, hello: Cell, name: str) -> None:
    inmate, command_line, address = ATTACKS[name]
    trap = hello.trap(inmate, f"{command_line} after_ms=10")
    assert trap["cpu"] == 1 and trap["syndrome"] is not None
    if address is not None:
        assert int(str(trap["address"]), 16) == address
    states = bed.root.cell_states()
    assert states["hello"] == "failed" and states["neighbour"] == "running"
    assert states["qemu-root"].startswith("running")


@pytest.mark.parametrize(
    ("address", "what"),
    [(0x7FA00000, "its state table"), (0x7FA10000, "the other's output section"), (0x7FB00000, "another link")],
)
def test_shared_memory_is_writable_by_its_owner_only(linked: Cell, address: int, what: str) -> None:
    trap = linked.trap("fault.bin", f"act=write addr={address:#x} after_ms=10")
    assert int(str(trap["address"]), 16) == address


def test_data_is_not_executed(linked: Cell) -> None:
    trap = linked.trap("fault.bin", "act=exec addr=0x7fa01000 after_ms=10")
    assert int(str(trap["address"]), 16) == 0x7FA01000


def test_the_identity_of_a_virtual_device_cannot_be_written(linked: Cell) -> None:
    linked.trap("fault.bin", "act=ecam device=0 reg=0 after_ms=10")
    linked.bed.wait_for_line("FATAL: Invalid PCI MMCONFIG write")


def test_configuration_space_is_the_cells_own(bed: Bed, linked: Cell) -> None:
    there = 0x0F008000  # 00:01.0, a device of the root's and of no cell that runs
    before = registers(bed, there)
    linked.holds("ecam", "foreign=8")
    assert registers(bed, there) == before


def test_a_doorbell_reaches_who_has_enabled_it(linked: Cell) -> None:
    linked.holds("doorbell")


def registers(bed: Bed, address: int) -> list[str]:
    """Vendor, command and BAR 0 as the root's kernel reads them."""
    bed.lines.clear()
    for offset in (0, 4, 0x10):
        check(bed, f"peek={address + offset:#x}")
    bed.wait_for_line(f"at {address + 0x10:#x} is")
    return [line.split(" is ")[1] for line in bed.lines if "gaol-check: at" in line]


def stranger(bed: Bed, name: str, memory: str) -> str:
    """A cell on CPU 3 with more memory regions; the path of its config."""
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", f"name: {name}").replace("[1]", "[3]")
    return cell_file(bed, text.replace("0x70000000", "0x72000000").rstrip() + memory, name)


@pytest.mark.parametrize(
    ("region", "line"),
    [
        ("{physical: 0x7fa00000, size: 4K, flags: read write root-shared}", "would write the state table"),
        ("{physical: 0x7fa10000, size: 4K, flags: read write root-shared}", "would write the output section of peer 0"),
        ("{physical: 0x7fa01000, size: 4K, flags: read}", "without ROOTSHARED"),
    ],
)
def test_a_config_is_refused_that_reaches_into_a_link(bed: Bed, linked: Cell, region: str, line: str) -> None:
    path = stranger(bed, "stranger", f"\n  - {region}\n")
    bed.lines.clear()
    bed.root.script(f"jailhouse cell create {path}", "create", allowed=(1,))
    assert "memory region 3" in bed.wait_for_line(line)
    assert "stranger" not in bed.root.cell_states()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("peer-id: 1", "peer-id: 1", 'shmem_dev_id 1 of device 00:00.0 is taken by cell "ivshmem-latency"'),
        ('bdf: "00:00.0"', 'bdf: "00:02.0"', "device 00:02.0 shares its state table with 00:00.0"),
    ],
)
def test_one_end_per_id_and_ends_agree(bed: Bed, linked: Cell, old: str, new: str, line: str) -> None:
    text = (CELLS / "ivshmem-latency.yaml").read_text().replace("name: ivshmem-latency", "name: twin")
    text = text.replace("[1]", "[3]").replace("0x70000000", "0x72000000").replace(old, new)
    text = text.replace("vpci-irq-base: 100", "vpci-irq-base: 104").replace("[132-135]", "[136-139]")
    path = cell_file(bed, text, "twin")
    bed.lines.clear()
    bed.root.script(f"jailhouse cell create {path}", "create", allowed=(1,))
    bed.wait_for_line(line)
    assert "twin" not in bed.root.cell_states()


@pytest.mark.parametrize("act", ["gic", "psci", "hypercall", "registers", "order"])
def test_what_is_not_the_cells_is_hidden_or_refused(bed: Bed, hello: Cell, neighbour: Cell, act: str) -> None:
    hello.holds(act)
    assert hello.state() == "shut down" and neighbour.state() == "running"
    assert bed.root.script("echo root lives", "command").out == b"root lives\n"  # its UART's interrupt still comes


def test_the_neighbour_has_not_noticed(bed: Bed, neighbour: Cell) -> None:
    bed.lines.clear()
    bed.wait_for_line("hello ")  # its timer still comes


def test_nothing_of_a_cell_is_left_in_registers(hello: Cell) -> None:
    hello.holds("residue-leave")
    hello.holds("residue-find")


LINE = """
irqchips:
  - {device: gicd, pin-base: 32, interrupts: [132]}
"""


@pytest.fixture
def pair(bed: Bed, slot: Slot) -> Cell:
    """A cell with CPUs 1 and 3 and a shared interrupt of its own. One of them may fault while the other goes on."""
    bed.watch.traps_end_waits = False
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: pair").replace("[1]", "[1, 3]")
    return slot.use(cell_file(bed, text.rstrip() + LINE, "pair"), "pair")


@pytest.mark.parametrize("end", ["fault", "off"])
@pytest.mark.parametrize("seen", [1, 0])
def test_a_cpu_that_stops_gives_shared_interrupts_back(bed: Bed, pair: Cell, end: str, seen: int) -> None:
    pair.holds("shared", f"second=3 line=132 end={end} seen={seen}")
    assert [trap["cpu"] for trap in bed.watch.traps] == ([3] if end == "fault" else [])
    bed.watch.traps.clear()


def test_an_interrupt_that_nobody_finished_is_the_next_owners(bed: Bed, slot: Slot, pair: Cell) -> None:
    pair.trap("isolation.bin", "act=keep line=132")
    pair.holds("take", "line=132")  # loaded again
    pair.trap("isolation.bin", "act=keep line=132")
    slot.clear()
    bed.lines.clear()
    check(bed, "interrupt=132")  # the root's
    bed.wait_for_line("interrupt 132 came 2 times")


def test_two_cpus_fault_at_once_and_a_cell_that_nobody_runs_has_failed(bed: Bed, pair: Cell) -> None:
    pair.run("isolation.bin", "act=pair second=3")
    bed.wait_for_line("Parking CPU 1")
    bed.wait_for_line("Parking CPU 3")
    bed.watch.pause(0.3)
    assert sorted(trap["cpu"] for trap in bed.watch.traps) == [1, 3]
    assert all(trap["registers"] for trap in bed.watch.traps)
    assert pair.state() == "failed"
    pair.run("isolation.bin", "act=off-and-fault second=3")
    bed.wait_for_line("Parking CPU 3")
    assert pair.state() == "failed"
    bed.watch.traps.clear()


SUBPAGE = """
  - {physical: 0x09010000, virtual: 0x09010000, size: 0x10, flags: read io io-32}
  - {physical: 0x0b000000, virtual: 0x0b000000, size: 0x100, flags: read write io io-32}
"""


def test_a_sub_page_region_is_what_its_flags_say_and_no_byte_more(bed: Bed, slot: Slot) -> None:
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: part").rstrip() + SUBPAGE
    cell = slot.use(cell_file(bed, text, "part"), "part")
    cell.holds("subpage", "addr=0x09010000")
    for refused in ("addr=0x09010000 size=2", "addr=0x09010010", "addr=0x0b000000"):  # width, end, nobody there
        cell.trap("isolation.bin", f"act=subpage {refused}")
    bed.lines.clear()
    check(bed, "peek=0x09010fe0")  # the root's part of that page
    bed.wait_for_line("at 0x9010fe0 is 0x00000031")


def check(bed: Bed, parameters: str, wait: str = "command") -> None:
    """One thing that the root cell's kernel does."""
    bed.root.script(f"insmod {CHECK} {parameters} && rmmod gaol_check", wait)


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("hypercall=1 first=0x7fc00000", -22),  # a config in the hypervisor's own memory
        ("hypercall=1 first=0xfffffffffffff000", -22),
        ("hypercall=2 first=77", -2),
        ("hypercall=4 first=0", -22),  # the root cell itself
        ("hypercall=5 first=99", -22),
        ("hypercall=7 first=99", -22),
        ("hypercall=99", -38),
    ],
)
def test_the_root_cells_kernel_is_judged_too(bed: Bed, call: str, result: int) -> None:
    bed.lines.clear()
    check(bed, call)
    bed.wait_for_line(f" gives {result}")


@pytest.fixture
def spoilt(bed: Bed) -> Iterator[str]:
    """The config of a cell on CPU 3, which is offline."""
    bed.lines.clear()
    bed.root.script("echo 0 > /sys/devices/system/cpu/cpu3/online", "command")
    text = (CELLS / "ivshmem-latency.yaml").read_text().replace("[1]", "[3]").replace("0x70000000", "0x72000000")
    yield cell_file(bed, text.replace("size: 16M", "size: 64K").replace("ivshmem-latency", "spoilt"), "spoilt")
    bed.root.script("echo 1 > /sys/devices/system/cpu/cpu3/online", "command")
    assert bed.root.script("devmem 0x72000000 32", "command").out, "the root has the memory again"


@pytest.mark.parametrize("seed", SEEDS)
def test_spoilt_configs_change_nothing(bed: Bed, spoilt: str, seed: int) -> None:
    check(bed, f"rounds=150 config={spoilt} seed={seed}", "run")
    said = bed.wait_for_line("nothing changed")
    counts = re.search(r"(\d+) accepted, (\d+) refused", said)
    assert counts and int(counts[1]) > 0 and int(counts[2]) > 0, said
    reasons = [line for line in bed.lines if "refused: " in line]
    assert len(reasons) >= int(counts[2]) - 5, "each refusal has its line; other writers may have cut a few in two"


@pytest.mark.parametrize("seed", SEEDS)
def test_any_hypercalls_in_any_order_leave_nothing_behind(bed: Bed, neighbour: Cell, spoilt: str, seed: int) -> None:
    check(bed, f"calls=500 config={spoilt} seed={seed}", "run")
    said = bed.wait_for_line("nothing left behind")
    assert " 0 calls done" not in said and " 0 refused" not in said
    for happened in ('Created cell "spoilt"', 'Cell "spoilt" can be loaded', 'Started cell "spoilt"'):
        assert any(happened in line for line in bed.lines), happened
    assert neighbour.state() == "running" and bed.watch.traps == []


FLOODS = ("spin", "hypercall", "sgi", "mmio", "psci", "doorbell", "console")
STARVED = 2500
"""Periods that a timer may miss over its 55 interrupts: a busy host takes CPUs away, but not for 5 s together."""


@contextmanager
def heard(bed: Bed) -> Iterator[list[str]]:
    """The console's text as it comes."""
    text = [""]
    bed.watch.listeners.append(text.append)
    yield text
    bed.watch.listeners.remove(text.append)


def wait_within_flood(bed: Bed, text: list[str], said: str) -> None:
    """Waits for words between whose letters the console flood, dots, may stand: both cells write the same UART."""
    deadline = Deadline(Limits({"line": 40.0}), "line", f"the words {said!r} in the flood")
    while said not in text[0]:
        deadline.check(bed.watch.hint)
        bed.watch.text(0.05)
        text[:] = ["".join(text).replace(".", "")]


@pytest.fixture
def flooder(bed: Bed, slot: Slot) -> Iterator[Cell]:
    """A cell on CPU 3 with a link to the root."""
    text = (CELLS / "ivshmem-latency.yaml").read_text().replace("ivshmem-latency", "flooder").replace("[1]", "[3]")
    slot.clear()
    path = cell_file(bed, text.replace("0x70000000", "0x72000000"), "flooder")
    bed.root.run(["jailhouse", "cell", "create", path], "create")
    yield Cell(bed, "flooder")
    bed.root.run(["jailhouse", "cell", "destroy", "flooder"], "destroy")


def test_floods_do_not_stop_another_cells_timer(bed: Bed, slot: Slot, flooder: Cell) -> None:
    timer = slot.use("/hil/cells/timer-jitter.cell", "timer-jitter")
    for kind in FLOODS:
        flooder.run("isolation.bin", f"act=flood kind={kind}")
        bed.wait_for_line("flood of")
        with heard(bed) as text:
            timer.run("timer-jitter.bin", "count=50 warmup=5 period_us=2000 report_ms=100000")
            wait_within_flood(bed, text, "timer-jitter: done")
        missed = re.findall(r'"lost":(\d+)', text[0])
        assert missed and int(missed[-1]) <= STARVED, f"beside a flood of {kind}: {text[0][-2000:]}"
        assert bed.watch.traps == [] and flooder.state() == "running"


def test_a_cell_that_failed_recovers(bed: Bed, hello: Cell, slot: Slot) -> None:
    hello.trap("fault.bin", "act=read addr=0x09010000 after_ms=10")
    hello.run("hello.bin", "interval_ms=20 count=3")
    bed.wait_for_line("hello 3")
    slot.clear()
    assert bed.root.script("cat /sys/devices/system/cpu/online", "command").out == b"0-1,3\n"


def test_the_root_cells_user_space_is_stopped_and_that_is_seen_from_outside(bed: Bed, hello: Cell) -> None:
    """What it could write until the cell was started. The root cell has lost a CPU afterwards: not the one whose
    interrupts are the console's, or nobody could ask it anything any more."""
    use = CellUse("", "hello", "hello.bin", "interval_ms=1000")
    bed.root.load(use)
    written = bed.root.script("devmem 0x70ff0000 32 0x1234567; devmem 0x70ff0000 32", "command").text
    assert written.split() == ["0x01234567"]
    bed.root.start(use)
    bed.watch.traps_end_waits = True
    with pytest.raises(Trapped, match='data read at 0x70ff0000 of cell "qemu-root"'):
        bed.root.script("taskset 8 devmem 0x70ff0000 32", "command")
    bed.watch.traps_end_waits = False
    assert (bed.watch.traps[0]["outcome"], bed.watch.traps[0]["cpu"]) == ("parked", 3)
    bed.watch.traps.clear()
    bed.lines.clear()
    bed.wait_for_line("hello ")  # the inmate runs on


def test_gaols_own_fault_stops_its_cpu_and_says_so(boot: Boot) -> None:
    """Nothing that a cell does makes gaol fault: its code is spoilt from outside. The CPU is lost, and that is all. A
    machine of its own: the root cell of the other one has lost a CPU by now, and its Linux answers or does not."""
    bed = boot(plan())
    bed.machine.session.transition(State.ENABLED)
    bed.start(CellUse("neighbour.cell", "neighbour", "hello.bin", "interval_ms=500"))
    bed.root.create(CellUse("hello.cell", "hello", "isolation.bin"))
    hello = Cell(bed, "hello")
    image = places.build() / "arm64/hypervisor/gaol.elf"
    names = subprocess.run(["aarch64-linux-gnu-nm", "-C", str(image)], capture_output=True, text=True, check=True)
    (line,) = [line for line in names.stdout.splitlines() if "gaol::secure_monitor_call(" in line]
    with Debugger(bed.control) as debugger:
        read_nowhere = bytes.fromhex("a0d5dbd2 000040f9")  # movz x0, #0xdead, lsl #32; ldr x0, [x0]
        debugger.write(0x7FC00000 + int(line.split()[0], 16), read_nowhere)
    bed.watch.traps_end_waits = False
    hello.run("isolation.bin", "act=psci")
    bed.wait_for_line('Stopping CPU 1 (Cell: "hello")')
    bed.watch.pause(0.3)
    (trap,) = bed.watch.traps
    assert (trap["cpu"], trap["outcome"]) == (1, "stopped") and trap["registers"]
    for said in ("Hypervisor fault at 0xdead00000000", "Unhandled HYP exception: synchronous abort from EL2"):
        assert any(said in line for line in bed.lines), said
    bed.lines.clear()
    bed.wait_for_line("hello ")  # the neighbour's


def test_the_root_cells_kernel_is_stopped(boot: Boot) -> None:
    """A machine of its own, whose root cell is gone in the end. Its CPUs reach at the same time for memory that it
    could read until the cell was started, for the cell's part of a page, and for the hypervisor's memory."""
    bed = boot(plan())
    bed.machine.session.transition(State.ENABLED)
    text = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: part").rstrip() + SUBPAGE
    cell = Slot(bed).use(cell_file(bed, text, "part"), "part")
    use = CellUse("", cell.name, "hello.bin", "interval_ms=200")
    bed.root.load(use)
    check(bed, "peek=0x70ff0000")
    bed.wait_for_line("at 0x70ff0000 is ")
    bed.root.start(use)
    bed.wait_for_line("hello 1")
    bed.park_root_cpus("peek=0x70ff0000,0x09010000,0x7fc00000", 3)
    found = {(trap["cpu"], int(str(trap["address"]), 16), trap["cell"]) for trap in bed.watch.traps}
    assert found == {(0, 0x70FF0000, "qemu-root"), (2, 0x09010000, "qemu-root"), (3, 0x7FC00000, "qemu-root")}
    assert all(trap["registers"] for trap in bed.watch.traps)
    bed.lines.clear()
    bed.wait_for_line("hello ")  # the inmate runs on


def test_a_machine_whose_interrupts_could_not_be_kept_apart_is_refused(boot: Boot) -> None:
    """With an ITS that Linux uses, messages become interrupts past the distributor."""
    bed = boot(plan(), model="virt,gic-version=3,virtualization=on,its=on")
    bed.root.script("insmod /hil/jailhouse.ko", "command")
    refused = bed.root.script("jailhouse enable /hil/cells/qemu-root.cell", "enable", allowed=(1,))
    assert "No such device" in refused.text
    bed.wait_for_line("has LPIs enabled")
    assert bed.root.script("cat /sys/devices/jailhouse/enabled", "command").text.strip() == "0"

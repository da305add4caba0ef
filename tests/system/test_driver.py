# SPDX-License-Identifier: Apache-2.0
"""The kernel modules on a real machine: what they refuse, what they clean up, what happens behind their back."""

from __future__ import annotations

import pytest
from conftest import CELLS, TARGET, Bed, Boot, cell_file, plan

from hil import places, target
from hil.session import State
from hil.target import CellUse
from hil.uio_walk import virtual_pci

CONFIGS = ["/hil/cells/qemu-root.cell", "/hil/cells/hello.cell"]
LATENCY = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")
STATE_TABLE = "0x7fa00000"  # link0 of targets/qemu/cells/qemu-root.yaml; entry 0 is the root's
STATE_REGISTER = "0x0f100010"  # of the first device that the driver finds


def text(bed: Bed, script: str, allowed: tuple[int, ...] = (0,)) -> str:
    """What a line of shell says in the root cell."""
    return str(bed.root.script(script, "command", allowed=allowed).text).strip()


def load_driver(bed: Bed, *parameters: str) -> None:
    pci = virtual_pci(places.build() / "cells" / TARGET / "qemu-root.cell")
    words = ["insmod", "/hil/uio_ivshmem.ko", *pci.module_parameters(), *parameters]
    bed.root.run(words, "driver")


def test_maps_have_the_right_protections(bed: Bed) -> None:
    devices = text(bed, "ls /dev/uio*").split()
    assert len(devices) == 2, "the root cell's config has two ivshmem devices"
    for device in devices:
        assert ", 0 wrong" in text(bed, f"driver-check uio {device}")


def test_damaged_arguments_are_refused(bed: Bed) -> None:
    before = text(bed, "jailhouse cell list; cat /sys/devices/jailhouse/mem_pool_used")
    assert ", 0 wrong" in text(bed, f"driver-check device enabled {' '.join(CONFIGS)}")
    assert text(bed, "jailhouse cell list; cat /sys/devices/jailhouse/mem_pool_used") == before


def test_a_killed_user_leaves_state_0(bed: Bed) -> None:
    script = (
        f"sleep 60 <>/dev/uio0 & P=$!; sleep 0.2; devmem {STATE_REGISTER} 32 7; devmem {STATE_TABLE}; "
        f"kill -9 $P; wait $P 2>/dev/null; devmem {STATE_TABLE}"
    )
    assert [int(word, 16) for word in text(bed, script).split()] == [7, 0]


@pytest.mark.parametrize("active", [False, True])
def test_the_virtual_console_gets_a_cells_text_when_it_is_active(bed: Bed, active: bool) -> None:
    """A cell with a UART of its own: its text is on the hypervisor's console only with VIRTUAL_CONSOLE_ACTIVE."""
    name = f"active-{active}".lower()
    config = (CELLS / "hello.yaml").read_text().replace("name: hello", f"name: {name}")
    if active:
        config = config.replace("virtual-console-permitted", "virtual-console-permitted virtual-console-active")
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, config, name)], "create")
    cell = CellUse("", name, "hello.bin", "count=3 interval_ms=20")
    said = f"head -c 16384 /sys/devices/jailhouse/console | sed -n '/Started cell \"{name}\"/,$p'"
    bed.root.load(cell)
    bed.root.start(cell)
    text(bed, f"for i in $(seq 200); do jailhouse cell list | grep -q '{name} *shut' && exit; sleep 0.1; done; exit 1")
    assert ("hello 3" in text(bed, said)) == active
    bed.root.run(["jailhouse", "cell", "destroy", name], "destroy")


def test_a_call_that_waits_for_a_cell_is_one_call(bed: Bed) -> None:
    """The cell answers after 0.3 s. The loader asks again and again meanwhile; that counts as management."""
    config = (CELLS / "hello.yaml").read_text().replace("name: hello", "name: slow").replace("passive-comm-region ", "")
    bed.root.run(["jailhouse", "cell", "create", cell_file(bed, config, "slow")], "create")
    slow = CellUse("", "slow", "fault.bin", "act=idle reply_ms=300")
    bed.root.load(slow)
    bed.root.start(slow)
    bed.wait_for_line("nobody stopped idle")
    read = "(cd /sys/devices/jailhouse/cells/0/statistics; cat vmexits_management vmexits_hypercall vmexits_cp15)"
    said = [int(word) for word in text(bed, f"{read}; jailhouse cell shutdown slow; {read}").split()]
    management, hypercalls = said[3] - said[0], said[4] - said[1]
    assert management >= 5, "turns, a tick between two"
    assert 1 <= hypercalls < 20, "the call, and those that read the statistics"
    assert said[2] > 0, "system registers trapped: the root's CPUs interrupt each other"
    bed.root.run(["jailhouse", "cell", "destroy", "slow"], "destroy")


def test_the_loader_cannot_be_unloaded_while_enabled(bed: Bed) -> None:
    assert "Resource temporarily unavailable" in text(bed, "rmmod jailhouse 2>&1", (1,))


def test_disable_with_an_offline_cpu_changes_nothing(bed: Bed) -> None:
    bed.root.create(CellUse("hello.cell", "hello", "hello.bin"))
    offline = "echo 0 >/sys/devices/system/cpu/cpu3/online"
    said = text(bed, f"{offline}; jailhouse disable 2>&1; echo 1 >/sys/devices/system/cpu/cpu3/online")
    assert "JAILHOUSE_DISABLE: Device or resource busy" in said
    assert set(bed.root.cell_states()) == {"qemu-root", "hello"}
    bed.root.run(["jailhouse", "cell", "destroy", "hello"], "destroy")


def test_cells_come_and_go_under_readers_of_sysfs(bed: Bed) -> None:
    readers = (
        "(while :; do cat /sys/devices/jailhouse/cells/*/* /sys/devices/jailhouse/cells/*/statistics/cpu*/*; done)"
    )
    cycle = "jailhouse cell create /hil/cells/hello.cell && jailhouse cell destroy hello || break"
    script = f"{readers} >/dev/null 2>&1 & R=$!; for i in 1 2 3 4 5; do {cycle}; echo cycle $i; done; kill $R"
    assert text(bed, script).splitlines()[-1] == "cycle 5"


def test_plain_interrupts_work_as_well(bed: Bed) -> None:
    bed.root.run(["rmmod", "uio_ivshmem"], "driver")
    load_driver(bed, "one_shot=0")
    bed.start(LATENCY)
    bed.wait_for_line("ready for peer 0")
    said = bed.root.script("ivshmem-latency --warmup=10 --count=100", "run").out.decode()
    assert "100 of 100 exchanges completed" in said or said.count("hil-record") == 4, said
    bed.root.destroy(LATENCY)
    bed.root.run(["rmmod", "uio_ivshmem"], "driver")
    load_driver(bed)


def test_a_hypervisor_that_vanishes_under_the_driver(boot: Boot) -> None:
    """Disabled, and enabled again, with the driver loaded: it must not touch registers that are no longer there."""
    bed = boot(plan())
    bed.machine.session.transition(State.ENABLED)
    switch_on = r"printf '\1\0\0\0' >/tmp/one; dd if=/tmp/one of=/dev/uio0 bs=4 conv=notrunc 2>&1"
    text(bed, switch_on)
    text(bed, "jailhouse disable")
    assert "No such device" in text(bed, switch_on, (1,)), "the hypervisor is off"
    text(bed, f"jailhouse enable {CONFIGS[0]}")
    assert "No such device" in text(bed, switch_on, (1,)), "another hypervisor, whose device has no registers yet"
    bed.root.run(["rmmod", "uio_ivshmem"], "driver")
    load_driver(bed)
    text(bed, switch_on)
    assert bed.watch.traps == []


# A Linux whose CPU 2 answers no call any more stops as a whole as soon as it waits for one: a worker thread whose
# wake-up was left to CPU 2 never runs, and whoever waits for its work never goes on. So nothing of Linux's own is on
# that CPU: no task that is not sent there, no callback, no tick; and RCU counts its user space as quiet.
CPU_2_APART = "isolcpus=domain,2 nohz_full=2 rcu_nocbs=2"
TOUCH = "taskset 4 devmem 0x70000000"  # CPU 2 reads RAM that is the cell's


def test_a_parked_root_cpu_is_an_error_and_no_hang(boot: Boot) -> None:
    bed = boot(plan(), f"{target.load(TARGET).machine.kernel_args} {CPU_2_APART}")
    bed.machine.session.transition(State.ENABLED)
    bed.start(CellUse("hello.cell", "hello", "hello.bin", "interval_ms=200"))
    bed.watch.traps_end_waits = False
    text(bed, f"({TOUCH} >/dev/null 2>&1 &); sleep 1")
    bed.wait_for_line('Parking CPU 2 (Cell: "qemu-root")')
    for command in ("cell destroy hello", "cell create /hil/cells/neighbour.cell", "disable"):
        assert "Device or resource busy" in text(bed, f"taskset 1 jailhouse {command} 2>&1", (1,))
    assert "CPU 2 of the root cell is parked" in text(bed, "dmesg | tail -n 5")
    assert text(bed, "cat /sys/devices/jailhouse/cells/0/cpus_failed_list") == "2"
    assert bed.root.cell_states() == {"qemu-root": "running", "hello": "running"}
    bed.lines.clear()
    bed.wait_for_line("hello ")  # the cell runs on
    # What stops the root's CPUs does not wait for the parked one: the cell is loaded and started again.
    bed.root.load(CellUse("hello.cell", "hello", "hello.bin", "count=3 interval_ms=20"))
    bed.root.start(CellUse("hello.cell", "hello", "hello.bin"))
    bed.wait_for_line("hello 3")


SPOILT = {
    # what the line must name: where in struct jh_system (abi/cell_config.h), bytes in the shell's octal
    "system flags: 0x80": (8, r"\201"),
    "hypervisor_memory: flags": (12 + 25, r"\002"),
    "debug_console: type": (44 + 12, r"\010"),
    "debug_console: divider": (44 + 16, r"\001"),
    "debug_console: clock_reg": (44 + 26, r"\001"),
    "debug_console: address: 0xb000000: no UART": (44 + 3, r"\013"),  # nothing answers there
    "debug_console: address: 0x7fe00000": (44, r"\000\000\340\177"),  # the hypervisor's memory
    "pci_is_virtual": (76 + 9, r"\002"),
    "iommu unit 2": (88 + 2 * 28, r"\003"),
    "maintenance_irq": (312, r"\050"),
    "gic_version": (313, r"\002"),
    "gicd_base: 0xb000000: no distributor": (316 + 3, r"\013"),
    "gicd_base: 0x9000000: no distributor": (316 + 3, r"\011"),  # the UART answers
    "gicr_base": (348, r"\001"),
    "gicr_base: 0xb0a0000: no redistributor": (348 + 3, r"\013"),  # nothing answers there
    "gicr_base: 0x8120000: no redistributor": (348 + 2, r"\022"),  # behind the last CPU's
    "gicr_base: 0x80a1000: no redistributor": (348 + 1, r"\020"),  # in the middle of one
    "(AARCH32)": (356 + 44, r"\004"),
    "irqchip 0: address": (-2 * 32 - 2 * 56, r"\001"),
    "pci device 1: bar_mask[3]": (-56 + 6 + 12, r"\001"),
}


def test_damaged_system_configs_are_refused_by_name(boot: Boot) -> None:
    bed = boot(plan())
    text(bed, "insmod /hil/jailhouse.ko")
    assert ", 0 wrong" in text(bed, f"driver-check device disabled {' '.join(CONFIGS)}")
    size = (places.build() / "cells" / TARGET / "qemu-root.cell").stat().st_size
    for said, (offset, value) in SPOILT.items():
        at = offset % size
        spoil = f"cp {CONFIGS[0]} /tmp/bad; printf '{value}' | dd of=/tmp/bad bs=1 seek={at} conv=notrunc 2>/dev/null"
        reason = "dmesg | grep 'hypervisor refused to start' | tail -n 1"
        heard = text(bed, f"{spoil}; jailhouse enable /tmp/bad 2>&1; {reason}")
        assert "JAILHOUSE_ENABLE: Invalid argument" in heard and "-EINVAL" in heard, f"{said}: {heard}"
        assert said in heard and "refused" in heard
    text(bed, f"jailhouse enable {CONFIGS[0]} && jailhouse cell create {CONFIGS[1]} && jailhouse disable")
    assert bed.watch.traps == []

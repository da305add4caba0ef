# SPDX-License-Identifier: Apache-2.0
"""The loader under users who come at the same time, are killed, or leave files open: nothing is lost, nobody hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import CELLS, Bed, Boot, cell_file, plan

from hil.target import CellUse

HELLO, ROOT = "/hil/cells/hello.cell", "/hil/cells/qemu-root.cell"
SYSFS = "/sys/devices/jailhouse"
WHOLE = f"cat {SYSFS}/mem_pool_used /sys/devices/system/cpu/online"
"""What must be the same once all cells are gone."""


def text(bed: Bed, script: str, allowed: tuple[int, ...] = (0,)) -> str:
    """What shell says in the root cell."""
    return str(bed.root.script(script, "run", allowed=allowed).text).strip()


def like_hello(bed: Bed, name: str, **changes: str) -> str:
    """A config of `hello` under another name, with text replaced."""
    config = (CELLS / "hello.yaml").read_text().replace("name: hello", f"name: {name}")
    for old, new in changes.items():
        config = config.replace({"cpus": "[1]", "ram": "0x70000000", "flags": "passive-comm-region "}[old], new)
    return cell_file(bed, config, name)


@pytest.fixture
def slow(bed: Bed) -> Iterator[str]:
    """A cell that takes three seconds to answer a message."""
    bed.root.run(["jailhouse", "cell", "create", like_hello(bed, "slow", flags="")], "create")
    cell = CellUse("", "slow", "fault.bin", "act=idle reply_ms=3000")
    bed.root.load(cell)
    bed.root.start(cell)
    bed.lines.clear()
    bed.wait_for_line("nobody stopped idle")
    yield "slow"
    bed.root.run(["jailhouse", "cell", "destroy", "slow"], "destroy")


WAITS = "grep -q '^State:.Z' /proc/$S/status || echo waits; wait"
"""Whether the command with the number $S is still there."""


def test_the_console_can_be_read_while_a_call_waits(bed: Bed, slow: str) -> None:
    started = f"grep -c 'Started cell \"{slow}\"'"
    said = text(
        bed,
        f"exec 2>/dev/null; jailhouse cell shutdown {slow} & S=$!; sleep 0.5; jailhouse console -f >/tmp/heard & F=$!; "
        f"sleep 0.5; jailhouse console | {started}; {started} /tmp/heard; kill $F; wait $F; echo $?; {WAITS}",
    )
    assert said.split() == ["1", "1", "143", "waits"], "both hear it, one is ended by SIGTERM, the call still waits"
    assert bed.root.cell_states()[slow] == "shut down"


def test_a_command_that_waits_for_another_one_can_be_ended(bed: Bed, slow: str) -> None:
    said = text(
        bed,
        f"exec 2>/dev/null; jailhouse cell shutdown {slow} & S=$!; sleep 0.3; jailhouse cell create {HELLO} & P=$!; "
        f"sleep 0.3; kill $P; wait $P; echo $?; {WAITS}",
    )
    assert said.split() == ["143", "waits"]
    assert set(bed.root.cell_states()) == {"qemu-root", slow}


def test_users_who_are_killed_leave_nothing(bed: Bed) -> None:
    """Two of them go through the lifecycles of two cells at the same time; each command is killed at some moment."""
    second = like_hello(bed, "second", cpus="[2]", ram="0x72000000")
    before = text(bed, WHOLE)
    one = "{ jailhouse $* 2>/dev/null & p=$!; sleep 0.0$((RANDOM % 60 + 10)); kill -9 $p 2>/dev/null; wait $p; }"
    steps = "r cell create $2; r cell load $1 /hil/inmates/hello.bin -a 0; r cell start $1; r cell shutdown $1"
    storm = f"for i in $(seq 15); do {steps}; r cell destroy $1; done"
    both = f"storm hello {HELLO} & a=$!; storm second {second} & b=$!; wait $a; wait $b"
    text(bed, f"r() {one}; storm() {{ {storm}; }}; {both}; true")
    for name in sorted(set(bed.root.cell_states()) - {"qemu-root"}):
        bed.root.run(["jailhouse", "cell", "destroy", name], "destroy")
    assert text(bed, WHOLE) == before
    bed.start(CellUse("hello.cell", "hello", "hello.bin", "count=1"))
    bed.root.run(["jailhouse", "cell", "destroy", "hello"], "destroy")
    assert bed.watch.traps == []


def test_a_cpu_that_was_offline_stays_offline(bed: Bed) -> None:
    cpu = "/sys/devices/system/cpu/cpu1/online"
    said = text(
        bed, f"echo 0 >{cpu}; jailhouse cell create {HELLO}; jailhouse cell destroy hello; cat {cpu}; echo 1 >{cpu}"
    )
    assert said == "0"
    assert text(bed, f"cat {cpu}") == "1", "it is the root cell's again"


def test_a_cell_is_destroyed_while_its_second_cpu_comes_and_goes(bed: Bed) -> None:
    pair = like_hello(bed, "pair", cpus="[1, 3]")
    before = text(bed, WHOLE)
    for _ in range(3):
        bed.lines.clear()
        bed.root.run(["jailhouse", "cell", "create", pair], "create")
        bed.root.load(CellUse("", "pair", "isolation.bin", "act=churn second=3"))
        bed.root.run(["jailhouse", "cell", "start", "pair"], "start")
        bed.wait_for_line("the second CPU comes and goes")
        text(bed, "for i in 1 2 3 4 5; do jailhouse cell start pair || exit; sleep 0.1; done")  # restarts it meanwhile
        assert text(bed, f"cat {SYSFS}/cells/*/statistics/cpu3/vmexits_psci").split()[-1] != "0"
        bed.root.run(["jailhouse", "cell", "destroy", "pair"], "destroy")
        assert text(bed, WHOLE) == before
    assert bed.watch.traps == []


def test_the_module_comes_and_goes(boot: Boot) -> None:
    """With files open, with a CPU offline, and again and again."""
    bed = boot(plan())
    cpu = "/sys/devices/system/cpu/cpu2/online"
    text(bed, "insmod /hil/jailhouse.ko")
    assert "temporarily unavailable" in text(bed, "exec 3</dev/jailhouse; rmmod jailhouse 2>&1", (1,))
    said = text(bed, f"exec 3<{SYSFS}/console; rmmod jailhouse && cat <&3 2>&1; insmod /hil/jailhouse.ko", (0, 1))
    assert "No such device" in said, "its directory is gone, its file is still open"
    assert "JAILHOUSE_ENABLE: Invalid argument" in text(bed, f"echo 0 >{cpu}; jailhouse enable {ROOT} 2>&1", (1,))
    assert "root cell has CPUs 0-3, online are 0-1,3" in text(bed, "dmesg | tail -n 3")
    text(bed, f"echo 1 >{cpu}; jailhouse enable {ROOT}; jailhouse cell create {HELLO}")
    said = text(bed, f"exec 4<{SYSFS}/cells/1/state; jailhouse disable && cat <&4 2>&1", (0, 1))
    assert "No such device" in said
    cycle = f"insmod /hil/jailhouse.ko && jailhouse enable {ROOT} && jailhouse cell create {HELLO} && jailhouse disable"
    text(bed, f"rmmod jailhouse; for i in 1 2 3; do {cycle} && rmmod jailhouse || exit; done")
    assert text(bed, "cat /sys/devices/system/cpu/online; ls /dev/jailhouse 2>&1", (1,)).startswith("0-3\nls: ")
    assert bed.watch.traps == []


def test_users_who_are_killed_while_they_enable_and_disable_leave_nothing(boot: Boot) -> None:
    bed = boot(plan())
    one = "{ jailhouse $* 2>/dev/null & p=$!; sleep 0.$1$((RANDOM % 10)); kill -9 $p 2>/dev/null; wait $p; }"
    one = one.replace("$1", "$((RANDOM % 3))")
    storm = f"for i in $(seq 15); do r enable {ROOT}; r cell create {HELLO}; r disable; done"
    text(bed, f"insmod /hil/jailhouse.ko; r() {one}; {storm}; cat {SYSFS}/enabled")
    text(bed, f"[ $(cat {SYSFS}/enabled) = 0 ] || jailhouse disable")
    text(bed, f"jailhouse enable {ROOT} && jailhouse cell create {HELLO} && jailhouse disable && rmmod jailhouse")
    assert text(bed, "cat /sys/devices/system/cpu/online") == "0-3"
    assert bed.watch.traps == []


def test_users_find_the_names_and_lines_that_they_know(boot: Boot) -> None:
    """As Jailhouse's own module and tool have them on arm64."""
    bed = boot(plan())
    text(bed, f"insmod /hil/jailhouse.ko; jailhouse enable {ROOT}")
    long = "a-name-of-thirty-one-characters"
    text(bed, f"jailhouse cell create {like_hello(bed, long)}")
    names = "total mmio management hypercall maintenance virt_irq virt_sgi psci smccc".split()
    for place in ("statistics", "statistics/cpu1"):
        text(bed, f"cd {SYSFS}/cells/1/{place} && cat {' '.join(f'vmexits_{name}' for name in names)}")
    (row,) = [line for line in text(bed, "jailhouse cell list").splitlines() if long in line]
    assert row.split() == ["1", f"{long}shut", "down", "1"]
    text(bed, f"jailhouse cell destroy --name {long}")
    said = text(bed, "dmesg | tail -n 20")
    assert f'] Created Jailhouse cell "{long}"' in said and f'] Destroyed Jailhouse cell "{long}"' in said
    last = "(jailhouse console -f >/tmp/heard; echo ended >>/tmp/heard) & jailhouse disable; wait; tail -n 1 /tmp/heard"
    assert text(bed, last) == "ended"
    for heard in ("jailhouse console", "jailhouse console -f", "cat /tmp/heard"):
        said = text(bed, heard)
        assert f'Created cell "{long}"' in said and said.count("Releasing CPU") == 4, heard
    assert text(bed, "jailhouse --version").startswith("jailhouse: the tool of gaol ")
    assert "Usage: jailhouse { COMMAND | --help | --version }\n" in text(bed, "jailhouse cell bogus 2>&1", (1,))


READY = "for i in $(seq 100); do grep -q 'Activating' /tmp/heard && break; sleep 0.05; done"


def follow_over_an_end(bed: Bed, before: str, after: str) -> list[str]:
    """A follower that misses an end and a beginning, as if they had come between two of its looks: it is stopped
    meanwhile. `before` and `after`: what is done before it is stopped, and behind the new beginning. What it heard."""
    text(
        bed,
        f"jailhouse enable {ROOT}; (exec jailhouse console -f >/tmp/heard) & F=$!; {READY}; {before}; sleep 0.2; "
        f"kill -STOP $F; jailhouse disable; jailhouse enable {ROOT}; {after}; kill -CONT $F; sleep 0.5; "
        "jailhouse disable; wait $F",
    )
    return text(bed, "cat /tmp/heard").splitlines()


def test_a_follower_hears_the_next_hypervisor_from_its_first_word_on(boot: Boot) -> None:
    """Whether that has said less than the one before when it is heard, or more."""
    bed = boot(plan())
    text(bed, "insmod /hil/jailhouse.ko")
    cycle = f"jailhouse cell create {HELLO}; jailhouse cell destroy hello"
    for before, after in ((f"{cycle}; {cycle}; {cycle}", "true"), ("true", f"{cycle}; {cycle}; {cycle}")):
        heard = follow_over_an_end(bed, before, after)
        begun = [at for at, line in enumerate(heard) if "Initializing Jailhouse hypervisor" in line]
        assert len(begun) == 2, heard
        created = [at for at, line in enumerate(heard) if line == 'Created cell "hello"']
        assert len(created) == 3 and (created[0] > begun[1]) == (before == "true"), heard
        assert sum(line == "Shutting down hypervisor" for line in heard[begun[1] :]) == 1, "and its last one"
        assert all(line.isprintable() for line in heard)
    assert bed.watch.traps == []


def test_cells_run_right_after_an_end_and_a_beginning(boot: Boot) -> None:
    """Each command as soon as the one before has ended."""
    bed = boot(plan())
    text(bed, "insmod /hil/jailhouse.ko")
    cell = f"jailhouse cell create {HELLO} && jailhouse cell load hello /hil/inmates/hello.bin -a 0"
    cell += " -s 'count=2 interval_ms=1' -a 0x1000 && jailhouse cell start hello"
    for _ in range(3):
        bed.lines.clear()
        text(bed, f"jailhouse enable {ROOT} && jailhouse disable && jailhouse enable {ROOT} && {cell}")
        bed.wait_for_line("hello 2")
        text(bed, "jailhouse disable")
    assert text(bed, "cat /sys/devices/system/cpu/online") == "0-3"
    assert bed.watch.traps == []


def test_disable_brings_back_a_cpu_that_was_offline(boot: Boot) -> None:
    bed = boot(plan())
    text(bed, f"insmod /hil/jailhouse.ko; jailhouse enable {ROOT}; echo 0 >/sys/devices/system/cpu/cpu1/online")
    text(bed, f"jailhouse cell create {HELLO} && jailhouse disable")
    assert text(bed, "cat /sys/devices/system/cpu/online") == "0-3"

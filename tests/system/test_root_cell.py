# SPDX-License-Identifier: Apache-2.0
"""What goes wrong inside the machine, and how it is told from outside."""

from __future__ import annotations

import pytest
from conftest import Bed, Boot, plan

from hil.errors import CommandFailed, InfrastructureError
from hil.target import CellUse

LATENCY = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")


def test_a_load_that_does_not_fit_is_refused_with_its_cause(bed: Bed) -> None:
    beyond = CellUse("hello.cell", "hello", "hello.bin", load_address=0x4000_0000)
    bed.root.create(beyond)
    with pytest.raises(CommandFailed, match="Invalid argument.*likely cause"):
        bed.root.load(beyond)
    bed.root.destroy(beyond)


def test_a_cell_that_is_not_there_is_told_with_its_errno(bed: Bed) -> None:
    with pytest.raises(CommandFailed, match="there is no cell of that name.*ENOENT"):
        bed.root.start(LATENCY)


def test_creating_a_cell_twice_is_refused(bed: Bed) -> None:
    hello = CellUse("hello.cell", "hello", "hello.bin")
    bed.root.create(hello)
    with pytest.raises(CommandFailed, match="File exists"):
        bed.root.create(hello)
    bed.root.destroy(hello)


def test_a_command_beyond_its_limit_is_ended_and_told(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bed.machine.session.limits, "forced", 0.2)
    with pytest.raises(InfrastructureError, match="'collect' passed its limit"):
        bed.root.script("sleep 600", "collect")
    monkeypatch.undo()
    assert bed.root.script("echo still here", "command").out == b"still here\n"


def test_what_the_uart_received_is_taken_up_on_the_cpu_of_its_interrupt(bed: Bed) -> None:
    line = bed.root.script("grep uart-pl011 /proc/interrupts", "command").out.decode()
    first, *others = [int(word) for word in line.partition(":")[2].partition("GIC")[0].split()]
    assert first > 0 and not any(others), line
    assert bed.root.script("cat /sys/devices/virtual/workqueue/cpumask", "command").out == b"1\n", "the worker's CPUs"


def test_both_shells_give_the_same_answers(boot: Boot, bed: Bed) -> None:
    plain = boot(plan(shell="plain"))
    assert (plain.root.shell.kind, bed.root.shell.kind) == ("plain shell", "agent")
    for command, code in [
        ("echo out; echo err >&2; exit 3", 3),
        ("printf 'a\\0b\\377\\r\\n~{x'", 0),
        ("no-such-program", 127),
        ("seq 1 20000", 0),
        ("""echo "it's \\"quoted\\" $((1+1))" """, 0),
    ]:
        answers = [one.root.script(command, "command", allowed=(code,)) for one in (plain, bed)]
        assert answers[0] == answers[1], command

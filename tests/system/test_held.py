# SPDX-License-Identifier: Apache-2.0
"""How long CPUs stand still while a cell is managed, in instructions (virtual time, one a nanosecond): the root's, and
another cell's not at all. The table that -s shows is that of docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import CELLS, Bed, Boot, cell_file, plan
from qemu_plugin import IMAGE, built, in_hypervisor

from hil.session import State
from hil.target import CellUse

CALLS = {
    "create": "gaol::cell_create(",
    "load": "gaol::cell_set_loadable(",
    "start": "gaol::cell_start(",
    "destroy": "gaol::cell_destroy(",
}
OTHER, NEIGHBOUR = 2, 3
"""CPUs: one of the root's that does not call (0 does); that of another cell. 1 is the managed cell's."""
SIZES = {"1M": 1 << 20, "16M": 1 << 24, "128M": 1 << 27}
LINE = 64
"""Bytes that one cache operation cleans."""
HELD = 100_000
"""Instructions for which a call may hold others, whatever RAM the cell has: the most that was seen is 57,467."""
EXIT = 1_000
"""Instructions of an ordinary exit, at most."""
PERIOD_US = 200
"""Of the neighbour's timer."""


@dataclass
class Call:
    """One management call: instructions of the caller in it, and those while it held others; stays in the hypervisor of
    other CPUs that overlap it, by CPU, as (own instructions, everybody's); what CPUs executed outside meanwhile."""

    name: str
    own: int
    held: int
    stays: dict[int, list[tuple[int, int]]]
    ran: dict[int, int]

    def longest(self, cpu: int) -> int:
        """The longest stay of a CPU that overlaps the call; all CPUs together executed so much meanwhile."""
        return max((everybody for _, everybody in self.stays.get(cpu, [])), default=0)


def read(text: str) -> list[Call]:
    """The calls of the plugin's file, in their order. Stays that end behind a call follow it there."""
    calls: list[Call] = []
    pending: dict[int, list[tuple[int, int]]] = {}
    for line in text.splitlines():
        name, what, *rest = line.split()
        cpu, *numbers = map(int, rest)
        if what == "call":
            calls.append(Call(name, numbers[0], numbers[1], pending, {}))
            pending = {}
        elif what == "ran":
            calls[-1].ran[cpu] = numbers[0]
        elif calls and calls[-1].name == name and not pending:
            calls[-1].stays.setdefault(cpu, []).append((numbers[0], numbers[1]))
        else:
            pending.setdefault(cpu, []).append((numbers[0], numbers[1]))
    return calls


def plugin(place: Path, out: Path) -> str:
    """The plugin, built, with its arguments."""
    library = built("held", place)
    end, hold, release, *calls = in_hypervisor(
        "image_end", "gaol::Suspension::Suspension(", "gaol::Suspension::~Suspension(", *CALLS.values()
    )
    arguments = {"image": IMAGE, "size": end - IMAGE, "hold": hold, "release": release, **dict(zip(CALLS, calls))}
    return f"{library},out={out}," + ",".join(f"{name}={number:#x}" for name, number in arguments.items())


@dataclass
class Watched:
    """A machine whose stays in the hypervisor go to a file."""

    bed: Bed
    out: Path

    def cycle(self, size: str, first: str = "true") -> dict[str, Call]:
        """Creates, loads, starts and destroys `hello` with so much RAM, by CPU 0; the calls by their names. `first`:
        a command before that."""
        text = (CELLS / "hello.yaml").read_text()
        path = cell_file(self.bed, text.replace("size: 16M", f"size: {size}"), "hello")
        begun = len(read(self.out.read_text()))
        commands = [
            f"create {path}",
            "load hello /hil/inmates/hello.bin -a 0 -s interval_ms=1000 -a 0x1000",
            *("start hello", "destroy hello"),
        ]
        script = "; ".join([first, *(f"jailhouse cell {command}" for command in commands)])
        self.bed.root.script(f"taskset 1 sh -ec '{script}'", "run")
        found = read(self.out.read_text())[begun:][-len(commands) :]
        assert [call.name for call in found] == list(CALLS)
        return {call.name: call for call in found}


@pytest.fixture(scope="module")
def watched(boot: Boot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    place = tmp_path_factory.mktemp("held")
    out = place / "stays"
    bed = boot(plan(), virtual_time=True, extra=("-plugin", plugin(place, out)))
    bed.machine.session.transition(State.ENABLED)
    yield Watched(bed, out)


def test_others_are_held_for_a_moment_whatever_the_cells_memory(watched: Watched) -> None:
    print("\n| RAM | call | caller's instructions | with others held | the other root CPU stood for |")
    print("|---|---|---|---|---|")
    for size, ram in SIZES.items():
        calls = watched.cycle(size)
        for name, call in calls.items():
            print(f"| {size} | {name} | {call.own:,} | {call.held:,} | {call.longest(OTHER):,} |")
            assert 0 < call.longest(OTHER) < HELD
            assert 0 < call.held < HELD
        for name in ("start", "destroy"):
            assert calls[name].own > ram // LINE, "the caller cleans the memory out of the caches"


def test_another_cells_cpu_runs_on(watched: Watched) -> None:
    """Its timer's interrupts, each an exit of its own, go on coming while the caller is in the hypervisor for long."""
    bed = watched.bed
    text = (CELLS / "timer-jitter.yaml").read_text().replace("timer-jitter", "neighbour")
    text = re.sub(r"cpus: .*", f"cpus: [{NEIGHBOUR}]", text.replace("0x70000000", "0x7e000000"))
    path = cell_file(bed, text, "neighbour")
    bed.root.run(["jailhouse", "cell", "create", path], "create")
    endless = f"count=20000 warmup=5 period_us={PERIOD_US} report_ms=100000"
    bed.root.load(CellUse("", "neighbour", "timer-jitter.bin", endless))
    calls = watched.cycle("16M", first="jailhouse cell start neighbour")
    for name, call in calls.items():
        stays = call.stays.get(NEIGHBOUR, [])
        print(
            f"{name}: {call.own:,}; the neighbour ran {call.ran.get(NEIGHBOUR, 0):,}, {len(stays)} exits: {set(stays)}"
        )
        assert all(own < EXIT for own, _ in stays)
        assert len(stays) >= call.own // (1000 * PERIOD_US) - 2
    assert calls["start"].ran[NEIGHBOUR] > 0 and calls["destroy"].ran[NEIGHBOUR] > 0

# SPDX-License-Identifier: Apache-2.0
"""Scenarios proposed from pasted traps: valid ones, or a reason why there is none."""

from __future__ import annotations

import re

import pytest

from hil import target
from hil.scenario import NEVER, Scenario
from hil.scenario_file import parse
from hil.scenario_proposal import proposal

QEMU = target.load("qemu")

DUMP = """Cell state before exception:
 pc: {pc}   lr: 00000000000048bc spsr: 60000005     EL1
 sp: 0000000000006e30  elr: 00000000000054c4  esr: {esr}

Parking CPU 1 (Cell: "{cell}")
"""


def report(first: str, esr: str = "24 1 1810006", cell: str = "inmate", pc: str = "00000000000054c4") -> bytes:
    """A report of arm64 with this first line and syndrome."""
    word = "forbidden access" if esr.startswith("20") else "unhandled trap"
    return f"{first}\n\nFATAL: {word} (exception class 0x{esr[:2]})\n{DUMP.format(pc=pc, esr=esr, cell=cell)}".encode()


def proposed(text: bytes) -> Scenario:
    found = proposal(text, QEMU)
    assert found.yaml, found.reason
    return parse(found.yaml, "proposed")


@pytest.mark.parametrize(
    ("text", "command_line"),
    [
        (report("Unhandled data write at 0x9030400(1)", "24 1 1000046"), "act=write addr=0x9030400 size=1"),
        (report("Unhandled data read at 0xa000000(1)", "24 1 0000006"), "act=pair-read addr=0xa000000"),
        (report("Unhandled data read at 0x1c2006c(4)"), "act=read addr=0x901006c size=4"),
        (report("FATAL: instruction abort at 0x5df6e9a4", "20 1 0000006"), "act=exec addr=0x5df6e9a4"),
        (report("", "16 1 0001234"), "act=hvc"),
        (report("Unhandled SMC arch trap 1", "17 1 0000001"), "act=smc"),
        (
            report("FATAL: Invalid PCI MMCONFIG write, device 00:00.0, reg: 0x8, size: 4", "24 1 1810046"),
            "act=ecam device=0 reg=0x8 size=4",
        ),
    ],
)
def test_a_cell_s_trap_becomes_an_act(text: bytes, command_line: str) -> None:
    scenario = proposed(text)
    (cell,) = scenario.cells.values()
    assert (cell.inmate, cell.command_line) == ("fault", command_line)
    assert scenario.expect[0].traps[0]["outcome"] == "parked" and scenario.leaves == "healthy"


def test_a_device_that_the_cell_maps_is_taken_out_of_its_config() -> None:
    scenario = proposed(report("Unhandled data read at 0x9000018(4)"))
    assert scenario.cells["hello"].changes.remove == ["memory.uart0"]


def test_a_trap_in_linux_changes_the_system_config() -> None:
    text = report("Unhandled data read at 0x9010000(4)", cell="any", pc="ffff800010123456")
    scenario = proposed(text)
    assert scenario.system is not None and scenario.system.remove == ["memory.rtc"]
    assert scenario.steps[-1].outcomes[0].exit == NEVER and scenario.leaves == "broken"


def test_memory_of_a_cell_is_touched_by_the_root() -> None:
    scenario = proposed(report("Unhandled data read at 0x70000000(4)", cell="qemu-root"))
    assert scenario.steps[-1].what == "devmem 0x70000000 32" and "hello" in scenario.cells


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"nothing of the kind\n", "no trap was found"),
        (b'Parking CPU 1 (Cell: "x")\n', "only the end"),
        (
            b'FATAL: Invalid PIO read, port: 3fa size: 1\nRIP: 0x1 RSP: 0x2 FLAGS: 2\nParking CPU 1 (Cell: "x")\n',
            "'pio'",
        ),
    ],
)
def test_no_cause_no_scenario(text: bytes, reason: str) -> None:
    found = proposal(text, QEMU)
    assert not found.yaml and re.search(reason, found.reason)


def test_a_load_that_parks_the_root_becomes_a_cell_with_foreign_ram() -> None:
    text = b'Cell "worker" can be loaded\n' + report(
        "Unhandled data write at 0x7bfe0000(1)", "24 1 0000045", cell="board", pc="ffffff8008a168b0"
    )
    scenario = proposed(text)
    assert [step.verb for step in scenario.steps] == ["create", "load"]
    assert len(scenario.expect) == 2 and scenario.leaves == "either"


def test_a_user_program_is_the_root_s() -> None:
    text = report("Unhandled data read at 0x2210890(8)", "24 1 1c08007", cell="board", pc="0000000000400c04")
    scenario = proposed(text.replace(b"spsr: 60000005     EL1", b"spsr: 60000000     EL0"))
    assert scenario.leaves == "broken"


def test_the_first_trap_with_a_counterpart_is_taken() -> None:
    port = b"FATAL: Invalid PIO read, port: 3fa size: 1\n"
    found = proposal(b'Parking CPU 3 (Cell: "x")\n' + b"quiet\n" * 60 + report("", "16 1 0001234"), QEMU)
    assert "number 2" in found.yaml and "act=hvc" in found.yaml
    assert "pio" in proposal(port, QEMU).reason
    assert "only the end" in proposal(b'Parking CPU 3 (Cell: "x")\n', QEMU).reason

# SPDX-License-Identifier: Apache-2.0
"""The proof that a bad line changes no figure: `python3 -m hil.chaos_proof` makes the table in docs/harness.md.

With each kind of fault a machine is booted whose root cell measures by itself before anybody may type, in virtual time:
nothing that is typed or harmed reaches the measurement. Then the line has to carry commands, and the records; what
arrives must have the digest that the root cell took of them, or nothing may arrive. Most boots measure the very same,
to the bit; then it is also what the clean line's boot measured, and the table says so.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from hil.errors import HilError, InfrastructureError
from hil.event_log import EventLog
from hil.machine import Machine
from hil.native import NativeConsole
from hil.options import RunOptions
from hil.prepare import Prepared, prepare
from hil.record_line import scan_records
from hil.run_directory import RunDirectory
from hil.self_measuring import by_itself
from hil.session import State

FAULTS = (
    "",
    "drop=0.01",
    "double=0.01",
    "corrupt=0.01",
    "delay=0.01,delay_ms=20",
    "splice=0.01",
    "splice=0.01,interleave=1",
    "flood=0.01",
    "disconnect=0.01",
    "disconnect=0.001",
)
"""A hundredth of all bytes suffers. A line that ends every hundred bytes carries next to nothing, hence the last."""
RECORDS = "/tmp/records"


@dataclass(frozen=True)
class Carried:
    """What a line carried. `right`: commands that were answered once and right; `records`: the probe's words as they
    arrived, `digest`: MD5 in hex of what they were in the root cell.
    """

    chaos: str
    right: int
    seconds: float
    frames: int
    damaged: int
    records: bytes | None
    digest: str = ""
    error: str = ""

    @property
    def wrong(self) -> bool:
        """Whether other records arrived than were sent."""
        return self.records is not None and hashlib.md5(self.records).hexdigest() != self.digest


def self_measuring(prepared: Prepared) -> Prepared:
    """The same machine, but its first process carries out the plan before it becomes the shell on the console."""
    plan = prepared.plan
    assert plan.uio is not None
    steps = [
        *("insmod /hil/jailhouse.ko", f"jailhouse enable /hil/cells/{plan.root_config}", "modprobe uio"),
        f"insmod /hil/uio_ivshmem.ko {' '.join(plan.uio.module_parameters())}",
    ]
    for cell in plan.cells:
        command_line = f"-s '{cell.command_line}' -a {cell.command_line_address:#x}"
        steps += [
            f"jailhouse cell create /hil/cells/{cell.config}",
            f"jailhouse cell load {cell.name} /hil/inmates/{cell.inmate} -a {cell.load_address:#x} {command_line}",
            f"jailhouse cell start {cell.name}",
        ]
    return by_itself(prepared, [*steps, f"{plan.program} >{RECORDS}"])


def carried(chaos: str, commands: int, samples: int, base: Path) -> Carried:
    """Boots a machine on a line with these faults, has it carry commands and the records."""
    options = RunOptions("qemu", "ivshmem-latency", warmup=20, count=samples, virtual_time=True, chaos=chaos)
    directory = RunDirectory("qemu", "chaos-proof", base=base)
    events = EventLog(directory.path / "events.jsonl")
    machine = Machine(self_measuring(prepare(options)), directory, events, None)
    right, seconds, records, digest, error = 0, 0.0, None, "", ""
    try:
        machine.session.transition(State.AGENT)
        begun = time.monotonic()
        try:
            right = carry(machine, commands)
        finally:
            seconds = time.monotonic() - begun
        digest = machine.lifecycle.root.script(f"md5sum <{RECORDS}", "run").out.decode().split()[0]
        records = machine.lifecycle.root.script(f"cat {RECORDS}", "run").out
    except HilError as failure:
        error = str(failure)
    finally:
        console = machine.lifecycle.watch.console if machine.lifecycle.watching else None
        counts = console.native.counts if isinstance(console, NativeConsole) else {}
        machine.off()
        directory.finish()
    frames, damaged = counts.get("frames", 0), counts.get("damaged", 0)
    return Carried(chaos, right, seconds, frames, damaged, records, digest, error)


def carry(machine: Machine, commands: int) -> int:
    """How many commands were answered right; each one ran once, in order, as the root cell's own log says."""
    root, right = machine.lifecycle.root, 0
    for number in range(commands):
        script = f"echo {number} >>/tmp/ran; echo o{number}; echo e{number} >&2; exit {number % 7}"
        answer = root.script(script, "command", allowed=tuple(range(256)))
        right += (answer.code, answer.out, answer.err) == (number % 7, b"o%d\n" % number, b"e%d\n" % number)
    ran = root.script("cat /tmp/ran", "run").out.decode().split()
    if ran != [str(number) for number in range(commands)]:
        raise InfrastructureError(f"{commands} commands were sent, and the root cell ran {len(ran)}")
    return right


def row(one: Carried, clean: Carried, commands: int) -> str:
    """Of the table, in Markdown."""
    if one.records is None:
        said = f"infrastructure error: {one.error[:120]}"
    elif one.wrong:
        said = "WRONG"
    else:
        same = ", the same as the clean line's boot measured" if one.records == clean.records else ""
        said = f"the root cell's {len(scan_records(one.records).records)}, to the bit{same}"
    cells = [one.chaos or "clean", f"{one.right} of {commands}", f"{one.seconds:.1f}", one.frames, one.damaged, said]
    return f"| {' | '.join(map(str, cells))} |"


@click.command()
@click.argument("faults", nargs=-1)
@click.option("--commands", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--samples", type=click.IntRange(1, 1_000_000), default=300, show_default=True)
def main(faults: Sequence[str], commands: int, samples: int) -> None:
    """Makes the table for FAULTS (as --chaos takes them), or for all kinds. Exit code 1 when anything wrong arrived."""
    print("| line | commands answered once and right | seconds | frames received | damaged | records that arrived |")
    print("|---|---|---|---|---|---|")
    bad = 0
    with tempfile.TemporaryDirectory(prefix="hil-proof-") as base:
        clean = carried("", commands, samples, Path(base))
        for chaos in faults or FAULTS:
            one = carried(f"seed=1,{chaos}", commands, samples, Path(base)) if chaos else clean
            print(row(one, clean, commands), flush=True)
            bad += one.wrong or (one.records is not None and one.right != commands)
    sys.exit(1 if bad or clean.records is None else 0)


if __name__ == "__main__":
    main()

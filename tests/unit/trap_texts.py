# SPDX-License-Identifier: Apache-2.0
"""Synthetic panic reports for the tests of `hil explain`, written from the grammar."""

from __future__ import annotations


def arm64(
    head: str = "Unhandled data read at 0x9000018(4)",
    verdict: str = "unhandled trap (exception class 0x24)",
    esr: str = "24 1 1810006",
    pc: int = 0x1234,
    cpu: int = 1,
    cell: str = "ivshmem-latency",
    registers: dict[int, int] | None = None,
    spsr: int = 0x60000005,
) -> str:
    """A whole arm64 report."""
    values = {**{n: 0 for n in range(30)}, **(registers or {})}
    rows = []
    for start in range(0, 30, 3):
        rows.append("  ".join(f"{f'x{n}':>3}: {values[n]:016x}" for n in range(start, start + 3)))
    level = spsr >> 2 & 3
    return "\n".join(
        [
            head,
            "",
            f"FATAL: {verdict}",
            "Cell state before exception:",
            f" pc: {pc:016x}   lr: {pc - 4:016x} spsr: {spsr:08x}     EL{level}",
            f" sp: {0x6E30:016x}  elr: {pc:016x}  esr: {esr}",
            *rows,
            "",
            f'Parking CPU {cpu} (Cell: "{cell}")',
            "",
        ]
    )


def x86(head: str = "FATAL: Invalid PIO read, port: 3fa size: 1", cpu: int = 2, cell: str = "guest") -> str:
    """A whole x86 report."""
    return (
        f"{head}\n"
        "RIP: 0x0000000000001113 RSP: 0x0000000000007fe0 FLAGS: 10006\n"
        "RAX: 0x0000000000000013 RBX: 0x0000000000001cab RCX: 0x0000000000000000\n"
        "RDX: 0x00000000000003fa RSI: 0x0000000000000000 RDI: 0x000000000000000d\n"
        "CS: 10 BASE: 0x0000000000000000 AR-BYTES: a09b EFER.LMA 1\n"
        "CR0: 0x0000000080010031 CR3: 0x0000000000003000 CR4: 0x0000000000042220\n"
        "EFER: 0x0000000000000500\n"
        f'Parking CPU {cpu} (Cell: "{cell}")\n'
    )

# SPDX-License-Identifier: Apache-2.0
"""`hil chaos`: a bad line between a machine's console and whatever uses it."""

from __future__ import annotations

import sys

import click

from hil.commands.kinds import Number
from hil.errors import InfrastructureError, WrongUse
from hil.native import library


@click.command("chaos")
@click.option("--stream", required=True, help="The machine's line: unix:PATH, tcp:HOST:PORT, serial:PATH[@BAUD], …")
@click.option("--offer", default="pty", show_default=True, help="pty, or unix:PATH: where the bad line is offered.")
@click.option("--chaos", required=True, help="Faults: seed=7,drop=0.01,double=…,corrupt=…,splice=…,delay=…,flood=…")
@click.option(
    "--connect",
    type=Number(0, 1e6),
    default=10.0,
    show_default=True,
    help="Seconds in which the line must be there, at each opening.",
)
def command(stream: str, offer: str, chaos: str, connect: float) -> None:
    """Offers a stream again with faults at given rates, until Ctrl-C; then says what it did."""
    native = library()
    try:
        proxy = native.ChaosProxy(stream, offer, chaos, connect)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    print(proxy.where, flush=True)
    try:
        proxy.serve()
    except KeyboardInterrupt:
        pass
    except RuntimeError as error:
        raise InfrastructureError(f"cannot use the stream {stream}: {error}") from error
    finally:
        print(", ".join(f"{number} {what}" for what, number in proxy.counts.items()), file=sys.stderr)

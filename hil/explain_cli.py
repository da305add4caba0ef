# SPDX-License-Identifier: Apache-2.0
"""`hil explain`: decodes the traps in a pasted text or a log, and says what to do about them (docs/explain.md)."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from hil.trap_page import page
from hil.traps import TrapExplainer

EXIT_NOTHING = 1
PIECE = 1 << 20
UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
PACKED = {b"\x1f\x8b": "gzip: zcat", b"\xfd7zXZ": "xz: xzcat", b"\x28\xb5\x2f\xfd": "zstd: zstdcat"}

Readable = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command()
@click.argument("file", default="-", type=click.Path(allow_dash=True, path_type=Path))
@click.option("--dtb", "machines", multiple=True, type=Readable, help="The board's device tree, or a devices.yaml.")
@click.option("--system", type=Readable, help="The system config (.cell or .yaml).")
@click.option("--cell", "cells", multiple=True, type=Readable, help="A cell's config (.cell or .yaml); repeatable.")
@click.option(
    "--elf", "programs", multiple=True, type=Readable, help="An inmate's ELF, vmlinux or System.map; repeatable."
)
@click.option("--json", "as_json", is_flag=True, help='Print {"events": [...], "missing": [...]}.')
@click.pass_context
def explain(
    context: click.Context,
    file: Path,
    machines: tuple[Path, ...],
    system: Path | None,
    cells: tuple[Path, ...],
    programs: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Decode the traps in FILE (default: standard input): a mail, a console log, a piece of one.

    Exit code 0: something was decoded, 1: nothing was, 2: wrong use.
    """
    explainer = TrapExplainer()
    try:
        for path in machines:
            explainer.add_machine(path)
        if system:
            explainer.add_config(system, system=True)
        for path in cells:
            explainer.add_config(path, system=False)
        for path in programs:
            explainer.add_program(path)
        with opened(file) as stream:
            result = explainer.explain_pieces(as_utf_8(pieces_of(stream, str(file))))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"cannot read {error.filename or file}: {error.strerror}") from error
    click.echo(json.dumps(result, indent=1) if as_json else page(result))
    context.exit(0 if result["events"] else EXIT_NOTHING)


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The file, or standard input for "-"."""
    if str(file) == "-":
        if sys.stdin.isatty():
            click.echo("Paste the text, then Ctrl-D.", err=True)
        yield sys.stdin.buffer
        return
    with file.open("rb") as stream:
        yield stream


def pieces_of(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The stream piece by piece; ValueError when it is packed."""
    first = True
    while piece := stream.read(PIECE):
        for magic, unpack in PACKED.items():
            if first and piece.startswith(magic):
                kind, program = unpack.split(": ")
                raise ValueError(f"{name} is packed with {kind}: {program} FILE | hil explain -")
        first = False
        yield piece


def as_utf_8(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Text that says by its first bytes that it is UTF-16, as some terminals and shells write logs, becomes UTF-8."""
    decoder: codecs.IncrementalDecoder | None = None
    for number, piece in enumerate(pieces):
        if number == 0 and piece[:2] in UTF_16:
            decoder = codecs.getincrementaldecoder(UTF_16[piece[:2]])(errors="replace")
            piece = piece[2:]
        yield decoder.decode(piece).encode(errors="replace") if decoder else piece


command = explain

if __name__ == "__main__":
    explain(prog_name="hil explain")

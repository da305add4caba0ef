# SPDX-License-Identifier: Apache-2.0
"""`hil explain`: decodes the traps in a pasted text or a log, and says what to do about them (docs/explain.md)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from hil.trap_page import page
from hil.traps import TrapExplainer

EXIT_NOTHING = 1
LIMIT = 256 * 1024 * 1024

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
        text = read(file)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    result = explainer.explain(text)
    click.echo(json.dumps(result, indent=1) if as_json else page(result))
    context.exit(0 if result["events"] else EXIT_NOTHING)


def read(file: Path) -> bytes:
    """The text to explain; ValueError when it is no text that can be read."""
    if str(file) == "-":
        if sys.stdin.isatty():
            click.echo("Paste the text, then Ctrl-D.", err=True)
        data = sys.stdin.buffer.read(LIMIT + 1)
    else:
        with file.open("rb") as stream:
            data = stream.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise ValueError(f"{file}: longer than {LIMIT // 2**20} MiB; cut out the part around the trap")
    return data


command = explain

if __name__ == "__main__":
    explain(prog_name="hil explain")

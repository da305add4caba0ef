# SPDX-License-Identifier: Apache-2.0
"""`hil cell`: configuration files as YAML, and what will trap before it does (docs/cell-configs.md)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from hil import cell_files
from hil.harmless_text import harmless_line


@click.group()
def cell() -> None:
    """Compile, decompile, compare and check cell configs."""


@cell.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: SOURCE with the suffix .cell.")
def compile(source: Path, output: Path | None) -> None:  # noqa: A001 (the command's name)
    """Compile a YAML config into the .cell file that Jailhouse reads."""
    target = output or source.with_suffix(".cell")
    with reported():
        data = cell_files.compile_file(source)
        target.write_bytes(data)
    click.echo(f"{target}: {len(data)} bytes")


@cell.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: standard output.")
@click.option("--devices", type=click.Path(path_type=Path), help="A target's devices.yaml, to name the regions.")
def decompile(source: Path, output: Path | None, devices: Path | None) -> None:
    """Write a .cell file as YAML; compiling that gives the same bytes."""
    with reported():
        text = cell_files.decompile_file(source, devices, output)
        if output:
            output.write_text(text)
        else:
            click.echo(text, nl=False)


@cell.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--devices", type=click.Path(path_type=Path), help="A target's devices.yaml, to name the regions.")
def diff(first: Path, second: Path, devices: Path | None) -> None:
    """Compare two configs, YAML or .cell. Exit code 0: the same bytes, 1: they differ."""
    with reported():
        lines = cell_files.diff(first, second, devices)
    for line in lines:
        click.echo(harmless_line(line))
    sys.exit(1 if lines else 0)


@cell.command()
@click.argument("system", type=click.Path(path_type=Path))
@click.argument("cells", type=click.Path(path_type=Path), nargs=-1)
@click.option("--image", type=click.Path(path_type=Path), help="Image that is to be loaded into each cell.")
@click.option("--load", "load_address", default="0", show_default=True, help="Address of the cell to load it at.")
@click.option("--dtb", type=click.Path(path_type=Path), help="The board's device tree.")
@click.option("--devices", type=click.Path(path_type=Path), help="Default: the one that the system's YAML names.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON list.")
def check(
    system: Path,
    cells: tuple[Path, ...],
    image: Path | None,
    load_address: str,
    dtb: Path | None,
    devices: Path | None,
    as_json: bool,
) -> None:
    """Find what will fail before it does: SYSTEM and the CELLS that exist beside it, YAML or .cell.

    Exit code 0: no errors (there may be warnings and notes), 1: errors, 2: wrong use.
    """
    with reported():
        placed = (image.stat().st_size, int(load_address, 0)) if image else None
        findings = cell_files.check(system, cells, devices=devices, device_tree=dtb, image=placed)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(harmless(finding.text), nl=False)
        click.echo(summary(findings, 1 + len(cells)))
    sys.exit(1 if any(finding.severity == "error" for finding in findings) else 0)


def harmless(text: str) -> str:
    """Lines for a terminal: a config's names may be those of a file that somebody sent."""
    return "\n".join(map(harmless_line, text.split("\n")))


def summary(findings: list[cell_files.Finding], files: int) -> str:
    """ "3 configs: 1 error, 2 warnings"."""
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{counts[kind]} {kind}{'s' if counts[kind] != 1 else ''}" for kind in ("error", "warning", "note")]
    found = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing found"
    return f"{files} config{'s' if files != 1 else ''}: {found}"


class reported:
    """Turns what is wrong with a file into one line on stderr and exit code 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (ValueError, OSError)):
            raise UnusableFile(str(error)) from error


class UnusableFile(click.ClickException):
    """A file that cannot be read, or that is no config."""

    exit_code = 2


if __name__ == "__main__":
    cell()

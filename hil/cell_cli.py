# SPDX-License-Identifier: Apache-2.0
"""`hil cell`: configuration files as YAML, and what will trap before it does (docs/cell-configs.md)."""

from __future__ import annotations

from pathlib import Path

import click

from hil import cell_files


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

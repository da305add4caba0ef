# SPDX-License-Identifier: Apache-2.0
"""`hil test`: every check and test of the repository."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hil.testing import run_all


@click.command("test")
@click.argument("stages", nargs=-1)
def command(stages: tuple[str, ...]) -> None:
    """Run every test, or only the named STAGES (for example: "C++ tests" clang-tidy)."""
    sys.exit(run_all(Path(__file__).resolve().parent.parent.parent, stages))

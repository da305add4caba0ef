# SPDX-License-Identifier: Apache-2.0
"""`hil test`: every check and test of the repository."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hil.names import choose
from hil.testing import run_all
from hil.testing import stages as all_stages


@click.command("test")
@click.argument("stages", nargs=-1)
def command(stages: tuple[str, ...]) -> None:
    """Run every test, or only the named STAGES (for example: "C++ tests" clang-tidy)."""
    root = Path(__file__).resolve().parent.parent.parent
    known = [stage.name for stage in all_stages(root).all()]
    for name in stages:
        choose("stage", name, known)
    sys.exit(run_all(root, stages))

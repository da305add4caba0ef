# SPDX-License-Identifier: Apache-2.0
"""`hil console`: sit at a target's console."""

from __future__ import annotations

import sys
from typing import Any

import click

from hil.commands.kinds import Number
from hil.interactive import sit_at


@click.command("console")
@click.option("--target", required=True, help="The machine (`hil list targets`).")
@click.option("--hypervisor", default="gaol", show_default=True, help="gaol, the bundled one, or a DIR with your own.")
@click.option("--wait", type=Number(0, 86400), default=0, help="Seconds to wait for a target in use.")
def command(**given: Any) -> None:
    """Boots a target and connects the terminal to its console. Ctrl-] leaves; the log stays in a run directory."""
    sys.exit(sit_at(given["target"], given["hypervisor"], given["wait"]))

# SPDX-License-Identifier: Apache-2.0
"""`hil list`: what there is to choose from."""

from __future__ import annotations

import click
import yaml

from hil import places, target
from hil.limits import WAITS
from hil.names import choose

KINDS = ("targets", "probes", "scenarios", "limits")


@click.command("list")
@click.argument("kind")
def command(kind: str) -> None:
    """Lists KIND: targets, probes, scenarios or limits."""
    lists = {"targets": targets, "probes": probes, "scenarios": scenarios, "limits": limits}
    lists[choose("kind of list", kind, KINDS)]()


def targets() -> None:
    """A line a target."""
    for name in target.names():
        click.echo(f"{name:<20} {target.load(name).title}")


def probes() -> None:
    """A line a probe, with the targets it runs on."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name in target.names():
        for probe in target.load(name).probes.values():
            found.setdefault(probe.name, (probe.title, []))[1].append(name)
    for name, (title, on) in sorted(found.items()):
        click.echo(f"{name:<20} {title} (on {', '.join(on)})")


def scenarios() -> None:
    """A line a scenario."""
    for path in sorted(places.scenarios().glob("*.yaml")):
        data = yaml.safe_load(path.read_text()) or {}
        click.echo(f"{path.stem:<32} {data.get('title', '')}")


def limits() -> None:
    """A line a wait: its limit on each target, in seconds on an idle host, and what it is for."""
    width = max(map(len, WAITS)) + 2
    on = {name: target.load(name).limits for name in target.names()}
    click.echo(
        "".join(f"{word:<{width}}" for word in ("wait", *on)) + "what is awaited (limits: seconds on an idle host)"
    )
    for wait, what in WAITS.items():
        click.echo(f"{wait:<{width}}" + "".join(f"{seconds[wait]:<{width}g}" for seconds in on.values()) + what)

# SPDX-License-Identifier: Apache-2.0
"""`hil list`: what there is to choose from."""

from __future__ import annotations

import click
import yaml

from hil import places, target
from hil.names import choose

KINDS = ("targets", "probes", "scenarios")


@click.command("list")
@click.argument("kind")
def command(kind: str) -> None:
    """Lists KIND: targets, probes or scenarios."""
    {"targets": targets, "probes": probes, "scenarios": scenarios}[choose("kind of list", kind, KINDS)]()


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

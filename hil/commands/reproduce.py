# SPDX-License-Identifier: Apache-2.0
"""`hil reproduce`: provoke a cell failure and check that it is the expected one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console as Terminal
from rich.text import Text

from hil.commands.kinds import Number
from hil import progress, scenario_file, target
from hil.errors import WrongUse
from hil.options import SHELLS, RunOptions
from hil.verdict import Outcome
from hil.summary import STYLES
from hil.verdict import EXIT_INTERRUPTED

WORDS = {"pass": "reproduced", "fail": "not reproduced"}


@click.command("reproduce")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All scenarios of the target.")
@click.option(
    "--from", "text", type=click.Path(allow_dash=True, path_type=Path), help="Propose one from a trap's text."
)
@click.option("--target", default="qemu", show_default=True, help="The machine (`hil list targets`).")
@click.option("--hypervisor", default="gaol", show_default=True, help="gaol, the bundled one, or a DIR with your own.")
@click.option("--shell", type=click.Choice(SHELLS), default="auto", show_default=True)
@click.option("--wait", type=Number(0, 86400), default=0, help="Seconds to wait for a target in use.")
@click.option("-v", "--verbose", is_flag=True, help="Show the console live.")
@click.option("--json-events", is_flag=True, help="Events as JSON lines on stdout.")
def command(names: tuple[str, ...], everything: bool, text: Path | None, **given: Any) -> None:
    """Provokes the failures NAMES (`hil list scenarios`) and checks that each is the expected one.

    Exit code 0: all reproduced, 1: one was not, 2: wrong use, 4: infrastructure error.
    """
    if text is not None:
        if names or everything:
            raise WrongUse("--from proposes a scenario from a text; it takes no names")
        sys.exit(propose(text, given["target"]))
    scenarios = chosen(names, everything, given["target"])
    from hil.scenario_runner import ScenarioRunner

    options = RunOptions(probe="reproduce", command=("hil", *sys.argv[1:]), **given)
    show = progress.choose(options.json_events)
    terminal = Terminal()
    with show:
        runner = ScenarioRunner(options, [show.event], show.console if options.verbose else None)
        finished = runner.run(scenarios)
    if not options.json_events:
        for one in finished:
            word = one.verdict.outcome.value
            line = Text(f"{WORDS.get(word, word):<16}", style=STYLES[word]) + Text(f" {one.scenario.name}")
            if word != "pass":
                line += Text(f": {one.verdict.reason}")
            terminal.print(line, soft_wrap=True)
        terminal.print(
            Text(
                f"{summary([one.verdict.outcome for one in finished])}; report: " f"{finished[-1].path / 'report.html'}"
            ),
            soft_wrap=True,
        )
    sys.exit(exit_code([(one.verdict.outcome, one.verdict.exit_code) for one in finished]))


def chosen(names: tuple[str, ...], everything: bool, target_name: str) -> list[Any]:
    """The scenarios that were named, each once, or all of the target. WrongUse names the nearest name."""
    if everything == bool(names):
        raise WrongUse("name scenarios (`hil list scenarios`), or say --all")
    target.load(target_name)
    typed = scenario_file.names() if everything else list(dict.fromkeys(names))
    scenarios = [scenario_file.load(name) for name in typed]
    if everything:
        scenarios = [one for one in scenarios if target_name in one.targets]
    if not scenarios:
        raise WrongUse(f"there is no scenario for the target '{target_name}'")
    return scenarios


def summary(outcomes: list[Outcome]) -> str:
    """ "3 of 4 scenarios reproduced"."""
    return f"{sum(one is Outcome.PASS for one in outcomes)} of {len(outcomes)} scenarios reproduced"


def exit_code(verdicts: list[tuple[Outcome, int]]) -> int:
    """Of several: interrupted before infrastructure error before not reproduced."""
    codes = {code for _, code in verdicts}
    return next((code for code in (EXIT_INTERRUPTED, 4, 1) if code in codes), 0)


def propose(text: Path, target_name: str) -> int:
    """Prints a scenario for a pasted trap. 1 when no cause can be derived from it."""
    from hil.explain_cli import as_utf_8, opened, pieces_of
    from hil.scenario_proposal import proposal

    try:
        with opened(text) as stream:
            data = b"".join(as_utf_8(pieces_of(stream, str(text))))
    except (OSError, ValueError) as error:
        raise WrongUse(f"--from {text}: {error}") from error
    found = proposal(data, target.load(target_name))
    click.echo(
        found.yaml if found.yaml else f"hil: no scenario can be derived: {found.reason}",
        err=not found.yaml,
        nl=not found.yaml,
    )
    return 0 if found.yaml else 1

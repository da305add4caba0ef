# SPDX-License-Identifier: Apache-2.0
"""The command line: each command is a small module; this one puts them together and turns errors into exit codes."""

from __future__ import annotations

import importlib
import io
import os
import sys
import threading
import traceback
from typing import NoReturn

import click

import hil
from hil.errors import HilError, InfrastructureError, WrongUse
from hil.names import choose
from hil.verdict import EXIT_INTERRUPTED, EXIT_PIPE, EXIT_USAGE, Outcome

COMMANDS = {
    "run": ("hil.commands.run", "Measure with a probe on a target; leaves a report."),
    "list": ("hil.commands.list", "What there is: targets, probes, scenarios."),
    "doctor": ("hil.commands.doctor", "What is here, what is missing, what to do about it."),
    "report": ("hil.commands.report", "Make a run's reports again."),
    "compare": ("hil.commands.compare", "Two runs side by side, judged by earlier equal runs."),
    "history": ("hil.commands.history", "Past runs with their verdicts and figures."),
    "replay": ("hil.commands.replay", "A run's console and events once more."),
    "console": ("hil.commands.console", "Boot a target and sit at its console."),
    "chaos": ("hil.commands.chaos", "Offer a stream again, with faults on its line."),
    "measure": ("hil.commands.measure", "What hil itself costs beside a bare boot."),
    "spread": ("hil.commands.spread", "How much equal runs differ."),
    "test": ("hil.commands.test", "Run the project's tests, all or by stage."),
    "explain": ("hil.explain_cli", "Decode the traps in a pasted text or a log."),
    "cell": ("hil.cell_cli", "Compile, decompile, compare and check cell configs."),
    "reproduce": ("hil.commands.reproduce", "Provoke cell failures and check that they are as expected."),
}
"""Command name to its module (imported when it is used; with an object called `command`, or like it)
and to its line in the help."""


class Commands(click.Group):
    """A group that imports a command when it is needed, and knows the nearest name to a wrong one."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All commands."""
        return list(COMMANDS)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with their lines, without importing them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in self.list_commands(context):
            raise WrongUse(_unknown(name, self.list_commands(context)))
        try:
            module = importlib.import_module(COMMANDS[name][0])
        except ImportError as error:
            if error.name != "_hil":
                raise
            return _not_built(name)
        command = getattr(module, "command", None) or getattr(module, name)
        assert isinstance(command, click.Command)
        return command


def _not_built(name: str) -> click.Command:
    """Stands for a command that needs the C++ library while that is not there."""

    def refuse() -> None:
        raise InfrastructureError(
            f"`hil {name}` needs the controller's C++ library, which is not built; bin/hil builds it"
        )

    return click.Command(name, callback=refuse, add_help_option=False)


def _unknown(name: str, known: list[str]) -> str:
    try:
        choose("command", name, known)
    except WrongUse as error:
        return str(error)
    return ""


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hil.__version__)
def root() -> None:
    """Measures and breaks inter-cell shared memory on partitioning hypervisors."""


def main() -> None:
    """Runs the command line. Wrong use exits 2, other errors with their verdict's code, Ctrl-C with 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or a log that knows no µ is told its number
            stream.reconfigure(errors="backslashreplace")
    try:
        code = root.main(prog_name="hil", standalone_mode=False)
    except click.exceptions.Abort:
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        _show(error)
        if isinstance(error, click.MissingParameter) and (advice := _choices(error)):
            _say(advice)
        code = EXIT_USAGE
    except WrongUse as error:
        _say(str(error))
        code = EXIT_USAGE
    except HilError as error:
        _say(str(error))
        code = error.outcome.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        code = EXIT_PIPE
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        code = Outcome.INFRASTRUCTURE_ERROR.exit_code
    except Exception:  # noqa: B902 - a mistake of ours is no verdict on the system under test
        traceback.print_exc()
        _say("that is a mistake in hil itself: nothing is known about the system under test")
        code = Outcome.INFRASTRUCTURE_ERROR.exit_code
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """Ends the process. A thread that was broken off may still be in the C++ library: Python's way of ending, which
    unwinds it there, would be an abort instead of the exit code."""
    if any(thread.daemon and thread.is_alive() for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # whoever read it has gone
                pass
        os._exit(code)
    sys.exit(code)


def _show(error: click.ClickException) -> None:
    """As click does, but for what a word typed by somebody else could do to the terminal."""
    from hil.harmless_text import harmless_line

    error.message = "\n".join(map(harmless_line, error.message.split("\n")))
    error.show()


def _choices(error: click.MissingParameter) -> str:
    """What could stand where something is missing."""
    from hil import target

    match error.param.name if error.param is not None else "":
        case "target":
            return f"targets: {', '.join(target.names())}"
        case "probe":
            return (
                f"probes: {', '.join(sorted({probe for name in target.names() for probe in target.load(name).probes}))}"
            )
        case "kind":
            return "there are lists of targets, probes, scenarios and limits"
    return ""


def _say(text: str) -> None:
    from hil.harmless_text import harmless_line

    print(f"hil: {harmless_line(text)}", file=sys.stderr)

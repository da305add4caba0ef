# SPDX-License-Identifier: Apache-2.0
"""The command line: each command is a small module; this one puts them together and turns errors into exit codes."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import click

import hil
from hil.errors import HilError, InfrastructureError, WrongUse
from hil.names import choose
from hil.verdict import EXIT_INTERRUPTED, EXIT_USAGE

COMMANDS = {
    "run": "hil.commands.run",
    "list": "hil.commands.list",
    "doctor": "hil.commands.doctor",
    "report": "hil.commands.report",
    "compare": "hil.commands.compare",
    "history": "hil.commands.history",
    "replay": "hil.commands.replay",
    "console": "hil.commands.console",
    "chaos": "hil.commands.chaos",
    "measure": "hil.commands.measure",
    "spread": "hil.commands.spread",
    "test": "hil.commands.test",
    "explain": "hil.explain_cli",
    "cell": "hil.cell_cli",
    "reproduce": "hil.commands.reproduce",
}
"""Command name to the module that holds it (in an object called `command`, or like it), imported when it is used."""


class Commands(click.Group):
    """A group that imports a command when it is needed, and knows the nearest name to a wrong one."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All commands whose module is there."""
        return [name for name, module in COMMANDS.items() if importlib.util.find_spec(module) is not None]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in self.list_commands(context):
            raise WrongUse(_unknown(name, self.list_commands(context)))
        try:
            module = importlib.import_module(COMMANDS[name])
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

    return click.Command(name, callback=refuse, short_help="(not built yet)", add_help_option=False)


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
    try:
        code = root.main(prog_name="hil", standalone_mode=False)
    except click.exceptions.Abort:
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except WrongUse as error:
        _say(str(error))
        code = EXIT_USAGE
    except HilError as error:
        _say(str(error))
        code = error.outcome.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str) -> None:
    from hil.harmless_text import harmless_line

    print(f"hil: {harmless_line(text)}", file=sys.stderr)

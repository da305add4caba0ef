# SPDX-License-Identifier: Apache-2.0
"""A run on a terminal: one living line that tells state, time and limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console as Terminal
from rich.live import Live
from rich.text import Text

from hil.event_log import Event
from hil.harmless_text import harmless_line
from hil.progress import MARKS, sentence, since, waiting

COLOURS = {"kernel": "green", "hypervisor": "magenta", "agent": "blue"}
"""Of a console line, by its writer."""


class LiveProgress:
    """One line that tells state, time and limit while it changes; steps that ended scroll away above it."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal(stderr=True)
        self._state: Event | None = None
        self._since = time.monotonic()
        self._silent = False
        self._live = Live(
            get_renderable=self._line,
            console=self._terminal,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._live.__exit__(None, None, None)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """See Progress."""
        self._silent = True
        self._live.stop()
        try:
            yield
        finally:
            self._silent = False
            self._live.start(refresh=True)

    def event(self, event: Event) -> None:
        """An observer of the event log."""
        if event["event"] == "state":
            self._since, self._state = since(self._state, event, self._since), event
        elif self._silent:
            return
        elif line := sentence(event):
            style = "red" if event.get("outcome") == "failed" or event["event"] == "trap" else "dim"
            self._terminal.print(Text(line, style=style))

    def console(self, line: str, writer: str) -> None:
        """A line of the machine's console, coloured by its writer."""
        if self._silent:
            return
        mark = Text(f"          {MARKS.get(writer, '|')} ", style=COLOURS.get(writer, "default"))
        self._terminal.print(mark + Text(harmless_line(line), style=COLOURS.get(writer, "default")))

    def _line(self) -> Text:
        if self._state is None:
            return Text("preparing …", style="bold")
        return Text(
            waiting(self._state, time.monotonic() - self._since), style="bold", no_wrap=True, overflow="ellipsis"
        )

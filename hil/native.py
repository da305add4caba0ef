# SPDX-License-Identifier: Apache-2.0
"""The C++ library's console and agent (module `_hil`) behind the runner's protocols."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hil.console import Console
from hil.dialogue import Dialogue
from hil.errors import AgentLost, ConsoleLost, InfrastructureError
from hil.limits import Deadline
from hil.shell import Answer, RootShell
from hil.watch import Watch

CONNECT_LIMIT = 10.0
WRITE_LIMIT = 10.0
AGENT = "/hil/hil-agent"


def library() -> Any:
    """The module `_hil`; InfrastructureError when it is not built."""
    try:
        import _hil
    except ImportError as error:
        raise InfrastructureError(f"the controller's C++ library is not built ({error}); bin/hil builds it") from error
    return _hil


class NativeConsole:
    """See Console. The library's reader thread owns the port and keeps its log."""

    def __init__(self, native: Any, on_note: Callable[[str], None], on_line: Callable[[str, str], None] | None) -> None:
        self.native = native
        self._on_note = on_note
        self._on_line = on_line

    def write(self, data: bytes) -> None:
        """See Console."""
        try:
            self.native.write(data, WRITE_LIMIT)
        except library().ConsoleLost as error:
            raise ConsoleLost(f"the console takes no input: {error}") from error

    def read(self, seconds: float) -> bytes:
        """See Console."""
        try:
            return bytes(self.native.read(max(0.0, seconds)))
        except library().ConsoleLost as error:
            raise ConsoleLost(str(error)) from error
        finally:
            self._tell_events()

    def take_traps(self, final: bool = False) -> list[dict[str, Any]]:
        """See Console."""
        return list(self.native.take_traps(final))

    def silent_for(self) -> float:
        """See Console."""
        return float(self.native.silent_for())

    def close(self) -> None:
        """See Console."""
        self.native.close()
        self._tell_events()

    def _tell_events(self) -> None:
        for event in self.native.poll(0.0):
            if event["event"] == "note":
                self._on_note(event["text"])
            elif event["event"] == "line" and self._on_line is not None:
                self._on_line(event["text"], event["writer"])


class AgentShell:
    """See RootShell: hil-agent answers, whatever else is on the console."""

    kind = "agent"

    def __init__(self, watch: Watch, agent: Any) -> None:
        self._watch = watch
        self._agent = agent

    def run(self, command: str, deadline: Deadline) -> Answer:
        """See RootShell."""

        def job() -> Any:
            return self._agent.run(command, deadline.left)

        try:
            answer = self._watch.work(job, deadline)
        except library().AgentLost as error:
            raise AgentLost(f"the agent did not answer `{command}`: {_short(error)}; {self._watch.hint()}") from error
        if answer.ending == "timed-out":
            deadline.check(self._watch.hint)
        return Answer(answer.rc, answer.out, answer.err)


def _short(error: Exception) -> str:
    """The library's message without the console's last text, which the log has anyway."""
    return str(error).partition(" Last text:")[0].rstrip(".")


def open_console(
    stream: str,
    raw: Path,
    times: Path,
    start: float,
    on_note: Callable[[str], None],
    on_line: Callable[[str, str], None] | None = None,
) -> Console:
    """Opens a stream (`unix:PATH`, `serial:PATH@BAUD`, …). `start` is the run's zero on the monotonic clock.

    `on_note` gets what the console says about itself (a full disk, bytes that were dropped), `on_line` each line of
    text with its writer (`kernel`, `hypervisor`, `unattributed`).
    """
    try:
        native = library().Console(stream, str(raw), str(times), start=start, lines=on_line is not None)
        native.wait_open(CONNECT_LIMIT)
    except (ValueError, library().ConsoleLost) as error:
        raise InfrastructureError(f"cannot open the console {stream}: {error}") from error
    return NativeConsole(native, on_note, on_line)


def start_agent(watch: Watch, deadline: Deadline) -> RootShell:
    """Types the agent's name into the shell and waits for its hello. AgentLost when there is none."""
    console = watch.console
    assert isinstance(console, NativeConsole)
    Dialogue(watch).send(f"\n{AGENT}\n")
    agent = library().Agent(console.native)

    def greet() -> object:
        return agent.hello(deadline.left)

    try:
        watch.work(greet, deadline)
    except library().AgentLost as error:
        raise AgentLost(f"no hello from {AGENT}: {_short(error)}") from error
    return AgentShell(watch, agent)

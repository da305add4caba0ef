# SPDX-License-Identifier: Apache-2.0
"""The C++ library's console and agent (module `_hil`) behind the runner's protocols."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from hil.console import Console
from hil.dialogue import Dialogue
from hil.errors import AgentLost, AgentMissing, ConsoleLost, InfrastructureError, WrongUse
from hil.limits import MOST, Deadline, Limits
from hil.sent_agent import IMAGE_AGENT
from hil.shell import Answer, Hear, RootShell
from hil.target import LineUse
from hil.watch import Watch

T = TypeVar("T")

HELLO_TEXT = 400
"""Characters of the agent's hello and the answer to it, and some to spare."""

KILL_SHARE = 0.25
"""Of the time for breaking a command off: for so much of it the agent is told to end the command."""


def library() -> Any:
    """The module `_hil`; InfrastructureError when it is not built."""
    try:
        import _hil
    except ImportError as error:
        raise InfrastructureError(f"the controller's C++ library is not built ({error}); bin/hil builds it") from error
    return _hil


def check_chaos(chaos: str) -> None:
    """WrongUse when `chaos` is no specification of faults."""
    if not chaos:
        return
    try:
        library().chaos_check(chaos)
    except ValueError as error:
        raise WrongUse(f"--chaos: {error}") from error


class NativeConsole:
    """See Console. The library's reader thread owns the port and keeps its log. What bytes need at the line's rate
    comes on top of its limits. `longest_line`: see LineUse.
    """

    def __init__(
        self,
        native: Any,
        on_note: Callable[[str], None],
        on_line: Callable[[str, str], None] | None,
        limits: Limits | None = None,
        longest_line: int = 0,
    ) -> None:
        self.native = native
        self.longest_line = longest_line
        self._limits = limits or Limits({})
        self._on_note = on_note
        self._on_line = on_line
        self._lost = False
        self._closing = False

    def write(self, data: bytes) -> None:
        """See Console. While a line is lost that may come back the bytes are lost, as they are on a bad line: whoever
        types waits for an answer, learns from reading when the machine is dead, and types again.
        """
        limit, begun = self._limits.stretched("write") + 2 * self.seconds_for(len(data)), time.monotonic()
        try:
            self.native.write(data, limit)
        except library().ConsoleLost as error:
            back = self.native.link()[0] == "open" and time.monotonic() - begun < limit
            if not back and not self.native.may_return():
                what = f"the console takes no input ('write' has a limit of {limit:.1f} s)"
                raise ConsoleLost(f"{what}: {error}") from error

    def seconds_for(self, count: int) -> float:
        """See Console."""
        rate = int(self.native.line_rate)
        return count / rate if rate else 0.0

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

    def report_pending(self) -> bool:
        """See Console."""
        return bool(self.native.report_pending())

    def text_of(self, writer: str) -> int:
        """See Console."""
        return int(self.native.counts[f"text_{writer}"])

    def silent_for(self) -> float:
        """See Console."""
        return float(self.native.silent_for())

    def close(self) -> None:
        """See Console."""
        self._closing = True
        self.native.close()
        self._tell_events()

    def _tell_events(self) -> None:
        for event in self.native.poll(0.0):
            if event["event"] == "note":
                self._on_note(event["text"])
            elif event["event"] == "line" and self._on_line is not None:
                try:
                    self._on_line(event["text"], event["writer"])
                except OSError:  # the terminal has gone
                    self._on_line = None
            elif event["event"] == "link" and not self._closing:
                self._tell_link(event["link"], event["detail"])

    def _tell_link(self, link: str, detail: str) -> None:
        """A line that goes and comes back has lost bytes: whoever reads the log should know."""
        if link == "lost":
            self._on_note(f"the console's line was lost: {detail}")
        elif link == "open" and self._lost:
            self._on_note("the console's line is open again; what was sent meanwhile is missing from its log")
        self._lost = link == "lost"


class AgentShell:
    """See RootShell: hil-agent answers, whatever else is on the console."""

    kind = "agent"

    def __init__(self, watch: Watch, agent: Any) -> None:
        self._watch = watch
        self._agent = agent

    def run(self, command: str, deadline: Deadline, hear: Hear | None = None) -> Answer:
        """See RootShell. Output comes about once a second while the command runs."""
        heard: SimpleQueue[tuple[int, bytes]] = SimpleQueue()  # from the thread that talks to the agent to this one

        def job() -> Any:
            # The deadline is ours: it may be extended meanwhile. The agent's is for the case that we are gone.
            on_output = None if hear is None else lambda stream, data: heard.put((stream + 1, data))
            return self._agent.run(command, max(1.0, deadline.left) * MOST, on_output)

        def tell() -> None:
            while hear is not None and not heard.empty():
                hear(*heard.get())

        answer = self._ask(job, f"`{command}`", deadline, tell)
        if answer.ending == "timed-out":
            raise deadline.passed(self._watch.hint())
        if answer.truncated:
            raise InfrastructureError(f"the output of `{command}` is longer than the agent carries: it was cut")
        return Answer(answer.rc, answer.out, answer.err)

    def read_file(self, path: str, deadline: Deadline) -> bytes:
        """The bytes of a file in the root cell. AgentLost also when there is none, with the reason."""
        return self._ask(lambda: bytes(self._agent.read_file(path)), f"the reading of {path}", deadline)

    def write_file(self, path: str, content: bytes, deadline: Deadline, mode: int = 0o644) -> None:
        """Replaces a file in the root cell at once. AgentLost also when that is refused, with the reason."""

        def job() -> None:
            self._agent.write_file(path, content, mode)

        self._ask(job, f"the writing of {path}", deadline)

    def _ask(
        self, job: Callable[[], T], what: str, deadline: Deadline, meanwhile: Callable[[], None] = lambda: None
    ) -> T:
        try:
            return self._watch.work(job, deadline, meanwhile)
        except library().AgentLost as error:
            raise AgentLost(
                f"the agent did not answer {what}: {_short(error)} "
                f"('silence' has a limit of {deadline.of('silence'):.0f} s)",
                self._watch.hint(),
            ) from error
        except BaseException:
            _break_off(self._watch, self._agent, deadline)
            raise


def _break_off(watch: Watch, agent: Any, deadline: Deadline) -> None:
    """Ends a call whose answer nobody wants any more, so that the next one can be made."""
    end = time.monotonic() + deadline.of("break-off")
    while watch.working and time.monotonic() < end:
        agent.interrupt()
        watch.end(0.05)


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
    chaos: str = "",
    limits: Limits | None = None,
    line: LineUse = LineUse(),
) -> Console:
    """Opens a stream (`unix:PATH`, `serial:PATH@BAUD`, …). `start` is the run's zero on the monotonic clock.

    `on_note` gets what the console says about itself (a full disk, bytes that were dropped), `on_line` each line of
    text with its writer (see Console.text_of). A line that is lost is opened again, each time within the limit
    `connect`, as the load stretches it now. `line`: what is known of it; a rate in the stream's name or among the
    faults counts when it says none.
    """
    limits = limits or Limits({"connect": 10.0})
    limit = limits.stretched("connect")
    try:
        shown = on_line is not None
        native = library().Console(
            stream,
            str(raw),
            str(times),
            start,
            connect_limit=limit,
            reconnect=True,
            lines=shown,
            chaos=chaos,
            line_rate=line.baud // 10,
        )
        native.wait_open(limit)
    except (ValueError, library().ConsoleLost) as error:
        raise InfrastructureError(f"cannot open the console {stream}: {error}") from error
    return NativeConsole(native, on_note, on_line, limits, line.longest_line)


class _Start:
    """The line that starts the agent. The shell says in it what it was told to start, so that a name that the line
    damaged is not taken for an agent that is missing."""

    def __init__(self, path: str, stop: Callable[[], None]) -> None:
        self._path = path
        self._stop = stop
        left, right = secrets.token_hex(4), secrets.token_hex(4)
        self.line = f"a={path};$a||echo '{left}''{right}':$?:$a:"
        self._refusal = re.compile(rf"{left}{right}:(126|127):{re.escape(path)}:")
        self._heard = ""
        self._refused: str | None = None

    def hear(self, text: str) -> None:
        """Console text: waiting is over when the shell says that it cannot start the agent."""
        self._heard = (self._heard + text)[-4096:]
        if self._refused is None and (match := self._refusal.search(self._heard)):
            self._refused = "there is none" if match.group(1) == "127" else "the system cannot run it"
            self._stop()

    def check(self) -> None:
        """AgentMissing when the shell said so."""
        if self._refused is not None:
            raise AgentMissing(f"{self._path}: {self._refused}")


def start_agent(watch: Watch, deadline: Deadline, path: str = IMAGE_AGENT) -> RootShell:
    """Types the agent's path into the shell and waits for its hello. AgentLost (or the deadline's TimeLimit) when there
    is none; AgentMissing when the shell says that there is no such program, or none that the machine could run.

    What is typed may be damaged on its way, so it is typed again; to an agent that is there it is mere text.
    """
    console = watch.console
    assert isinstance(console, NativeConsole)
    # A machine that gets an eighth of its host stops its CPUs for seconds at a time: that is no silence.
    agent = library().Agent(
        console.native,
        silence=deadline.of("silence"),
        write_limit=deadline.of("write"),
        kill_limit=deadline.of("break-off") * KILL_SHARE,
        longest_line=console.longest_line,
    )
    dialogue = Dialogue(watch)
    start = _Start(path, agent.interrupt)
    patience = deadline.of("hello") + console.seconds_for(2 * len(start.line) + HELLO_TEXT)
    watch.listeners.append(start.hear)

    def greet() -> None:
        agent.hello(max(0.1, min(patience, deadline.left - 1.0)))

    try:
        while True:
            dialogue.send(f"\n{start.line}\n")
            try:
                watch.work(greet, deadline)
                return AgentShell(watch, agent)
            except library().AgentLost as error:
                start.check()
                if deadline.left < patience:
                    raise AgentLost(f"no hello from {path}: {_short(error)}") from error
            dialogue.clear_line()
    finally:
        watch.listeners.remove(start.hear)
        _break_off(watch, agent, deadline)  # a hello that nobody waits for must not be typed into what comes next

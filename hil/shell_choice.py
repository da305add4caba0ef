# SPDX-License-Identifier: Apache-2.0
"""Which way commands reach the root cell: the image's agent, one sent there, the plain shell; and why no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hil.errors import AgentLost, AgentMissing, TimeLimit
from hil.plain_shell import PlainShell
from hil.sent_agent import Sender, StartAgent
from hil.session import Session
from hil.shell import RootShell
from hil.verdict import one_line
from hil.watch import Watch

SHOWN = {"ssh": "agent sent by ssh", "console": "agent sent over the console"}


@dataclass
class ShellChoice:
    """`wanted`: one of hil.options.SHELLS. `why_not`: for each way that was not used, in the order of trying, why."""

    wanted: str
    watch: Watch
    start_agent: StartAgent
    senders: Sequence[Sender] = ()
    why_not: dict[str, str] = field(default_factory=dict)
    _missing: bool = False
    """The image has no agent. One that is there and does not answer is the line's fault: another would not help."""

    def choose(self, session: Session) -> RootShell:
        """The shell; with a way that was demanded, AgentLost or TimeLimit when it does not work."""
        if self.wanted in ("auto", "agent"):
            found = self._image(session)
            if found is not None:
                return found
        if self.wanted in ("ssh", "console") or (self.wanted == "auto" and self._missing):
            found = self._any_sent(session)
            if found is not None:
                return found
        return self._plain(session)

    def shown(self, shell: RootShell) -> str:
        """What was chosen and why nothing better, in one line for the log, the manifest and the report."""
        reasons = "; ".join(f"{way}: {why}" for way, why in self.why_not.items())
        return f"{shell.kind} ({reasons})" if reasons else shell.kind

    def _image(self, session: Session) -> RootShell | None:
        try:
            with session.step("start hil-agent", "agent", "the agent's hello") as deadline:
                return self.start_agent(self.watch, deadline)
        except (AgentLost, TimeLimit) as error:  # whichever of the two a busy host lets come first
            if self.wanted == "agent":
                raise
            self._missing = isinstance(error, AgentMissing)
            self.why_not["agent"] = _short(error)
            return None

    def _any_sent(self, session: Session) -> RootShell | None:
        if "ssh" not in [sender.name for sender in self.senders]:
            if self.wanted == "ssh":
                raise AgentLost("--shell ssh: target.yaml does not say where (ssh: user@host)")
            if self.wanted == "auto":
                self.why_not["ssh"] = "target.yaml names no address"
        for sender in self.senders:
            if self.wanted in ("auto", sender.name) and (found := self._sent(session, sender)) is not None:
                return found
        return None

    def _sent(self, session: Session, sender: Sender) -> RootShell | None:
        what = f"hil-agent by {sender.name}" if sender.name == "ssh" else "hil-agent over the console"
        try:
            with session.step(f"send {what}", "send", what) as deadline:

                def tell(text: str) -> None:
                    session.tell(deadline, f"{what}: {text}")

                path = sender.send(self.watch, deadline, tell)
            with session.step("start the agent that was sent", "agent", "the agent's hello") as deadline:
                shell = self.start_agent(self.watch, deadline, path)
                shell.kind = SHOWN[sender.name]
                return shell
        except (AgentLost, TimeLimit) as error:
            if self.wanted != "auto":
                raise
            session.events.note(f"the agent was not sent by {sender.name}: {one_line(str(error))}")
            self.why_not[sender.name] = _short(error)
            return None

    def _plain(self, session: Session) -> RootShell:
        with session.step("take the plain shell", "shell") as deadline:
            plain = PlainShell(self.watch)
            plain.prepare(deadline)
            return plain


def _short(error: Exception) -> str:
    return one_line(str(error))[:300]

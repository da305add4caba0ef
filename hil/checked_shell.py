# SPDX-License-Identifier: Apache-2.0
"""A shell on the far side of a console that runs nothing but what arrived whole.

One line typed into the shell turns it into a reader: each further line is a checksum and code, and the code is run when
the checksum is right. A line that the console damaged is never parsed, so it can neither run nor leave an open quote
behind; it is typed again. Nothing is read off a prompt, and the reader has no line editor that would cut long lines.
Needs of the far side: a POSIX shell with `read -r`, and `cksum` or `md5sum`.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from hil.cksum import cksum
from hil.dialogue import Dialogue
from hil.errors import AgentLost
from hil.limits import Deadline
from hil.watch import Watch

LINE = 4095
"""Bytes; a terminal in canonical mode keeps no more for its reader (termios(3))."""
ASKINGS = 120
"""Times that something short is said before the line counts as dead. One byte in a hundred lost costs about four."""
SILENCES = 6
"""Times in a row that nothing came back, after which it is looked whether the reader is still there."""
PINGS = 6
"""Short askings without an answer after which it is started anew."""
PROBATION = 8
"""Lines that the typed reader takes before it ends by itself: it may have been damaged, and deaf to everything; on a
console that is nobody's controlling terminal Ctrl-C does not end it."""
ANSWERED = 100
"""Characters of an answer, at most, that is no text of the far side's own."""
LEAST_PATIENCE, MOST_PATIENCE = 0.1, 20.0
"""Seconds for an answer: the limit `asking` at first, then what the answers before have needed."""


@dataclass(frozen=True)
class Checksum:
    """A program whose first word of output is the checksum of its input."""

    command: str

    def of(self, data: bytes) -> str:
        """What the program prints for `data`."""
        return hashlib.md5(data).hexdigest() if self.command.endswith("md5sum") else str(cksum(data))


CHECKSUMS = tuple(Checksum(name) for name in ("cksum", "busybox cksum", "md5sum", "busybox md5sum"))
"""In the order of preference for lines: short ones first."""


class CheckedShell:
    """Code for the far side's shell, answers from it. One at a time; code may come twice, so it must not mind."""

    def __init__(self, watch: Watch, deadline: Deadline) -> None:
        self._dialogue = Dialogue(watch)
        self._deadline = deadline
        self._checksum = CHECKSUMS[0]
        self._patience = deadline.of("asking")
        self._definitions: list[str] = []
        self._silences = 0
        self.damaged = 0
        """Lines that were typed again."""

    def open(self) -> None:
        """Starts the reader. AgentLost when the far side has no checksum program or does not answer."""
        self._dialogue.synchronise(self._deadline)
        self._checksum = self._find_checksum()
        self._start()

    def close(self) -> None:
        """Gives the console back to the shell that was found on it."""
        for _ in range(ASKINGS):
            left, right = secrets.token_hex(3), secrets.token_hex(3)
            self._type(self._checked("stty echo ixon 2>/dev/null;break 9")[0])
            self._dialogue.send(f"\necho '{left}''{right}'\n")
            if self._came(left + right):
                return
            self._clear()
        raise AgentLost("the console's shell did not come back after the transfer")

    def patience(self, wait: str) -> float:
        """The limit of a wait that is part of the whole."""
        return self._deadline.of(wait)

    def seconds_for(self, count: int) -> float:
        """What the line itself needs for so many characters; 0 when that does not matter."""
        return self._dialogue.seconds_for(count)

    def define(self, code: str) -> None:
        """Runs code that later code builds on: it is run again whenever the reader had to be started anew."""
        self.value(f"{code};r=1")
        self._definitions.append(code)

    def value(self, code: str, seconds: float = 0.0) -> str:
        """What the code leaves in `r`, a line without colons and dollars. `seconds`: what the code may need to run."""
        return self.ask(f"r=;{code}", "$r", r"[^:\r\n$]*", seconds)

    def ask(self, code: str, said: str, pattern: str, seconds: float = 0.0, retype: bool = True) -> str:
        """Runs `code`, then has the shell say the value of `said`, twice; it must match `pattern`, which must not match
        `said` itself: the terminal may echo it. With `retype`, until that came. Without, the empty string when the
        code was damaged on its way or its answer on the way back.
        """
        for _ in range(ASKINGS):
            mark = secrets.token_hex(4)
            line, proof = self._checked(f"{code};echo {mark}:$a:{said}:{said}:")
            started = self._deadline.elapsed
            self._type(line)
            if self._came(rf"{mark}:{proof}:({pattern}):\1:", len(line), seconds):
                answer = self._dialogue.group()
                self._learn(self._deadline.elapsed - started)
                return answer
            self.damaged += 1
            self._fell_silent()
            if not retype:
                return ""
        raise AgentLost(f"the console's shell gave no answer to {ASKINGS} askings: too much damage on the line")

    def _type(self, line: str) -> None:
        """On a line of its own, with the output going on that a damaged character may have stopped (Ctrl-S)."""
        self._dialogue.send(f"\x11\n{line}\n" if self._silences else f"\n{line}\n")

    def _clear(self) -> None:
        """Back to the bare shell, from a damaged line or a reader that was damaged when it was typed; the shell forgets
        the checksums of its last reader.
        """
        self._dialogue.clear_line()
        self._dialogue.send("set --\n" * PROBATION)

    def _checked(self, code: str) -> tuple[str, str]:
        """The line for the reader, and its checksum: what the reader has in `$a` while it runs this line, and what a
        shell that lost its reader and runs whatever is typed has not.
        """
        checksum = self._checksum.of(code.encode())
        line = f"{checksum} {code}"
        assert len(line) < LINE, "a line that a terminal would cut"
        return line, checksum

    def _came(self, pattern: str, typed: int = 0, seconds: float = 0.0) -> bool:
        """Whether the answer came in the time that the line has shown to need, with some more for a long line."""
        backoff = 1 + min(max(0, self._silences - 3), 8) / 2
        line = 2 * self._dialogue.seconds_for(typed + ANSWERED)  # the terminal may echo it
        patience = (self._patience + seconds) * backoff + max(typed / 2000, line)
        return self._dialogue.came(pattern, self._deadline, patience)

    def _learn(self, took: float) -> None:
        self._silences = 0
        self._patience = min(MOST_PATIENCE, max(LEAST_PATIENCE, 0.5 * self._patience + 0.5 * 4 * took))

    def _fell_silent(self) -> None:
        """More patience from now on: what is typed to a far side that is only slow overruns its terminal."""
        self._silences += 1
        self._patience = min(MOST_PATIENCE, 1.2 * self._patience)
        if self._silences % SILENCES == 0 and not any(self._ping() for _ in range(PINGS)):
            self._clear()
            self._start()

    def _ping(self) -> bool:
        mark = secrets.token_hex(4)
        line, proof = self._checked(f"echo {mark}:$a:")
        self._type(line)
        patience = self._patience + 2 * self._dialogue.seconds_for(2 * ANSWERED)
        started = self._deadline.elapsed
        came = self._dialogue.came(f"{mark}:{proof}:", self._deadline, patience)
        if came:  # so the far side is not slow: it is the line that loses
            self._learn(self._deadline.elapsed - started)
        return came

    def _find_checksum(self) -> Checksum:
        for checksum in CHECKSUMS * 8:
            left, right = secrets.token_hex(2), secrets.token_hex(2)
            started = self._deadline.elapsed
            self._dialogue.send(f"\necho '{left}''{right}':$(printf %s {left}|{checksum.command}):\n")
            if not self._came(rf"{left}{right}:([^:\r\n]*):"):
                self._clear()
            elif self._dialogue.group().split()[:1] == [checksum.of(left.encode())]:
                self._learn(self._deadline.elapsed - started)
                return checksum
        names = ", ".join(one.command for one in CHECKSUMS)
        raise AgentLost(f"the far side's shell has no program that makes checksums (tried: {names})")

    def _start(self) -> None:
        """Types a reader that takes a few lines, until one with the wrong checksum has no answer and one with the right
        one has, with the checksum in it: a shell without a reader would answer the first, and has none to say. The
        second line is the reader that stays: so that one is undamaged; a shell without a reader does not start it.
        They are typed when the first reader has had the time to say that it runs: a shell may take more than a line
        from a terminal at once, and what it has taken its reader never sees.
        """
        check = f'set -- $(printf %s "$b"|{self._checksum.command});[ "$1" = "$a" ]&&eval "$b"'
        for _ in range(ASKINGS):
            wrong, right = secrets.token_hex(4), secrets.token_hex(4)
            stays = f'[ "$1" ]&&[ "$1" = "$a" ]&&while read -r a b;do {check};done'
            stays = f"stty -echo -ixon 2>/dev/null;echo {right}:$a:;{stays}"
            line, proof = self._checked(stays)
            left, here = secrets.token_hex(2), secrets.token_hex(2)
            first = f"echo '{left}''{here}';for a in {' '.join('x' * PROBATION)};do read -r a b;{check};done"
            self._type(first)
            self._came(left + here, len(first))  # or it did not: what follows may meet the reader of the try before
            self._type(f"0{self._checked(f':;echo {wrong}:$((6*7)):')[0]}")
            self._type(line)
            if self._came(f"{right}:{proof}:") and f"{wrong}:42:" not in str(self._dialogue.before):
                self._silences = 0
                self._again()
                return
            self._clear()
        raise AgentLost("the console's shell could not be made to check its lines: too much damage on the line")

    def _again(self) -> None:
        for code in self._definitions:
            self.value(f"{code};r=1")

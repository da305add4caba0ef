# SPDX-License-Identifier: Apache-2.0
"""RootShell without an agent: a plain shell on a console that others write to as well.

Nothing is read off a prompt. A command's outputs go to files in the root cell; its end is told by a random marker typed
in halves; the files then come as base64 with their length and MD5, and again when a splice damaged them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets

from hil.dialogue import Dialogue
from hil.errors import AgentLost
from hil.limits import Deadline
from hil.shell import Answer, Hear
from hil.watch import Watch

TRIES = 4
ASKINGS = 20
LINE = 4000
"""Bytes; a terminal in canonical mode keeps 4095 (termios(3))."""


class PlainShell:
    """A POSIX shell with base64, md5sum and wc (busybox has them)."""

    kind = "plain shell"

    def __init__(self, watch: Watch) -> None:
        self._dialogue = Dialogue(watch)

    def synchronise(self, deadline: Deadline, hint: str = "") -> None:
        """Waits for the shell. `hint` is a regular expression that tells that typing does no harm any more; without
        one it does none from the start.
        """
        if hint:
            self._dialogue.await_turn(hint, deadline)
        self._dialogue.synchronise(deadline)

    def prepare(self, deadline: Deadline) -> None:
        """Makes the console of a shell quieter: no echo, no bracketed paste, no kernel lines."""
        self._dialogue.synchronise(deadline)
        self._dialogue.send("stty -echo 2>/dev/null; printf '\\033[?2004l'; PS1=; PS2=; dmesg -n 1\n")
        self._dialogue.synchronise(deadline)

    def restore(self) -> None:
        """Undoes prepare(), as far as a person at the console would mind."""
        self._dialogue.send("stty echo 2>/dev/null; PS1='# '; PS2='> '\n")

    def run(self, command: str, deadline: Deadline, hear: Hear | None = None) -> Answer:
        """See RootShell. The command runs at most once, and only as it was meant: its MD5 goes with it."""
        base = f"/tmp/.hil-{secrets.token_hex(4)}"
        quoted = command.replace("'", "'\\''")
        digest = hashlib.md5(command.encode()).hexdigest()
        once = f'[ -e {base}.s ] || {{ : >{base}.s; sh -c "$C" >{base}.o 2>{base}.e </dev/null; echo $? >{base}.c; }}'
        line = f"\nC='{quoted}'; case $(printf %s \"$C\" | md5sum) in {digest}*) {once};; esac\n"
        if len(line) > LINE:
            raise AgentLost(
                f"a command of {len(command)} characters does not fit into a terminal's line: {command[:60]}…"
            )
        code = self._code(line, base, deadline)
        out, err = self._fetch(f"{base}.o", deadline), self._fetch(f"{base}.e", deadline)
        self._dialogue.send(f"\nrm -f {base}.o {base}.e {base}.c {base}.s\n")
        if hear is not None:
            hear(1, out)
            hear(2, err)
        return Answer(code, out, err)

    def _code(self, line: str, base: str, deadline: Deadline) -> int:
        """Types the command and asks for its exit code, which comes twice: a damaged digit is no code.

        The shell answers when the command is done, so an asking may be answered late: askings stop after a while. The
        answer `n` says that the command was damaged on its way and did not run: it is typed again.
        """
        self._dialogue.send(line)
        state = f"c=$(cat {base}.c 2>/dev/null || {{ [ -e {base}.s ] && echo r; }} || echo n)"
        left, right = secrets.token_hex(4), secrets.token_hex(4)
        for asking in range(ASKINGS):
            self._dialogue.send(f"\n{state}; echo '{left}''{right}':$c:$c:\n")
            patience = deadline.of("asking") if asking < ASKINGS - 1 else float("inf")
            if self._dialogue.came(left + right + r":(\d+|n):\1:", deadline, patience):
                if self._dialogue.group() != "n":
                    return int(self._dialogue.group())
                self._dialogue.send(line)
        raise AgentLost(
            f"the plain shell did not get to run a command in {ASKINGS} tries: too much damage on the console"
        )

    def _fetch(self, path: str, deadline: Deadline) -> bytes:
        for _ in range(TRIES):
            left, right = secrets.token_hex(4), secrets.token_hex(4)
            mark = f"echo; echo '{left}''{right}'"
            self._dialogue.send(f"\n{mark}:$(wc -c <{path}):$(md5sum <{path}):; base64 {path}; {mark}\n")
            self._dialogue.wait_for(left + right + r":\s*(\d+):([0-9a-f]+)[^:]*:", deadline)
            length, digest = int(self._dialogue.group(1)), self._dialogue.group(2)
            body = self._dialogue.wait_for(left + right, deadline)
            data = _decode(body)
            if data is not None and len(data) == length and hashlib.md5(data).hexdigest() == digest:
                return data
        raise AgentLost(f"the plain shell's output was damaged {TRIES} times in a row: too many writers on the console")


def _decode(text: str) -> bytes | None:
    """base64 lines as bytes; None when there is anything else between them."""
    compact = re.sub(r"\s", "", text)
    try:
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        return None

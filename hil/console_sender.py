# SPDX-License-Identifier: Apache-2.0
"""The agent, typed into a foreign system's shell over the console: packed, in pieces that are checked one by one.

The far side keeps what it has in a file whose name holds the content's hash. A piece is appended when it arrived whole
and is the next one; the answer is the file's length. So a piece counts once however often it comes, and a transfer that
was broken off goes on where it stopped. The next piece is typed when the last one's answer is there, which is all the
flow control that a slow line needs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from hil.checked_shell import LINE, CheckedShell
from hil.cksum import cksum
from hil.errors import AgentLost
from hil.far_encoding import ENCODINGS, PACKINGS, Encoding, Packing
from hil.limits import Deadline
from hil.sent_agent import DIRECTORIES, AgentFile, agent_for
from hil.watch import Watch

FIRST_PIECE = 1000.0
SMALLEST_PIECE = 48.0
LARGEST_PIECE = LINE - 100.0
"""Characters of a piece as it is typed; adapted to what arrives."""
STALLED = 60
"""Pieces in a row that did not arrive before the transfer is given up."""
BAUD_BYTES = 11520
"""Bytes a second of a line of 115200 baud."""
SAMPLE = bytes(range(0, 256, 11)) + b"hil\n\x00\xff"


@dataclass(frozen=True)
class FarSide:
    """What was found there: how bytes are decoded and unpacked, where they go, how the whole is checked."""

    encoding: Encoding
    packing: Packing
    checksum: str
    directory: str


class ConsoleSender:
    """See Sender. `find`: the agent for a machine's name (`uname -m`); `directories`: where to try to put it."""

    name = "console"

    def __init__(
        self,
        find: Callable[[str], AgentFile] = agent_for,
        directories: tuple[str, ...] = DIRECTORIES,
    ) -> None:
        self._find = find
        self._directories = directories
        self._piece = FIRST_PIECE
        self.sent = 0
        """Bytes of the packed agent that this sender typed and that arrived."""
        self.damaged = 0
        """Pieces that were typed again."""

    def send(self, watch: Watch, deadline: Deadline, tell: Callable[[str], None]) -> str:
        """See Sender."""
        shell = CheckedShell(watch, deadline)
        shell.open()
        try:
            level = self._quieten(shell)
            path = self._place(shell, tell)
            if level:
                shell.value(f"dmesg -n {level};r=1")
        finally:
            shell.close()
        return path

    def _quieten(self, shell: CheckedShell) -> str:
        """Keeps the kernel's lines off the console; gives back the level to return to, where that is known."""
        level = shell.value("read r x </proc/sys/kernel/printk")
        known = re.fullmatch(r"\d", level) is not None
        shell.value("dmesg -n 1;r=1")
        return level if known else ""

    def _place(self, shell: CheckedShell, tell: Callable[[str], None]) -> str:
        """Makes sure that the agent lies on the far side and runs; its path."""
        agent = self._find(shell.value("r=$(uname -m)"))
        directory = self._directory(shell, agent)
        shell.define(f"A={directory}/hil-agent")
        whole = self._whole_checksum(shell)
        if self._sum(shell, whole, "$A") != _checksum(whole, agent.content):
            far = self._explore(shell, whole, directory)
            self._transfer(shell, far, agent, tell)
        said = shell.value("r=$($A --version)", shell.patience("unpack"))
        if said != agent.version:
            raise AgentLost(f"{directory}/hil-agent does not run there: it says '{said[:80]}', not '{agent.version}'")
        return f"{directory}/hil-agent"

    def _directory(self, shell: CheckedShell, agent: AgentFile) -> str:
        """The first directory in which a file of ours can be made and run."""
        for base in self._directories:
            path = f"{base}/{agent.directory}"
            shell.define(f"d={path};t=$d/t")
            shell.value("mkdir -m 700 $d;r=1")
            shell.value('echo "#!/bin/sh">$t;echo "echo runs">>$t;chmod 700 $t;r=1')
            runs = shell.value("[ -O $d ]&&[ ! -L $d ]&&r=$($t)") == "runs"
            shell.value("rm -f $t;r=1")
            if runs:
                return path
        raise AgentLost(f"nowhere on the far side can a program be put and run: tried {', '.join(self._directories)}")

    def _whole_checksum(self, shell: CheckedShell) -> str:
        """The best program there for the checksum of a whole file."""
        for command in ("md5sum", "busybox md5sum", "cksum"):
            shell.define(f"c(){{ {command};}}")
            if shell.value("set -- $(echo hil|c);r=$1") == _checksum(command, b"hil\n"):
                return command
        return "busybox cksum"

    def _sum(self, shell: CheckedShell, command: str, path: str) -> str:
        return shell.value(f"set -- $({command} <{path});r=$1", shell.patience("unpack"))

    def _explore(self, shell: CheckedShell, whole: str, directory: str) -> FarSide:
        """Which programs the far side has is found by having them do it."""
        wanted = _checksum(whole, SAMPLE)
        for encoding in ENCODINGS:
            shell.define(f"k(){{ {encoding.decoder};}}")
            if shell.value(f"set -- $(k {encoding.words(SAMPLE)}|{whole});r=$1") == wanted:
                break
        else:
            raise AgentLost("the far side has nothing that makes bytes of text, not even printf")
        for packing in PACKINGS:
            packed = encoding.words(packing.pack(SAMPLE))
            if shell.value(f"set -- $(k {packed}|{packing.unpacker}|{whole});r=$1") == wanted:
                return FarSide(encoding, packing, whole, directory)
        raise AgentLost("the far side's shell has no `cat`: the agent cannot be put together there")

    def _transfer(self, shell: CheckedShell, far: FarSide, agent: AgentFile, tell: Callable[[str], None]) -> None:
        packed = far.packing.pack(agent.content)
        characters = round(len(packed) * far.encoding.cost)
        seconds = shell.seconds_for(characters)
        line = "on this line" if seconds else "on a line of 115200 baud"
        as_what = f"{len(packed) / 1000:.0f} kB ({far.packing.name}, as {far.encoding.name})"
        tell(f"{as_what} into {far.directory}: about {seconds or characters / BAUD_BYTES:.0f} s {line}")
        shell.define(f"F={far.directory}/{hashlib.sha256(packed).hexdigest()[:12]}")
        # wc, or the length that cksum tells beside the checksum.
        shell.define("n(){ set -- $(wc -c <$F||cksum <$F) 0 0;[ $# = 3 ]||shift;N=$1;}")
        shell.define('p(){ n;o=$1;shift;[ $N = $o ]&&k "$@">>$F;n;}')
        for attempt in range(2):
            self._append_all(shell, far, packed, tell)
            unpack = f"{far.packing.unpacker} <$F >$A;chmod 700 $A;set -- $({far.checksum} <$A);r=$1"
            if shell.value(unpack, shell.patience("unpack")) == _checksum(far.checksum, agent.content):
                shell.value("rm -f $F;r=1")
                return
            shell.value(">$F;r=1")
        raise AgentLost(f"what arrived in {far.directory} is not what was sent, twice: is its disk full?")

    def _append_all(self, shell: CheckedShell, far: FarSide, packed: bytes, tell: Callable[[str], None]) -> None:
        have = self._begin(shell, far, packed)
        if have:
            tell(f"{have * 100 // len(packed)} % of it are there already")
        failures = 0
        told = have
        while have < len(packed):
            count = max(1, int(self._piece / far.encoding.cost))
            piece = packed[have : have + count]
            answer = shell.ask(f"p {have} {far.encoding.words(piece)}", "$N", r"\d+", retype=False)
            length = int(answer or shell.ask("n", "$N", r"\d+"))
            failures = 0 if length == have + len(piece) else failures + 1
            self._adapt(failures)
            if length == have + len(piece):
                self.sent += len(piece)
                have = length
            elif length != have:
                have = self._begin(shell, far, packed)
            self.damaged += failures > 0
            if failures >= STALLED:
                raise AgentLost(f"{failures} pieces in a row did not arrive; {have} of {len(packed)} bytes are there")
            if (have - told) * 20 >= len(packed):
                told = have
                tell(f"{have * 100 // len(packed)} % of {len(packed) / 1000:.0f} kB")

    def _begin(self, shell: CheckedShell, far: FarSide, packed: bytes) -> int:
        """How much of it the far side has; what is not of it is thrown away."""
        have = int(shell.ask("n", "$N", r"\d+"))
        if (
            have == 0
            or have > len(packed)
            or self._sum(shell, far.checksum, "$F") != _checksum(far.checksum, packed[:have])
        ):
            shell.value(">$F;r=1")
            return 0
        return have

    def _adapt(self, failures: int) -> None:
        """Pieces grow while they arrive and shrink when they do not, faster when several do not in a row."""
        if failures == 0:
            self._piece = min(LARGEST_PIECE, self._piece * 1.25)
        else:
            self._piece = max(SMALLEST_PIECE, self._piece / (2.0 if failures > 1 else 1.25))


def _checksum(command: str, data: bytes) -> str:
    return hashlib.md5(data).hexdigest() if command.endswith("md5sum") else str(cksum(data))

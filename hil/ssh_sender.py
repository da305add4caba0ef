# SPDX-License-Identifier: Apache-2.0
"""The agent, copied to a foreign system by the system's own ssh. It is started on the console all the same.

The network of the root cell goes when the hypervisor takes its device, when a driver dies with a cell, when the kernel
panics; the console stays. So ssh only carries the file, and nothing of a run depends on it afterwards.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from contextlib import suppress

from hil.errors import AgentLost
from hil.limits import Deadline
from hil.sent_agent import DIRECTORIES, AgentFile, agent_for
from hil.ssh_address import SshAddress
from hil.verdict import one_line
from hil.watch import Watch

MACHINE = "echo hil-machine:`uname -m`:"
"""What the far side's login shell prints of its own goes before it. Backquotes: a login shell may be any."""
PUT = " ".join(
    [
        "umask 077;",
        "for base in {bases}; do",
        "d=$base/{name};",
        'mkdir "$d" 2>/dev/null;',
        '[ -O "$d" ] && [ ! -L "$d" ] || continue;',
        '{{ echo "#!/bin/sh"; echo "echo runs"; }} >"$d/t" && chmod 700 "$d/t" && [ "$("$d/t")" = runs ] || continue;',
        'rm -f "$d/t";',
        'cat >"$d/part" && chmod 700 "$d/part" && mv "$d/part" "$d/hil-agent" || exit 1;',
        'echo "hil-placed:$d:$("$d/hil-agent" --version)";',
        "exit;",
        "done;",
        "echo hil-nowhere",
    ]
)
"""Runs on the far side with the agent as its input, on one line: csh takes no other in quotes. What is put in is ours:
constants and a hash."""
ADVICE = {
    "Host key verification failed": "its key is not the known one, or none is known: see to the known hosts"
    " (ssh-keyscan, or connect once by hand), or name them in target.yaml's ssh_config",
    "Permission denied": "it accepts no key of yours, and nobody is asked for a password here: install a key there"
    " (ssh-copy-id), or name it in target.yaml's ssh_config",
}
"""By what ssh says: what to do about it."""


class SshSender:
    """See Sender. `find`: the agent for a machine's name (`uname -m`)."""

    name = "ssh"

    def __init__(self, address: SshAddress, find: Callable[[str], AgentFile] = agent_for) -> None:
        self._address = address
        self._find = find

    def send(self, watch: Watch, deadline: Deadline, tell: Callable[[str], None]) -> str:
        """See Sender. The console is watched meanwhile."""
        connect = max(1, round(deadline.of("ssh-connect")))  # ssh takes whole seconds
        said = self._run(f"exec sh -c {shlex.quote(MACHINE)}", b"", connect, watch, deadline)
        machine = re.search(r"hil-machine:([^:\n]*):", said)
        if machine is None:
            raise AgentLost(f"ssh to {self._address}: there is no usable shell, it says '{one_line(said)[:80]}'")
        agent = self._find(machine[1])
        tell(f"{len(agent.content) / 1000:.0f} kB by ssh to {self._address}")
        script = PUT.format(bases=" ".join(DIRECTORIES), name=agent.directory)
        said = self._run(f"exec sh -c {shlex.quote(script)}", agent.content, connect, watch, deadline)
        match = re.search(r"^hil-placed:([^:\n]*):(.*)$", said, re.MULTILINE)
        if match is None:
            raise AgentLost(f"nowhere on {self._address} can a program be put and run: tried {', '.join(DIRECTORIES)}")
        paths = [f"{base}/{agent.directory}" for base in DIRECTORIES]
        if match[1] not in paths or match[2] != agent.version:
            raise AgentLost(f"the agent does not run on {self._address}: it says '{one_line(match[2])[:80]}'")
        return f"{match[1]}/hil-agent"

    def _run(self, command: str, data: bytes, connect: int, watch: Watch, deadline: Deadline) -> str:
        """Runs one command there with `data` as its input; its output. AgentLost when ssh or the command fails."""
        words = [*self._address.words(connect), command]
        try:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise AgentLost(f"ssh cannot be started: {error.strerror}; its package is openssh-client") from error
        try:
            out, err = watch.work(lambda: process.communicate(data), deadline)
        finally:
            if process.poll() is None:
                process.kill()
                with suppress(subprocess.TimeoutExpired):  # nobody needs its end but the table of processes
                    process.wait(deadline.of("off"))
        if process.returncode != 0:
            said = one_line(err.decode("utf-8", "replace"))[-200:] or f"exit code {process.returncode}"
            advice = "".join(f" ({what})" for sign, what in ADVICE.items() if sign in said)
            raise AgentLost(f"ssh to {self._address}: {said}{advice}")
        return str(out.decode("utf-8", "replace"))

# SPDX-License-Identifier: Apache-2.0
"""A machine whose root cell measures by itself before anybody may type: its first process carries out a script before
it becomes the shell on the console. Nothing that the host does, or does late, reaches what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hil.errors import InfrastructureError
from hil.prepare import Prepared

COMMAND_LINE = 2048
"""Characters that Linux takes on arm64 (COMMAND_LINE_SIZE)."""
SURROUNDINGS = (
    *("mount -t proc proc /proc", "mount -t sysfs sysfs /sys", "mount -t devtmpfs devtmpfs /dev"),
    *("export PATH=/hil:/bin", "exec </dev/console >/dev/console 2>&1", "cd /"),
)


def by_itself(prepared: Prepared, script: Sequence[str]) -> Prepared:
    """The same machine in virtual time, with this script (commands of the shell) first. The kernel's command line
    carries it: it must fit there, and hold no double quote. InfrastructureError otherwise.
    """
    machine = prepared.target.virtual_machine
    assert machine is not None
    text = "; ".join((*SURROUNDINGS, *script, "exec /init"))
    # The kernel hands words that it does not know to the first process: nokaslr is one. There is no seed for it anyway.
    known = machine.kernel_args.replace("rdinit=/init", "rdinit=/bin/sh").replace(" nokaslr", "")
    words = f'{known} -- -c "{text}"'
    if len(words) >= COMMAND_LINE or '"' in text:
        raise InfrastructureError(
            f"the kernel's command line would be {len(words)} characters long (the most is {COMMAND_LINE - 1}), or its "
            f"script holds a double quote: {words}"
        )
    return replace(prepared, target=replace(prepared.target, virtual_machine=replace(machine, kernel_args=words)))

# SPDX-License-Identifier: Apache-2.0
"""How long a warm `hil run` takes beside booting the same machine to its first prompt, in alternating rounds.

Both use the same QEMU, kernel, initramfs and command line; their ratio is the figure, the seconds are the host's. A
bare boot lasts from QEMU's start to the prompt on its console; a run from `bin/hil run` to its exit, all built before.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from hil import places
from hil.errors import InfrastructureError
from hil.limits import Limits
from hil.machine import build_image
from hil.options import RunOptions
from hil.prepare import Prepared, prepare
from hil.qemu_power import QemuPower

BOOT_LIMIT = 120.0
RUN_LIMIT = 600.0


@dataclass
class Rounds:
    """Seconds of each round, and of each step of the runs by `state: name`."""

    boot: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)
    exchanges: list[float] = field(default_factory=list)
    """Round trips per second inside the probe's counted part."""

    def ratio(self) -> float:
        """Median run over median boot."""
        return statistics.median(self.run) / statistics.median(self.boot)


def bare_boot(prepared: Prepared) -> float:
    """Seconds from QEMU's start to the first prompt on its console."""
    image = build_image(prepared)
    with tempfile.TemporaryDirectory(prefix="hil-", dir=places.scratch()) as scratch:
        directory = Path(scratch)
        power = QemuPower(
            prepared.target.machine,
            image.kernel,
            image.initramfs,
            directory,
            directory / "log",
            lambda _: None,
            Limits(prepared.target.limits),
        )
        started = time.monotonic()
        power.on()
        try:
            wait_for(power.console_socket, prepared.target.shell_hint.encode(), started + BOOT_LIMIT)
            return time.monotonic() - started
        finally:
            power.off()


def wait_for(path: Path, text: bytes, end: float) -> None:
    """Reads the console at a Unix socket until `text` was on it."""
    seen = b""
    with socket.socket(socket.AF_UNIX) as console:
        console.connect(str(path))
        while text not in seen:
            console.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = console.recv(65536)
            except TimeoutError:
                data = b""
            if not data:
                raise InfrastructureError(f"no {text!r} on the console; its last bytes: {seen[-200:]!r}")
            seen = seen[-200:] + data


def warm_run(options: RunOptions, rounds: Rounds) -> None:
    """One `bin/hil run` as a user starts it."""
    command = [str(places.root() / "bin/hil"), "run", "--json-events", "--target", options.target]
    started = time.monotonic()
    run = subprocess.run([*command, options.probe], capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    seconds = time.monotonic() - started
    if run.returncode != 0:
        raise InfrastructureError(f"`{' '.join(command)}` ended with {run.returncode}: {run.stderr[-500:]}")
    rounds.run.append(seconds)
    for line in run.stdout.splitlines():
        event = json.loads(line)
        if event["event"] == "step":
            rounds.steps.setdefault(f"{event['state']}: {event['name']}", []).append(event["seconds"])
        if event["event"] == "record" and event["record"]["series"] == "round-trip":
            record = event["record"]
            rounds.exchanges.append(record["count"] * record["clock"]["hz"] / record["duration"])


def measure(target: str, probe: str, count: int) -> Rounds:
    """`count` rounds of a bare boot and a warm run each, after one run that is not counted."""
    options = RunOptions(target=target, probe=probe)
    rounds = Rounds()
    warm_run(options, Rounds())
    prepared = prepare(options)
    for _ in range(count):
        rounds.boot.append(bare_boot(prepared))
        warm_run(options, rounds)
    return rounds

# SPDX-License-Identifier: Apache-2.0
"""manifest.json: what ran, where, under which conditions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.fields import Fields, RecordError


@dataclass(frozen=True)
class Manifest:
    """manifest.json: what ran, where, under which conditions. Texts are free; `started` is UTC, ISO 8601.

    `contention` labels what else ran on the machine ("alone", "noisy-neighbour", …): every figure is meaningless
    without it. `emulated` says that the machine is emulated, so that wall-clock figures are not hardware latencies;
    `virtual_time` that its clock counts instructions (QEMU's icount), so that figures are no times at all. `chaos`:
    the faults put on the console's line on purpose (`hil run --chaos`); empty for a clean line.
    `shell`: the way that commands took into the root cell, and why no better one; empty until it is known.
    `versions`: tool name → version (hil, qemu, …). `config_hashes`: file name → sha256 in hex. `host`: name, cpu, ….
    """

    target: str
    bench: str
    started: str
    command: Sequence[str]
    machine: str
    hypervisor: str
    kernel: str
    contention: str
    emulated: bool
    hypervisor_version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    config_hashes: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str] = field(default_factory=dict)
    virtual_time: bool = False
    chaos: str = ""
    shell: str = ""

    @property
    def honesty(self) -> str:
        """What the figures are and what they are not, in a few sentences."""
        if self.chaos:
            return f"{self._harmed} {self._nature}"
        return self._nature

    @property
    def _harmed(self) -> str:
        return (
            f"Chaos: the console's line was harmed on purpose ({self.chaos}), and mending it keeps the root cell busy; "
            "these are no clean figures, compare them only with runs under the same faults."
        )

    @property
    def _nature(self) -> str:
        if self.virtual_time:
            return (
                "Virtual time: the clock advances one nanosecond per emulated instruction, so these figures count "
                "instructions, on CPUs that take turns; they are no latencies of any hardware and hardly depend on "
                "the host."
            )
        if self.emulated:
            return (
                "The machine is emulated in software: these wall-clock figures contain the emulator's work and the "
                "host's scheduling and are no hardware latencies; compare them only with runs on the same host under "
                "the same contention."
            )
        return (
            "Measured on the machine itself. Memory contention moves such figures far more than the choice of "
            "hypervisor does: compare only runs under the same contention."
        )

    @property
    def busy_host(self) -> str:
        """A warning when the host had other work as the run began; empty where it had none, or it is not known.

        Of an emulated machine's wall-clock figures a busy host makes anything, whatever `contention` says.
        """
        try:
            load, cpus = float(self.host["load"].split()[0]), int(self.host["cpus"])
        except (KeyError, ValueError, IndexError):
            return ""
        if not self.emulated or self.virtual_time or load < cpus / 2:
            return ""
        return f"The host was busy as the run began: load {load:.1f} on {cpus} CPUs. That is in these figures as well."

    def as_dict(self) -> dict[str, Any]:
        """The JSON object that `Manifest.of` reads."""
        return {
            "format": 1,
            "target": self.target,
            "bench": self.bench,
            "started": self.started,
            "command": list(self.command),
            "machine": self.machine,
            "emulated": self.emulated,
            "virtual_time": self.virtual_time,
            "hypervisor": self.hypervisor,
            "hypervisor_version": self.hypervisor_version,
            "kernel": self.kernel,
            "contention": self.contention,
            "chaos": self.chaos,
            "shell": self.shell,
            "versions": dict(self.versions),
            "config_hashes": dict(self.config_hashes),
            "host": dict(self.host),
        }

    @staticmethod
    def of(value: object) -> Manifest:
        fields = Fields.of("manifest", value)
        if fields.integer("format", default=1) != 1:
            raise fields.fail("format", "1, the one that this version of hil reads")
        command, emulated = fields.get("command"), fields.get("emulated")
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise fields.fail("command", "a list of words")
        if not isinstance(emulated, bool):
            raise fields.fail("emulated", "true or false")
        virtual_time = fields.data.get("virtual_time", False)
        if not isinstance(virtual_time, bool):
            raise fields.fail("virtual_time", "true or false")
        return Manifest(
            **{key: fields.text(key) for key in ("target", "bench", "started", "machine", "hypervisor", "kernel")},
            contention=fields.text("contention"),
            command=tuple(command),
            emulated=emulated,
            hypervisor_version=fields.text("hypervisor_version", ""),
            versions=fields.texts("versions"),
            config_hashes=fields.texts("config_hashes"),
            host=fields.texts("host"),
            virtual_time=virtual_time,
            chaos=fields.text("chaos", ""),
            shell=fields.text("shell", ""),
        )


def read_manifest(path: Path) -> Manifest:
    """manifest.json of a run directory; RecordError when its content is wrong, OSError when it cannot be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path}: not JSON: {error}") from error
    return Manifest.of(value)

# SPDX-License-Identifier: Apache-2.0
"""What `hil run` was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

SHELLS = ("auto", "agent", "ssh", "console", "plain")
"""What --shell takes: the image's agent, one sent by ssh or over the console, the plain shell; or the first of them
that works."""


@dataclass(frozen=True)
class RunOptions:
    """Names as typed; they are looked up when the run is prepared."""

    target: str
    probe: str
    hypervisor: str = "gaol"
    root: str = "interrupt"
    inmate: str = "interrupt"
    warmup: int = 1000
    count: int = 10000
    contention: str = "alone"
    virtual_time: bool = False
    shell: str = "auto"
    wait: float = 0.0
    chaos: str = ""
    """Faults between the console's stream and the controller, as hil/lib/chaos.hpp reads them; empty: none."""
    statistics: float = 0.0
    """Seconds between two readings of the cells' counters while the probe runs; 0: only before and after it."""
    verbose: bool = False
    json_events: bool = False
    keep: bool = False
    command: tuple[str, ...] = field(default=())

    def placeholders(self) -> dict[str, object]:
        """What program and inmate command lines may name in braces."""
        return {"root": self.root, "inmate": self.inmate, "warmup": self.warmup, "count": self.count}

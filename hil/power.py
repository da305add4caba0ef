# SPDX-License-Identifier: Apache-2.0
"""Power: switching a machine on and off, and asking it from outside how it is."""

from __future__ import annotations

from typing import Protocol


class Power(Protocol):
    """The power protocol of a target."""

    def on(self) -> None:
        """Starts the machine. InfrastructureError when that fails."""

    def off(self) -> None:
        """Stops it, whatever its state; nothing happens when it is off. Nothing of it is left afterwards."""

    def died(self) -> str | None:
        """How it ended by itself, in words; None while it runs or is off."""

    def condition(self) -> str:
        """What it says when asked from outside, in words; empty when it cannot be asked."""

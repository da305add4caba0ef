# SPDX-License-Identifier: Apache-2.0
"""Kinds of option values that several commands take, each with an error that says what would be right."""

from __future__ import annotations

from typing import Any

import click


class Whole(click.IntRange):
    """A whole number between two limits."""

    name = "N"

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self._low, self._high = low, high

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """The number; click's usage error when it is none or lies outside."""
        try:
            number = int(value)
        except ValueError:
            number = self._low - 1
        if not self._low <= number <= self._high:
            self.fail(f"'{value}' is no whole number from {self._low} to {self._high}.", parameter, context)
        return number

# SPDX-License-Identifier: Apache-2.0
"""Kinds of option values that several commands take, each with an error that says what would be right."""

from __future__ import annotations

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A number between two limits; `nan`, which is neither below nor above anything, is none."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """The number; click's usage error when it is none or lies outside."""
        number = float(super().convert(value, parameter, context))
        if math.isnan(number):
            self.fail(f"'{value}' is no number from {self.min} to {self.max}.", parameter, context)
        return number


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

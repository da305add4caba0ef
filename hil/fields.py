# SPDX-License-Identifier: Apache-2.0
"""The fields of a JSON object that came from outside, each read with its check.

What a probe printed or a killed run left half written may hold anything: every reader validates and raises
`RecordError` with the field, what was found there and what is expected. Nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class RecordError(ValueError):
    """A record, event or manifest that does not hold what its format says."""


@dataclass(frozen=True)
class Fields:
    """One JSON object, and the name under which messages speak of it."""

    what: str
    data: Mapping[str, Any]

    @staticmethod
    def of(what: str, value: object) -> Fields:
        if not isinstance(value, Mapping):
            raise RecordError(f"{what}: expected a JSON object, found {shown(value)}")
        return Fields(what, value)

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise RecordError(f'{self.what}: field "{key}" is missing')
        return self.data[key]

    def fail(self, key: str, expected: str) -> RecordError:
        return RecordError(f'{self.what}: field "{key}": expected {expected}, found {shown(self.data.get(key))}')

    def text(self, key: str, default: str | None = None) -> str:
        value = self.get(key) if default is None else self.data.get(key, default)
        if not isinstance(value, str):
            raise self.fail(key, "text")
        return value

    def number(self, key: str, minimum: float | None = 0, default: float | None = None) -> float:
        value = self.get(key) if default is None else self.data.get(key, default)
        if not is_number(value) or (minimum is not None and value < minimum):
            raise self.fail(key, "a finite number" if minimum is None else f"a finite number >= {minimum:g}")
        return float(value)

    def integer(self, key: str, minimum: int = 0, default: int | None = None) -> int:
        value = self.get(key) if default is None else self.data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self.fail(key, f"an integer >= {minimum}")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """An object whose values are text, as `{"root": "interrupt"}`; absent means empty."""
        value = self.data.get(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise self.fail(key, "an object of texts")
        return {str(k): v for k, v in value.items()}

    def rows(self, key: str, width: int, limit: int) -> list[tuple[float, ...]]:
        """A list of number rows, each `width` wide; absent means empty."""
        value = self.data.get(key, [])
        shape = f"at most {limit} rows of {width} finite numbers >= 0"
        if not isinstance(value, list) or len(value) > limit:
            raise self.fail(key, shape)
        for row in value:
            if not isinstance(row, list) or len(row) != width or not all(is_number(n) and n >= 0 for n in row):
                raise RecordError(f'{self.what}: field "{key}": expected {shape}, found the row {shown(row)}')
        return [tuple(float(n) for n in row) for row in value]


def is_number(value: object) -> bool:
    # The magnitude first: an integer that no float can hold is not a number that anybody measured.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."

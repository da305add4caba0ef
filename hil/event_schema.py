# SPDX-License-Identifier: Apache-2.0
"""Checks an event against hil/events.schema.json, which other programs read: the part of JSON Schema that is in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("events.schema.json")
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def problems(event: object) -> list[str]:
    """What is wrong with an event, a sentence each; empty when it is as the schema says."""
    kinds = _kinds()
    kind = event.get("event") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        return [f"an event of kind {kind!r}; there are {', '.join(kinds)}"]
    return list(_problems(event, kinds[kind], str(kind)))


@lru_cache(maxsize=1)
def _kinds() -> Mapping[str, Any]:
    """The schema of each kind of event."""
    return {one["properties"]["event"]["const"]: one for one in json.loads(SCHEMA.read_text())["oneOf"]}


def _problems(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} instead of {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not _is_a(value, schema["type"]):
        yield f"{where}: {value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, where)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{where}: {len(value)} items"
        for number, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), f"{where}[{number}]")
    elif isinstance(value, (int, float)):
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        if not math.isfinite(value) or not least <= value <= most:
            yield f"{where}: {value} is out of range"


def _object_problems(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}: no {name!r}"
    for name, item in value.items():
        if name in known:
            yield from _problems(item, known[name], f"{where}.{name}")
        elif more is False:
            yield f"{where}: {name!r} is not in the schema"
        elif isinstance(more, dict):
            yield from _problems(item, more, f"{where}.{name}")


def _is_a(value: object, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(isinstance(value, TYPES[name]) and not isinstance(value, bool) for name in names)

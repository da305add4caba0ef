# SPDX-License-Identifier: Apache-2.0
"""Names that a user types: the nearest known one when it is wrong, and a harmless form for file names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from hil.errors import WrongUse


def choose(kind: str, typed: str, known: Iterable[str]) -> str:
    """`typed` when it is known; else WrongUse naming the nearest known name, or all of them when none is near."""
    names = sorted(known)
    if typed in names:
        return typed
    near = difflib.get_close_matches(typed, names, n=1, cutoff=0.4)
    if near:
        raise WrongUse(f"no {kind} is called '{typed}'; did you mean '{near[0]}'?")
    raise WrongUse(f"no {kind} is called '{typed}'; there are: {', '.join(names) or 'none'}")


def harmless(text: str) -> str:
    """`text` as a part of a file name: letters, digits, dot, dash; never empty, never hidden, never a path."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip(".")[:64] or "_"

# SPDX-License-Identifier: Apache-2.0
"""Writes the reports of a run directory, each atomically: a reader never sees half a file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from reports.html_page import ReportError, page
from reports.junit import junit
from reports.result_json import result
from reports.run import load

__all__ = ["ReportError", "as_json", "write_all", "write_atomically"]


def write_all(run_dir: Path) -> list[Path]:
    """result.json, junit.xml and report.html from manifest.json, events.jsonl, console.raw; returns their paths.

    RecordError: the manifest is wrong. OSError: a file is missing or cannot be written. ReportError: the page's parts
    are not installed; the other two files are written by then.
    """
    run = load(run_dir)
    paths = [run_dir / name for name in ("result.json", "junit.xml", "report.html")]
    write_atomically(paths[0], as_json(result(run)))
    write_atomically(paths[1], junit(run))
    write_atomically(paths[2], page(run).encode("utf-8", "replace"))
    return paths


def as_json(value: Any) -> bytes:
    """A document as people and diffs read it."""
    return (json.dumps(value, indent=2) + "\n").encode()


def write_atomically(path: Path, data: bytes) -> None:
    """All of `data` under `path`, or nothing: written beside it, synced, renamed."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

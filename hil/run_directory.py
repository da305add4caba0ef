# SPDX-License-Identifier: Apache-2.0
"""A run's directory: what is in it, how it gets there whole, and how an unfinished one is known."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hil import places
from hil.errors import InfrastructureError, WrongUse
from hil.names import harmless
from hil.process import ProcessId

RUNNING = "running"
"""There while the run lasts: JSON with the controller's identity and what it started (processes, scratch directory)."""
UNFINISHED = "unfinished"
"""What RUNNING becomes when the controller was killed: the other files hold what it had until then."""

NAMELESS = ".new-"
"""How the name of a directory begins that is to become a run's: pid and start time of its maker follow."""

CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
}


@contextmanager
def writing(path: Path, elsewhere: str = "HIL_RUNS") -> Iterator[None]:
    """Turns an OSError met while writing `path` into an InfrastructureError that says why and what to do.

    `elsewhere` is the variable that names another place for it.
    """
    try:
        yield
    except OSError as error:
        cause = CAUSES.get(error.errno or 0, error.strerror or str(error))
        space = "free some space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        advice = f"{space}set {elsewhere} to a directory elsewhere"
        raise InfrastructureError(f"cannot write {path}: {cause}; {advice}") from error


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that it is there whole or not at all."""
    with writing(path):
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with scratch.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)


@dataclass
class Holdings:
    """What a run holds outside its directory, so that a later run can let go of it."""

    controller: ProcessId
    processes: list[ProcessId]
    scratch: str
    target: str

    def to_json(self) -> str:
        """As the RUNNING file holds it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Holdings:
        """Reads a RUNNING file; ValueError, KeyError or TypeError when it is damaged."""
        data = json.loads(text)
        processes = [ProcessId(**p) for p in data["processes"]]
        return cls(ProcessId(**data["controller"]), processes, str(data["scratch"]), str(data["target"]))


class RunDirectory:
    """A new run's directory with its RUNNING mark, and a scratch directory for sockets."""

    def __init__(self, target: str, bench: str, now: datetime | None = None, base: Path | None = None) -> None:
        self.started = now or datetime.now(timezone.utc)
        stamp = self.started.strftime("%Y%m%dT%H%M%S")
        base = base or places.runs()
        identity = ProcessId.of(os.getpid())
        assert identity is not None
        self.scratch = places.scratch() / f"hil-{secrets.token_hex(8)}"
        self._holdings = Holdings(identity, [], str(self.scratch), target)
        # Whenever we are killed: what is there can be found by its mark, and is marked from the first moment on.
        self.path = _new_directory(base, f"{stamp}Z-{harmless(target)}-{harmless(bench)}", self._holdings)
        with writing(self.scratch):
            self.scratch.mkdir(mode=0o700)

    def hold(self, process: ProcessId) -> None:
        """Notes a process that belongs to this run."""
        self._holdings.processes.append(process)
        self._mark()

    def finish(self) -> None:
        """Takes the mark away and removes the scratch directory. The run is whole."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        with writing(self.path):
            (self.path / RUNNING).unlink(missing_ok=True)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Writes manifest.json."""
        write_whole(self.path / "manifest.json", json.dumps(manifest, indent=1) + "\n")

    def _mark(self) -> None:
        write_whole(self.path / RUNNING, self._holdings.to_json())


def _new_directory(base: Path, name: str, holdings: Holdings) -> Path:
    """Makes base/name, or base/name-2 and so on when it is taken. It appears with its mark in it, or not at all."""
    with writing(base):
        base.mkdir(parents=True, exist_ok=True)
        nameless = base / f"{NAMELESS}{holdings.controller.pid}-{holdings.controller.start}-{secrets.token_hex(4)}"
        nameless.mkdir()
        try:
            write_whole(nameless / RUNNING, holdings.to_json())
            for suffix in ["", *(f"-{n}" for n in range(2, 1000))]:
                path = base / (name + suffix)
                try:
                    os.rename(nameless, path)
                    return path
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                        raise
        finally:
            shutil.rmtree(nameless, ignore_errors=True)
    raise InfrastructureError(f"cannot make a run directory: {base}/{name} and its 998 successors are taken")


def find_run(typed: str) -> Path:
    """The run directory that a user means: a path, a name below runs/, or `last`. WrongUse when there is none."""
    base = places.runs()
    if typed == "last":
        runs = sorted(p for p in base.glob("*") if (p / "events.jsonl").exists()) if base.is_dir() else []
        if not runs:
            raise WrongUse(f"there is no run in {base} yet")
        return runs[-1]
    for path in (Path(typed), base / typed):
        if path.is_dir():
            if not (path / "events.jsonl").exists():
                raise WrongUse(f"{path} is no run directory: it has no events.jsonl")
            return path
    raise WrongUse(f"no run directory '{typed}', neither as a path nor in {base}")

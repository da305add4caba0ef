# SPDX-License-Identifier: Apache-2.0
"""Where things are: the repository, the build's products, the cache, the runs, the locks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hil.errors import InfrastructureError

SOCKET_DIRECTORY = 80
"""Bytes: a Unix socket's path has at most 107 (unix(7)), and `/hil-xxxxxxxx/console` follows."""


def root() -> Path:
    """The repository (HIL_ROOT, set by the launcher)."""
    return Path(os.environ.get("HIL_ROOT") or Path(__file__).resolve().parent.parent)


def build() -> Path:
    """The build directory (HIL_BUILD, else build/ in the repository)."""
    return Path(os.environ.get("HIL_BUILD") or root() / "build")


def cache() -> Path:
    """Downloads and images: ${HIL_CACHE:-${XDG_CACHE_HOME:-~/.cache}/hil}."""
    if named := os.environ.get("HIL_CACHE"):
        return Path(named)
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "hil"
    try:
        return Path.home() / ".cache/hil"
    except RuntimeError as error:  # a user without an entry in passwd, and without HOME
        raise InfrastructureError("there is no home directory for the cache: set HOME, or HIL_CACHE") from error


def runs() -> Path:
    """Run directories (HIL_RUNS, else runs/ in the repository)."""
    return Path(os.environ.get("HIL_RUNS") or root() / "runs")


def targets() -> Path:
    """Targets, one directory each."""
    return root() / "targets"


def scenarios() -> Path:
    """Scenarios, one YAML file each."""
    return root() / "scenarios"


def scratch() -> Path:
    """Where runs keep their sockets: the system's directory for temporary files, or /tmp where its path is too long."""
    base = Path(tempfile.gettempdir())
    return base if len(os.fsencode(base)) <= SOCKET_DIRECTORY else Path("/tmp")


def locks() -> Path:
    """Target locks: shared by all checkouts of one user, since they share the machines (HIL_LOCKS)."""
    if named := os.environ.get("HIL_LOCKS"):
        return Path(named)
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"hil-{os.getuid()}"

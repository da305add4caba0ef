# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over every translation unit of the host's and the guests' builds, remembered by content.

A unit that was clean is not looked at again until it, a header it includes, the checks or the tool's version change:
the key is the hash of all of them. Only the verdict "clean" is remembered. The analyzer's checks take more time than
all the others together, so they are added when HIL_NIGHTLY is set.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


BUILDS = {"host": (), "arm64": ("--extra-arg=--target=aarch64-linux-gnu",)}
"""Build directories and what clang must be told about their compiler."""
CHECKS = ("--checks=clang-analyzer-*",) if os.environ.get("HIL_NIGHTLY") else ()
"""What is asked for beside the checks of .clang-tidy."""
GCC_ONLY = {"-fno-tree-loop-distribute-patterns", "-fno-ipa-icf", "-fconserve-stack"}
"""Options of GCC that clang refuses; they change nothing that the checks look at."""


@dataclass(frozen=True)
class Unit:
    """One entry of compile_commands.json that belongs to the repository."""

    source: Path
    command: tuple[str, ...]
    directory: Path
    tidy: tuple[str, ...]
    """clang-tidy's own arguments."""


def units(root: Path) -> list[Unit]:
    """The repository's own translation units, each source once: as the host builds it, else as a guest does."""
    found: dict[Path, Unit] = {}
    for build, extra in BUILDS.items():
        database = root / "build" / build / "compile_commands.json"
        tidy = ("--quiet", "-p", str(filtered(database, root / "build" / "tidy" / build)), *extra)
        for entry in json.loads(database.read_text()):
            source = Path(entry["directory"], entry["file"]).resolve()
            if source.is_relative_to(root) and not source.is_relative_to(root / "build") and source.suffix == ".cpp":
                command = tuple(shlex.split(entry["command"]))
                found.setdefault(source, Unit(source, command, Path(entry["directory"]), tidy))
    return sorted(found.values(), key=lambda unit: unit.source)


def filtered(database: Path, directory: Path) -> Path:
    """A copy of the compile commands that clang can read; its directory."""
    entries = json.loads(database.read_text())
    for entry in entries:
        entry["command"] = shlex.join(word for word in shlex.split(entry["command"]) if word not in GCC_ONLY)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / database.name).write_text(json.dumps(entries))
    return directory


def included(unit: Unit) -> str:
    """What the unit includes, as a rule of make. The command's output is left out of it: the compiler would empty the
    object, and the next build would have to make all of them again."""
    words = list(unit.command)
    if "-o" in words:
        del words[words.index("-o") : words.index("-o") + 2]
    words = [*(word for word in words if word != "-c"), "-MM", "-MF", "-"]
    return subprocess.run(words, cwd=unit.directory, capture_output=True, text=True, check=False).stdout


def key(unit: Unit, root: Path, version: str) -> str:
    """Hash of the unit's command, the checks, the tool, and every file of the repository that the unit includes."""
    listing = included(unit)
    digest = hashlib.sha256(version.encode())
    for directory in unit.source.parents:
        if directory.is_relative_to(root) and (checks := directory / ".clang-tidy").is_file():
            digest.update(checks.read_bytes())
    digest.update(" ".join(CHECKS).encode())
    digest.update(" ".join(unit.command).replace(str(root), "").encode())
    names = listing.replace("\\\n", " ").split()[1:]
    for name in sorted({Path(unit.directory, name).resolve() for name in names} | {unit.source}):
        if name.is_relative_to(root) and name.is_file():
            digest.update(name.read_bytes())
    return digest.hexdigest()


def cache_directory() -> Path:
    base = os.environ.get("HIL_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hil"
    directory = Path(base) / "tidy"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def check(unit: Unit, root: Path, version: str, cache: Path) -> tuple[Unit, bool, str]:
    stamp = cache / key(unit, root, version)
    if stamp.exists():
        return unit, True, ""
    run = subprocess.run(
        ["clang-tidy", *CHECKS, *unit.tidy, str(unit.source)], capture_output=True, text=True, check=False
    )
    if run.returncode == 0:
        stamp.touch()
    return unit, run.returncode == 0, run.stdout + (run.stderr if run.returncode else "")


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    cache = cache_directory()
    found = units(root)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for unit, clean, output in pool.map(lambda u: check(u, root, version, cache), found):
            if not clean:
                bad += 1
                print(f"== {unit.source.relative_to(root)}\n{output}", flush=True)
    print(f"{len(found)} translation units, {bad} with findings")
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())

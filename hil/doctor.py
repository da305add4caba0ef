# SPDX-License-Identifier: Apache-2.0
"""What this host has and lacks for hil. Needs Python's standard library alone: it runs before anything is set up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hil import kvm, places

PROGRAMS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "g++": "g++",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "make": "make",
    "dpkg-deb": "dpkg",
    "setpriv": "util-linux",
}
"""Programs that a run needs, and the package that brings each."""

PRODUCTS = {
    "host/pybind/_hil.*.so": "the controller's C++ library",
    "arm64/hypervisor/jailhouse.ko": "gaol's kernel module",
    "arm64/hypervisor/jailhouse.bin": "gaol's image",
    "arm64/inmates/*.bin": "inmates",
    "arm64/root/hil-agent": "the root cell's agent",
    "arm64/root/uio_ivshmem.ko": "the ivshmem driver",
    "cells/qemu/*.cell": "the qemu target's cell configs",
}
"""What the build leaves in the build directory."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor. `missing` findings make it exit 1; the others only inform."""

    name: str
    good: bool
    text: str
    missing: bool = False
    package: str = ""


def first_line(command: list[str], seconds: float = 20.0) -> str:
    """The first line of a program's output; a sentence when there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"gave no answer within {seconds:.0f} s"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines else "says nothing"


def system() -> Iterable[Finding]:
    """The distribution and the host's size."""
    name = "unknown"
    try:
        for line in Path("/etc/os-release").read_text().splitlines():
            if line.startswith("PRETTY_NAME="):
                name = line.partition("=")[2].strip('"')
    except OSError:
        pass
    yield Finding(
        "system", "bookworm" in name, name + ("" if "bookworm" in name else " (made for Debian 12, bookworm)")
    )
    free = shutil.disk_usage(places.root()).free / 2**30
    yield Finding("disk", free > 4, f"{free:.1f} GiB free at {places.root()} (a build with its images takes about 2)")
    yield Finding("cpus", True, f"{os.cpu_count()}, load {os.getloadavg()[0]:.1f}")


def programs() -> Iterable[Finding]:
    """Programs by name, each with its version."""
    for program, package in PROGRAMS.items():
        path = shutil.which(program)
        if path is None:
            yield Finding(program, False, f"not found; package {package}", True, package)
        else:
            yield Finding(program, True, first_line([path, "--version"]))


def wanted_packages() -> list[str]:
    """The packages of packages.txt, up to the part that only the tests need."""
    names = []
    for line in (places.root() / "packages.txt").read_text().splitlines():
        if line.startswith("# Test"):
            break
        if match := re.match(r"([a-z0-9][a-z0-9+.-]*)", line):
            names.append(match.group(1))
    return names


def packages() -> Iterable[Finding]:
    """Debian packages that packages.txt names and dpkg does not know as installed."""
    if shutil.which("dpkg-query") is None:
        yield Finding("packages", False, "no dpkg-query: this is no Debian", True)
        return
    wanted = wanted_packages()
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package} ${Version}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    have = {line[3:].split()[0] for line in done.stdout.splitlines() if line.startswith("ii")}
    for name in wanted:
        if name not in have:
            yield Finding(name, False, "package not installed", True, name)
    yield Finding("packages", set(wanted) <= have, f"{len(have)} of {len(wanted)} installed")


def products() -> Iterable[Finding]:
    """What the build has made."""
    for pattern, what in PRODUCTS.items():
        found = sorted(places.build().glob(pattern))
        text = f"{what}: {len(found)} built" if found else f"{what}: not built yet; the first `bin/hil run` builds it"
        yield Finding(pattern, bool(found), text)
    cache = places.cache() / "images"
    yield Finding("root images", cache.is_dir(), f"{cache}: {len(list(cache.glob('*.cpio*')))} cached")


def virtualisation() -> Iterable[Finding]:
    """Whether KVM really runs a guest. hil does not need it: its arm64 machine is emulated on other hosts."""
    works, text = kvm.try_guest()
    yield Finding("/dev/kvm", works, text + ("" if works else "; not needed: the qemu target is emulated in software"))


SECTIONS: tuple[Callable[[], Iterable[Finding]], ...] = (system, programs, packages, products, virtualisation)


def main() -> int:
    """Prints the findings and the one command that installs what is missing. 0 when nothing is missing, else 1."""
    missing: list[Finding] = []
    for section in SECTIONS:
        for finding in section():
            mark = "ok     " if finding.good else "MISSING" if finding.missing else "note   "
            print(f"{mark} {finding.name:<32} {finding.text}", flush=True)
            if finding.missing:
                missing.append(finding)
    names = sorted({finding.package for finding in missing if finding.package})
    if names:
        print(f"\nto install what is missing:\n  apt-get install --no-install-recommends -y {' '.join(names)}")
        print("(`bin/hil run` does this itself as root or through sudo)")
    return 1 if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

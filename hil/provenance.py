# SPDX-License-Identifier: Apache-2.0
"""Where a run's figures come from: every version and input that they depend on, gathered for the manifest."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import hil
from hil import places
from hil.hypervisor import Hypervisor, sha256
from hil.limits import Limits
from hil.options import RunOptions
from hil.manifest import Manifest
from hil.target import Target


def gather(
    options: RunOptions,
    target: Target,
    hypervisor: Hypervisor,
    image: Mapping[str, object],
    inputs: Mapping[str, Path],
    started: datetime,
    limits: Limits,
) -> Manifest:
    """`image` is the root image's manifest, `inputs` are further files by the name to show."""
    patience = limits.stretched("version")
    packages = image.get("packages")
    machine = target.machine_of(options.virtual_time)
    own, qemu = own_version(patience), qemu_version(target.machine.program, patience)
    versions = {"hil": own, "qemu": qemu, "python": platform.python_version()}
    if isinstance(packages, Mapping):
        versions.update({str(name): str(version) for name, version in packages.items()})
    hashes = {name: sha256(path) for name, path in inputs.items()} | hypervisor.hashes()
    hashes["initramfs"] = str(image.get("initramfs_sha256", ""))
    return Manifest(
        target=target.name,
        bench=options.probe,
        started=started.isoformat(timespec="milliseconds"),
        command=options.command,
        machine=" ".join([machine.program, *machine.model()]),
        hypervisor=hypervisor.name,
        hypervisor_version=sha256(hypervisor.firmware[0])[:12],
        kernel=str(image.get("kernel_release", "unknown")),
        contention=f"{options.contention}{_reading(options.statistics)}",
        emulated=target.emulated,
        versions=versions,
        config_hashes=hashes,
        host=host(),
        virtual_time=options.virtual_time,
        chaos=options.chaos,
    )


def own_version(patience: float) -> str:
    """The package's version with git's description of the checkout, where there is one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(places.root()), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return hil.__version__
    return f"{hil.__version__}+{done.stdout.strip()}" if done.returncode == 0 else hil.__version__


def qemu_version(program: str, patience: float) -> str:
    """QEMU's own first line; says so when there is no QEMU."""
    if shutil.which(program) is None:
        return "not installed"
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=patience, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer --version"
    return done.stdout.splitlines()[0].removeprefix("QEMU emulator version ") if done.stdout else "unknown"


def host() -> dict[str, str]:
    """The machine that emulates."""
    return {
        "name": platform.node(),
        "cpu": cpu_model(),
        "cpus": str(os.cpu_count() or 0),
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def cpu_model() -> str:
    """As /proc/cpuinfo names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _reading(seconds: float) -> str:
    """What reading the cells' counters beside the probe adds to the label of the contention."""
    return f", counters read every {seconds:g} s" if seconds else ""

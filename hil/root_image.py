# SPDX-License-Identifier: Apache-2.0
"""The root cell's image: Debian's kernel and an initramfs with busybox, our programs, modules, cells and inmates.

    python3 -m hil.root_image --out build/image --hypervisor DIR --programs DIR --cells DIR --inmates DIR
    python3 -m hil.root_image --kernel-build-link build/kernel     only the tree that kernel modules are built in

The initramfs is kept in ``<cache>/images`` under the hash of its content and only compressed and written when it is not
there. ``--out`` receives Image and initramfs.cpio (links into the cache) and image.json (versions and hashes for the
run's manifest), each replaced by one rename: two runs at once never see a half-written file. For runs whose inputs
differ, use the paths that `root_image` returns: they are named by content.

Inside the image: /hil/jailhouse.ko, /hil/jailhouse, /lib/firmware/jailhouse*.bin, /hil/<program>, /hil/cells/*.cell,
/hil/inmates/*.bin, /lib/modules/*.ko; a busybox shell on the console (prompt `hil# `, PATH=/hil:/bin).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hil import places
from hil.cpio_archive import CpioArchive
from hil.root_packages import ImageError, ImageSpec, RootPackages, locked, module_depends, root_packages

INIT = """#!/bin/busybox sh
# The root cell's first process: mounts what the tools need and keeps a shell on the console.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
# The kernel's worker that takes up what a UART received stays on the CPU of the UART's interrupt: to wake another one
# for every few characters cost an emulator 19 to 29 % of the console's speed (docs/performance.md).
echo 1 >/sys/devices/virtual/workqueue/cpumask
export PATH=/hil:/bin HOME=/ TERM=dumb PS1='hil# '
exec </dev/console >/dev/console 2>&1
cd /
while :; do
    setsid cttyhack sh
    sleep 1
done
"""

APPLETS = (
    "[ ash awk base64 basename cat chmod chrt cksum cmp cp cttyhack cut date dd devmem dirname dmesg du echo "
    "env expr false find free grep gzip gunzip halt head hexdump id insmod kill killall ln ls lsmod md5sum "
    "mkdir mknod mktemp modprobe mount mv nice nproc od pidof poweroff printf ps pwd readlink realpath reboot "
    "rm rmdir rmmod sed seq setsid sh sha256sum sleep sort stat stty sync tail tar taskset tee test timeout "
    "top touch tr true tty umount uname uniq uptime usleep vi wc which xargs xxd yes"
).split()
"""busybox's programs that get a link in /bin. All its others: `busybox NAME`."""


KEPT_SECONDS = 14 * 24 * 3600
"""How long an image stays in the cache after its last use."""


@dataclass(frozen=True)
class ImageInputs:
    """What goes into an image beside the packages. A directory that is None is left out."""

    hypervisor: Path | None = None
    """jailhouse.ko, jailhouse*.bin and the tool `jailhouse`: our build or a user's Jailhouse."""
    programs: Path | None = None
    """Static programs and kernel modules for /hil."""
    cells: Path | None = None
    """*.cell for /hil/cells."""
    inmates: Path | None = None
    """*.bin for /hil/inmates."""
    files: dict[str, Path] = field(default_factory=dict)
    """Further files: path in the image (without leading slash) to file."""


@dataclass(frozen=True)
class RootImage:
    """A finished image. The paths are named by content and stay as they are."""

    kernel: Path
    initramfs: Path
    manifest: dict[str, object]


@dataclass(frozen=True)
class _Member:
    source: Path
    mode: int


def _files(directory: Path | None, what: str, patterns: Sequence[str]) -> list[Path]:
    if directory is None:
        return []
    if not directory.is_dir():
        raise ImageError(f"{what} {directory}: no such directory")
    found = {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
    return sorted(found)


def _find_one(directory: Path, pattern: str, what: str) -> Path:
    found = sorted(directory.rglob(pattern), key=lambda path: (len(path.parts), str(path)))
    found = [path for path in found if path.is_file()]
    if not found:
        raise ImageError(f"hypervisor directory {directory}: no {what} ({pattern}) in it")
    return found[0]


def _hypervisor_members(directory: Path) -> dict[str, _Member]:
    """Module, firmware and tool, wherever below the directory a build left them."""
    if not directory.is_dir():
        raise ImageError(f"hypervisor directory {directory}: no such directory")
    members = {
        "hil/jailhouse.ko": _Member(_find_one(directory, "jailhouse.ko", "kernel module"), 0o644),
        "hil/jailhouse": _Member(_find_one(directory, "jailhouse", "tool"), 0o755),
    }
    first = _find_one(directory, "jailhouse*.bin", "firmware")
    for path in sorted(first.parent.glob("jailhouse*.bin")):
        members[f"lib/firmware/{path.name}"] = _Member(path, 0o644)
    return members


def _members(packages: RootPackages, inputs: ImageInputs) -> dict[str, _Member]:
    """Everything that comes from files: path in the image to source."""
    members = {"bin/busybox": _Member(packages.busybox, 0o755)}
    for path in packages.modules:
        members[f"lib/modules/{path.name}"] = _Member(path, 0o644)
    if inputs.hypervisor is not None:
        members.update(_hypervisor_members(inputs.hypervisor))
    for path in _files(inputs.programs, "program directory", ["*"]):
        # A directory of build products: take what can run or be loaded there.
        if path.suffix == ".ko" or os.access(path, os.X_OK):
            members[f"hil/{path.name}"] = _Member(path, 0o644 if path.suffix == ".ko" else 0o755)
    for path in _files(inputs.cells, "cell directory", ["*.cell"]):
        members[f"hil/cells/{path.name}"] = _Member(path, 0o644)
    for path in _files(inputs.inmates, "inmate directory", ["*.bin"]):
        members[f"hil/inmates/{path.name}"] = _Member(path, 0o644)
    for name, path in inputs.files.items():
        members[name] = _Member(path, 0o755 if os.access(path, os.X_OK) else 0o644)
    return members


def _modules_dep(contents: dict[str, bytes]) -> bytes:
    """modprobe's table of all modules in the image; names are relative to /lib/modules or absolute."""
    paths = {Path(name).stem.replace("-", "_"): name for name in contents if name.endswith(".ko")}
    places_of = {name: path.removeprefix("lib/modules/") for name, path in paths.items()}
    places_of = {name: path if "/" not in path else "/" + path for name, path in places_of.items()}

    def closure(name: str) -> list[str]:
        direct = [need for need in module_depends(contents[paths[name]]) if need in paths]
        return direct + [further for need in direct for further in closure(need)]

    lines = [f"{places_of[name]}: {' '.join(places_of[need] for need in closure(name))}".rstrip() for name in paths]
    return ("\n".join(lines) + "\n").encode()


def _archive(packages: RootPackages, contents: dict[str, bytes], members: dict[str, _Member]) -> bytes:
    archive = CpioArchive()
    for path in ("bin", "dev", "etc", "hil", "lib/firmware", "lib/modules", "proc", "root", "run", "sys", "tmp"):
        archive.directory(path)
    archive.character_device("dev/console", 5, 1)
    archive.file("init", INIT.encode(), 0o755)
    for applet in APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    archive.link(f"lib/modules/{packages.kernel_release}", ".")
    archive.file("lib/modules/modules.dep", _modules_dep(contents))
    for name in sorted(members):
        archive.file(name, contents[name], members[name].mode)
    return archive.content()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Writes a file by rename: readers see the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(name, 0o644)
        os.rename(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _forget_old(directory: Path) -> None:
    """Removes images that no run has asked for in KEPT_SECONDS."""
    for path in directory.glob("*.cpio*"):
        if time.time() - path.stat().st_mtime > KEPT_SECONDS:
            path.unlink()


def link_to(path: Path, target: Path) -> None:
    """Makes path a symbolic link to target by one rename. ImageError when something else than a link is there."""
    if path.exists() and not path.is_symlink() and path.is_dir():
        raise ImageError(f"{path}: is a directory; remove it, a link to {target} belongs there")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.symlink_to(target.absolute())
    os.rename(temporary, path)


def root_image(spec: ImageSpec, inputs: ImageInputs, out: Path | None = None, refresh: bool = False) -> RootImage:
    """Makes the image of a target (or finds it in the cache). Raises ImageError."""
    packages = root_packages(spec, refresh)
    members = _members(packages, inputs)
    try:
        contents = {name: member.source.read_bytes() for name, member in members.items()}
        content = _archive(packages, contents, members)
        digest = _sha256(content)
        name = digest[:16] + (".cpio.gz" if spec.compression == "gzip" else ".cpio")
        initramfs = places.cache() / "images" / name
        with locked(initramfs.parent / ".lock"):
            with suppress(OSError):  # a cache that may only be read
                _forget_old(initramfs.parent)
            if initramfs.exists():
                with suppress(OSError):
                    os.utime(initramfs)
            else:
                _replace(initramfs, gzip.compress(content, 1, mtime=0) if spec.compression == "gzip" else content)
        manifest: dict[str, object] = {
            "kernel_release": packages.kernel_release,
            "packages": packages.versions,
            "suites": list(packages.suites),
            "kernel_image": str(packages.kernel),
            "initramfs": str(initramfs),
            "initramfs_sha256": digest,
            "initramfs_bytes": initramfs.stat().st_size,
            "files": {f"/{name}": _sha256(data) for name, data in sorted(contents.items())},
        }
        if out is not None:
            link_to(out / "Image", packages.kernel)
            link_to(out / "initramfs.cpio", initramfs)
            _replace(out / "image.json", (json.dumps(manifest, indent=1) + "\n").encode())
    except OSError as error:
        raise ImageError(f"the root image: {error.filename or places.cache()}: {error.strerror}") from error
    return RootImage(packages.kernel, initramfs, manifest)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hil.root_image", description="Makes the root cell's kernel and initramfs.")
    parser.add_argument("--spec", type=Path, default=places.targets() / "qemu/image.yaml", help="a target's image.yaml")
    parser.add_argument("--out", type=Path, help="directory for Image, initramfs.cpio and image.json")
    parser.add_argument("--hypervisor", type=Path, help="directory with jailhouse.ko, jailhouse*.bin and jailhouse")
    parser.add_argument("--programs", type=Path, help="directory of static programs and modules for /hil")
    parser.add_argument("--cells", type=Path, help="directory of *.cell")
    parser.add_argument("--inmates", type=Path, help="directory of *.bin")
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH", help="one more file")
    parser.add_argument("--kernel-build-link", type=Path, help="link to make to the tree that modules are built in")
    parser.add_argument("--refresh", action="store_true", help="ask the archive for newer packages")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 or 4 (the image cannot be made)."""
    given = _arguments(arguments)
    try:
        spec = ImageSpec.load(given.spec)
        if given.kernel_build_link is not None:
            link_to(given.kernel_build_link, root_packages(spec, given.refresh).kernel_build)
        if given.out is not None:
            files = {name.lstrip("/"): Path(path) for name, _, path in (item.partition("=") for item in given.file)}
            inputs = ImageInputs(given.hypervisor, given.programs, given.cells, given.inmates, files)
            image = root_image(spec, inputs, given.out, given.refresh and given.kernel_build_link is None)
            print(image.initramfs)
        if given.out is None and given.kernel_build_link is None:
            print(root_packages(spec, given.refresh).kernel_build)
    except ImageError as error:
        print(f"root image: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())

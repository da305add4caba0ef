# SPDX-License-Identifier: Apache-2.0
"""Debian packages of a foreign architecture, unpacked into a cache, and the kernel build tree made of them.

The packages come through the ordinary apt of the host with a configuration of its own (own lists, own archives, no
dpkg database), so that neither root nor ``dpkg --add-architecture`` is needed and the host's packages stay as they are.
``dpkg-deb --extract`` unpacks the five that are named and nothing else. That is what ``mmdebstrap --variant=extract``
does, by the same programs from the same signed lists, without the essential packages that an initramfs of busybox and
modules has no use for, without user namespaces and without one more package to install.
What is unpacked lies in ``<cache>/packages/<key>``; the key is a hash of everything that decides the content. It is
made once and kept: the same key means the same bytes. ``refresh`` asks the archive again.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hil import places
from hil.errors import InfrastructureError

LAYOUT = 3
"""Version of the cached directory's layout: part of its key."""

GNU_TYPES = {"arm64": "aarch64-linux-gnu", "armhf": "arm-linux-gnueabihf"}
KERNEL_ARCHITECTURES = {"arm64": "arm64", "armhf": "arm"}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class ImageError(InfrastructureError):
    """The image cannot be made: says what was tried, what was found and what to do."""


@dataclass(frozen=True)
class ImageSpec:
    """What an image is made of: a target's ``image.yaml``."""

    suite: str
    architecture: str
    kernel: str
    headers: str
    busybox: str
    zlib: str
    modules: tuple[str, ...]
    compression: str

    @staticmethod
    def load(path: Path) -> ImageSpec:
        """Reads an ``image.yaml``; raises ImageError that names the field in doubt."""
        try:
            data = yaml.safe_load(path.read_text())
            packages = data["packages"]
            spec = ImageSpec(
                suite=str(data["suite"]),
                architecture=str(data["architecture"]),
                kernel=str(packages["kernel"]),
                headers=str(packages["headers"]),
                busybox=str(packages["busybox"]),
                zlib=str(packages["zlib"]),
                modules=tuple(str(name) for name in data.get("modules", [])),
                compression=str(data.get("compression", "none")),
            )
        except OSError as error:
            raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise ImageError(f"{path}: no image description: {error!r}") from error
        if spec.architecture not in GNU_TYPES:
            raise ImageError(f"{path}: architecture {spec.architecture!r}: known are {', '.join(GNU_TYPES)}")
        if spec.compression not in ("none", "gzip"):
            raise ImageError(f"{path}: compression {spec.compression!r}: known are none and gzip")
        return spec


@dataclass(frozen=True)
class RootPackages:
    """The unpacked packages. ``versions`` maps package names to their versions."""

    directory: Path
    versions: dict[str, str]
    kernel_release: str
    suites: tuple[str, ...] = ()
    """Where they come from. Without the security suite (its index failed) the kernel is an older one."""

    @property
    def kernel(self) -> Path:
        """The kernel's Image, as QEMU's -kernel takes it."""
        return self.directory / "Image"

    @property
    def busybox(self) -> Path:
        """A static busybox of the image's architecture."""
        return self.directory / "busybox"

    @property
    def modules(self) -> tuple[Path, ...]:
        """The kernel modules asked for and their dependencies, in the order in which they can be loaded."""
        order = json.loads((self.directory / "modules.json").read_text())
        return tuple(self.directory / "modules" / name for name in order)

    @property
    def kernel_build(self) -> Path:
        """A directory for ``make -C <it> M=<module>``: headers of this kernel, native build programs."""
        return self.directory / "kernel-build" / "build"


def packages_key(spec: ImageSpec) -> str:
    """Names the cache entry of a specification: everything that decides what gets unpacked."""
    packages = (spec.kernel, spec.headers, spec.busybox, spec.zlib)
    parts = (LAYOUT, spec.suite, spec.architecture, packages, spec.modules, mirrors())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def mirrors() -> tuple[str, str]:
    """The archive and its security updates: HIL_DEBIAN_MIRROR and HIL_DEBIAN_SECURITY_MIRROR replace them."""
    return (
        os.environ.get("HIL_DEBIAN_MIRROR", "http://deb.debian.org/debian"),
        os.environ.get("HIL_DEBIAN_SECURITY_MIRROR", "http://deb.debian.org/debian-security"),
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file: one run makes a cache entry, the others wait. A cache that somebody else
    filled may be read-only: its lock need only be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        opened = path.open("a")
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM) or not path.exists():
            raise
        opened = path.open()
    with opened as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def root_packages(spec: ImageSpec, refresh: bool = False) -> RootPackages:
    """The unpacked packages of a specification, fetched when the cache lacks them. Raises ImageError."""
    base = places.cache() / "packages"
    final = base / packages_key(spec)
    try:
        with locked(base / ".lock"):
            if refresh or not (final / "packages.json").exists():
                _make_entry(spec, base, final)
            _link_native_programs(final)
    except OSError as error:
        raise ImageError(f"{final}: {error.strerror or error} (HIL_CACHE names another place)") from error
    facts = json.loads((final / "packages.json").read_text())
    return RootPackages(final, dict(facts["versions"]), str(facts["kernel_release"]), tuple(facts["suites"]))


def _make_entry(spec: ImageSpec, base: Path, final: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
    try:
        tree = work / "tree"
        apt = _Apt(spec, work / "apt")
        versions = apt.unpack(tree)
        entry = work / "entry"
        entry.mkdir()
        release = _pick(spec, tree, entry)
        _make_kernel_build(spec, tree, entry / "kernel-build", release)
        facts = {"versions": versions, "kernel_release": release, "suites": apt.suites}
        (entry / "packages.json").write_text(json.dumps(facts, indent=1) + "\n")
        if final.exists():
            final.rename(work / "old")
        entry.rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(f"{command[0]}: not installed; see packages.txt") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ImageError(f"`{' '.join(command)}` failed with {done.returncode}: " + " / ".join(lines[-4:]))
    return done.stdout


class _Apt:
    """The host's apt with lists, archives and architecture of its own under one directory."""

    def __init__(self, spec: ImageSpec, directory: Path) -> None:
        self.spec = spec
        self.directory = directory
        self.suites: list[str] = []
        """The suites whose lists could be fetched."""
        for name in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d", "debs"):
            (directory / name).mkdir(parents=True)
        (directory / "state/status").touch()
        architecture = spec.architecture
        # The parts directory stays the host's: that is where a proxy is set.
        (directory / "apt.conf").write_text(
            f"""
Dir "{directory}/";
Dir::State "state";
Dir::State::status "{directory}/state/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::parts "/etc/apt/apt.conf.d";
Dir::Etc::sourcelist "sources.list";
Dir::Etc::sourceparts "-";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
"""
        )

    def run(self, *command: str, cwd: Path | None = None) -> str:
        return _run(list(command), {"APT_CONFIG": str(self.directory / "apt.conf"), "LC_ALL": "C"}, cwd)

    def update(self) -> None:
        """Fetches the indices. The security archive's sometimes fail their hash: then the main archive's serve."""
        archive, security = mirrors()
        signed = f"[signed-by={KEYRING}]"
        suite = self.spec.suite
        main = [f"deb {signed} {archive} {suite} main", f"deb {signed} {archive} {suite}-updates main"]
        attempts = [main + [f"deb {signed} {security} {suite}-security main"]] * 2 + [main]
        failure: ImageError | None = None
        for lines in attempts:
            (self.directory / "etc/sources.list").write_text("\n".join(lines) + "\n")
            try:
                self.run("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")
                self.suites = [line.split()[3] for line in lines]
                return
            except ImageError as error:
                failure = error
                shutil.rmtree(self.directory / "state/lists", ignore_errors=True)
                (self.directory / "state/lists/partial").mkdir(parents=True)
        raise ImageError(
            f"the package lists of {suite}/{self.spec.architecture} cannot be fetched from {archive}: {failure}. "
            "Check the network; HIL_DEBIAN_MIRROR names another archive."
        )

    def depends(self, package: str, pattern: str) -> str:
        """The first dependency of a package that matches a pattern."""
        for line in self.run("apt-cache", "depends", package).splitlines():
            match = re.fullmatch(r"\s*Depends:\s*(\S+)", line)
            if match and re.fullmatch(pattern, match.group(1)):
                return match.group(1)
        raise ImageError(f"package {package} depends on nothing like {pattern} in {self.spec.suite}")

    def unpack(self, tree: Path) -> dict[str, str]:
        """Downloads what the specification names and unpacks it into a tree. Returns the versions."""
        self.update()
        image = self.depends(self.spec.kernel, r"linux-image-\d.*")
        headers = self.depends(self.spec.headers, r"linux-headers-\d.*")
        common = self.depends(headers, r"linux-headers-\d.*-common.*")
        debs = self.directory / "debs"
        self.run("apt-get", "download", "-q", image, headers, common, self.spec.busybox, self.spec.zlib, cwd=debs)
        versions = {}
        for deb in sorted(debs.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(deb), str(tree)])
            name, version = _run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", str(deb)]).split()
            versions[name] = version
            deb.unlink()
        return versions


def _only(paths: list[Path], what: str) -> Path:
    if len(paths) != 1:
        raise ImageError(f"{what}: one expected in the packages, found {[str(path) for path in paths]}")
    return paths[0]


def _pick(spec: ImageSpec, tree: Path, entry: Path) -> str:
    """Takes what an image can need out of the unpacked tree. Returns the kernel's release."""
    kernel = _only(list(tree.glob("boot/vmlinuz-*")), "the kernel")
    release = kernel.name.removeprefix("vmlinuz-")
    content = kernel.read_bytes()
    (entry / "Image").write_bytes(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    shutil.copy2(tree / f"boot/config-{release}", entry / "config")
    busybox = [path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.exists()]
    shutil.copy2(_only(busybox, "busybox"), entry / "busybox")
    (entry / "zlib").mkdir()
    for pattern in ("usr/include/zlib.h", "usr/include/**/zconf.h", "usr/lib/**/libz.a"):
        shutil.copy2(_only(list(tree.glob(pattern)), pattern), entry / "zlib")
    (entry / "modules").mkdir()
    available = {_module_name(path): path for path in tree.glob(f"lib/modules/{release}/kernel/**/*.ko")}
    order: list[str] = []
    for name in spec.modules:
        _pick_module(name, available, entry / "modules", order)
    (entry / "modules.json").write_text(json.dumps(order) + "\n")
    return release


def _module_name(path: Path) -> str:
    return path.name.split(".")[0].replace("-", "_")


def module_depends(content: bytes) -> list[str]:
    """The modules that a module needs, as its .modinfo section names them."""
    match = re.search(rb"\0depends=([^\0]*)\0", content)
    return [name for name in match.group(1).decode().replace("-", "_").split(",") if name] if match else []


def _pick_module(name: str, available: dict[str, Path], directory: Path, order: list[str]) -> None:
    path = available.get(name.replace("-", "_"))
    if path is None:
        raise ImageError(f"module {name}: the kernel package has none of that name")
    if path.name in order:
        return
    for needed in module_depends(path.read_bytes()):
        _pick_module(needed, available, directory, order)
    shutil.copy2(path, directory / path.name)
    order.append(path.name)


def _make_kernel_build(spec: ImageSpec, tree: Path, directory: Path, release: str) -> None:
    """A build tree beside which nothing else is needed but the host's compiler and linux-kbuild.

    The packaged Makefile names the common headers by an absolute path under /usr/src and the packaged programs are of
    the foreign architecture; both are replaced, by a relative path and by links to the host's linux-kbuild.
    """
    sources = tree / "usr/src"
    flavour = sources / f"linux-headers-{release}"
    common = _only(list(sources.glob("linux-headers-*-common*")), "the common kernel headers")
    if not flavour.is_dir():
        raise ImageError(f"headers of kernel {release}: the archive has {[path.name for path in sources.iterdir()]}")
    directory.mkdir()
    common.rename(directory / "common")
    build = directory / "build"
    flavour.rename(build)
    for part in (directory / "common", build):
        for name in ("scripts", "tools"):
            (part / name).unlink(missing_ok=True)
    (build / "Makefile").write_text("include $(dir $(realpath $(lastword $(MAKEFILE_LIST))))../common/Makefile\n")
    prefix = GNU_TYPES[spec.architecture]
    (build / ".kernelvariables").write_text(
        f"override ARCH = {KERNEL_ARCHITECTURES[spec.architecture]}\n"
        f"override KERNELRELEASE = {release}\n"
        f"override CROSS_COMPILE = {prefix}-\n"
        f"CC = $(or $(shell command -v {prefix}-gcc-12),{prefix}-gcc)\n"
    )


def _link_native_programs(entry: Path) -> None:
    """Points the build tree's scripts and tools at the host's linux-kbuild of the kernel's series."""
    release = str(json.loads((entry / "packages.json").read_text())["kernel_release"])
    series = ".".join(release.split(".")[:2])
    native = Path(f"/usr/lib/linux-kbuild-{series}")
    if not (native / "scripts").is_dir():
        raise ImageError(f"{native}/scripts: missing, it builds kernel modules. Do: apt-get install {native.name}")
    for part in ("common", "build"):
        for name in ("scripts", "tools"):
            link = entry / "kernel-build" / part / name
            if not link.is_symlink():
                link.symlink_to(native / name)

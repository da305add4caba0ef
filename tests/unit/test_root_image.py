# SPDX-License-Identifier: Apache-2.0
"""The root image: archive format, what goes in, the cache, errors; and a module built in the real kernel build tree."""

from __future__ import annotations

import gzip
import errno
import json
import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hil import places, root_image as image_module
from hil.cpio_archive import CpioArchive
from hil.root_image import ImageInputs, link_to, main, root_image
from hil.root_packages import ImageError, ImageSpec, RootPackages, module_depends, packages_key, root_packages

SPEC_FILE = places.targets() / "qemu/image.yaml"


def module(depends: str) -> bytes:
    """The part of a kernel module that is looked at."""
    return b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSpec:
    """The qemu target's specification with small stand-ins for the packages' files and an own cache."""
    monkeypatch.setenv("HIL_CACHE", str(tmp_path / "cache"))
    packages = tmp_path / "packages"
    (packages / "modules").mkdir(parents=True)
    (packages / "Image").write_bytes(b"kernel")
    (packages / "busybox").write_bytes(b"busybox")
    (packages / "modules.json").write_text('["uio.ko"]')
    (packages / "modules/uio.ko").write_bytes(module(""))
    found = RootPackages(packages, {"busybox-static": "1"}, "6.1.0-0-arm64")
    monkeypatch.setattr(image_module, "root_packages", lambda spec, refresh=False: found)
    return ImageSpec.load(SPEC_FILE)


@pytest.fixture
def hypervisor(tmp_path: Path) -> Path:
    directory = tmp_path / "hypervisor"
    directory.mkdir()
    (directory / "jailhouse.ko").write_bytes(module(""))
    (directory / "jailhouse.bin").write_bytes(b"firmware")
    (directory / "jailhouse").write_bytes(b"tool")
    return directory


def extract(archive: bytes, directory: Path) -> Path:
    """Unpacks with cpio(1): a reader that is not ours."""
    directory.mkdir()
    # Device nodes need root: leave them out.
    command = ["cpio", "--extract", "--quiet", "--nonmatching", "dev/console"]
    subprocess.run(command, cwd=directory, input=archive, check=True)
    return directory


def test_archive_is_read_back_by_cpio(tmp_path: Path) -> None:
    archive = CpioArchive()
    archive.file("a/b/three", b"abc", 0o755)
    archive.file("empty", b"")
    archive.link("a/link", "b/three")
    archive.character_device("dev/console", 5, 1)
    root = extract(archive.content(), tmp_path / "root")
    assert (root / "a/b/three").read_bytes() == b"abc"
    assert (root / "a/b/three").stat().st_mode & 0o777 == 0o755
    assert (root / "empty").read_bytes() == b""
    assert (root / "a/link").readlink() == Path("b/three")


def test_archive_lists_the_device_node(tmp_path: Path) -> None:
    archive = CpioArchive()
    archive.character_device("dev/console", 5, 1)
    listing = subprocess.run(["cpio", "-tv", "--quiet"], input=archive.content(), capture_output=True, check=True)
    line = [line for line in listing.stdout.decode().splitlines() if line.endswith("dev/console")]
    assert line and line[0].startswith("crw-------") and "5,   1" in line[0]


def test_archive_refuses_a_path_twice() -> None:
    archive = CpioArchive()
    archive.file("a", b"")
    with pytest.raises(ValueError, match="a: twice"):
        archive.file("a", b"")


@pytest.mark.parametrize("depends, expected", [("", []), ("uio", ["uio"]), ("uio,snd-pcm", ["uio", "snd_pcm"])])
def test_module_depends(depends: str, expected: list[str]) -> None:
    assert module_depends(module(depends)) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("suite: bookworm", "no image description.*packages"),
        ("[1", "no image description"),
        ("{suite: s, architecture: z80, packages: {kernel: k, headers: h, busybox: b, zlib: z}}", "'z80'.*arm64"),
        (
            "{suite: s, architecture: arm64, compression: xz, packages: {kernel: k, headers: h, busybox: b, zlib: z}}",
            "'xz'",
        ),
    ],
)
def test_spec_errors_name_the_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "image.yaml"
    path.write_text(text)
    with pytest.raises(ImageError, match=message):
        ImageSpec.load(path)


def test_spec_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere.yaml: cannot be read: No such file"):
        ImageSpec.load(tmp_path / "nowhere.yaml")


def test_packages_key_follows_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ImageSpec.load(SPEC_FILE)
    key = packages_key(spec)
    assert packages_key(ImageSpec.load(SPEC_FILE)) == key
    monkeypatch.setenv("HIL_DEBIAN_MIRROR", "http://mirror.example/debian")
    assert packages_key(spec) != key


def test_image_has_everything_in_its_place(spec: ImageSpec, hypervisor: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uio_ivshmem.ko").write_bytes(module("uio"))
    (programs / "probe").write_bytes(b"probe")
    (programs / "probe").chmod(0o755)
    (programs / "notes.txt").write_bytes(b"not for the machine")
    cells = tmp_path / "cells"
    cells.mkdir()
    (cells / "a.cell").write_bytes(b"cell")
    (cells / "a.yaml").write_bytes(b"source")
    image = root_image(spec, ImageInputs(hypervisor, programs, cells), tmp_path / "out")
    root = extract(image.initramfs.read_bytes(), tmp_path / "root")
    assert (root / "hil/jailhouse.ko").read_bytes() == module("")
    assert (root / "hil/jailhouse").stat().st_mode & 0o111
    assert (root / "lib/firmware/jailhouse.bin").read_bytes() == b"firmware"
    assert (root / "hil/probe").stat().st_mode & 0o111
    assert sorted(path.name for path in (root / "hil/cells").iterdir()) == ["a.cell"]
    assert not (root / "hil/notes.txt").exists()
    assert (root / "lib/modules/6.1.0-0-arm64").readlink() == Path(".")
    table = (root / "lib/modules/modules.dep").read_text().splitlines()
    assert "/hil/uio_ivshmem.ko: uio.ko" in table and "uio.ko:" in table
    assert "PS1='hil# '" in (root / "init").read_text()
    manifest = json.loads((tmp_path / "out/image.json").read_text())
    assert manifest["kernel_release"] == "6.1.0-0-arm64" and manifest["packages"] == {"busybox-static": "1"}
    assert (tmp_path / "out/initramfs.cpio").resolve() == image.initramfs
    assert (tmp_path / "out/Image").read_bytes() == b"kernel"


def test_a_users_hypervisor_directory_is_searched(spec: ImageSpec, tmp_path: Path) -> None:
    source = tmp_path / "their build"
    for name in ("driver/jailhouse.ko", "hypervisor/jailhouse.bin", "hypervisor/jailhouse-x.bin", "tools/jailhouse"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(module(""))
    image = root_image(spec, ImageInputs(source))
    root = extract(image.initramfs.read_bytes(), tmp_path / "root")
    assert sorted(path.name for path in (root / "lib/firmware").iterdir()) == ["jailhouse-x.bin", "jailhouse.bin"]
    assert (root / "hil/jailhouse").stat().st_mode & 0o111


@pytest.mark.parametrize("missing", ["jailhouse.ko", "jailhouse.bin", "jailhouse"])
def test_incomplete_hypervisor_directory(spec: ImageSpec, hypervisor: Path, missing: str) -> None:
    (hypervisor / missing).unlink()
    with pytest.raises(ImageError, match=f"{hypervisor}.*{missing.replace('.bin', '.*bin')}"):
        root_image(spec, ImageInputs(hypervisor))


def test_absent_directories_are_named(spec: ImageSpec, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cell directory .*nowhere: no such directory"):
        root_image(spec, ImageInputs(cells=tmp_path / "nowhere"))


def test_same_inputs_same_image_changed_input_new_image(spec: ImageSpec, hypervisor: Path) -> None:
    first = root_image(spec, ImageInputs(hypervisor))
    written = first.initramfs.stat().st_ino
    assert root_image(spec, ImageInputs(hypervisor)) == first
    assert first.initramfs.stat().st_ino == written, "written again though nothing had changed"
    (hypervisor / "jailhouse.bin").write_bytes(b"other firmware")
    second = root_image(spec, ImageInputs(hypervisor))
    assert second.initramfs != first.initramfs and first.initramfs.exists()


def test_unused_images_are_forgotten(spec: ImageSpec, hypervisor: Path) -> None:
    first = root_image(spec, ImageInputs(hypervisor)).initramfs
    old = time.time() - image_module.KEPT_SECONDS - 60
    os.utime(first, (old, old))
    second = root_image(spec, ImageInputs()).initramfs
    assert not first.exists() and second.exists()


def test_gzip_holds_the_same_archive(spec: ImageSpec, hypervisor: Path) -> None:
    plain = root_image(spec, ImageInputs(hypervisor))
    packed = root_image(replace(spec, compression="gzip"), ImageInputs(hypervisor))
    assert gzip.decompress(packed.initramfs.read_bytes()) == plain.initramfs.read_bytes()


def test_two_at_once_leave_one_whole_image(spec: ImageSpec, hypervisor: Path, tmp_path: Path) -> None:
    results: list[Path] = []
    out = tmp_path / "out"
    workers = [
        threading.Thread(target=lambda: results.append(root_image(spec, ImageInputs(hypervisor), out).initramfs))
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 8 and len(set(results)) == 1
    assert not list(results[0].parent.glob(".new-*")), "left over"
    json.loads((out / "image.json").read_text())


def test_link_does_not_replace_a_directory(tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()
    with pytest.raises(ImageError, match="is a directory"):
        link_to(tmp_path / "link", tmp_path)


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("HIL_CACHE", str(blocked / "cache"))
    with pytest.raises(ImageError, match="Not a directory.*HIL_CACHE"):
        root_packages(ImageSpec.load(SPEC_FILE))


def test_a_cache_that_somebody_else_filled(
    spec: ImageSpec, hypervisor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container's image, or below a home directory that may only be read."""
    made = root_image(spec, ImageInputs(hypervisor=hypervisor))

    def refused(path: object = "", *rest: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **more: opened(path, mode, **more) if "r" in mode else refused(path)
    )
    for name in ("os.utime", "os.rename", "pathlib.Path.unlink", "tempfile.mkstemp"):
        monkeypatch.setattr(name, refused)
    assert root_image(spec, ImageInputs(hypervisor=hypervisor)) == made
    with pytest.raises(ImageError, match="Read-only file system"):
        root_image(spec, ImageInputs())


def test_command_line_reports_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--spec", str(tmp_path / "none.yaml")]) == 4
    assert "none.yaml: cannot be read" in capsys.readouterr().err


SOURCE = """
#include <linux/module.h>
static int __init probe_init(void) { return 0; }
module_init(probe_init);
MODULE_LICENSE("GPL v2");
"""


def test_kernel_build_tree_builds_a_module_for_the_packaged_kernel(tmp_path: Path) -> None:
    packages = root_packages(ImageSpec.load(SPEC_FILE))
    (tmp_path / "probe.c").write_text(SOURCE)
    (tmp_path / "Kbuild").write_text("obj-m := probe.o\n")
    command = ["make", "--quiet", "-C", str(packages.kernel_build), f"M={tmp_path}", "modules"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = (tmp_path / "probe.ko").read_bytes()
    assert b"vermagic=" + packages.kernel_release.encode() + b" " in built
    assert built[18:20] == b"\xb7\x00", "no aarch64 ELF file"
    assert packages.modules[0].name == "uio.ko"

# SPDX-License-Identifier: Apache-2.0
"""driver/kbuild: a repository whose path holds blanks and a colon, on which Kbuild alone gives up, has its modules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
KERNEL_BUILD = REPOSITORY / "build/kernel-build"


@pytest.mark.timeout(300)
def test_a_module_is_built_in_a_path_with_blanks_and_a_colon(tmp_path: Path) -> None:
    source = tmp_path / "mein klön: hil"
    source.symlink_to(REPOSITORY)
    work = tmp_path / "work here: ü"
    work.mkdir()
    for path in (REPOSITORY / "driver/uio_ivshmem").iterdir():
        (work / path.name).symlink_to(source / "driver/uio_ivshmem" / path.name)
    done = subprocess.run(
        [str(source / "driver/kbuild"), str(KERNEL_BUILD), str(work), str(source)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work / "uio_ivshmem.ko").read_bytes()[:4] == b"\x7fELF"

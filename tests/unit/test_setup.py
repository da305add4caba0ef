# SPDX-License-Identifier: Apache-2.0
"""bin/setup.sh: what makes the launcher set up again, what it says when it cannot, and Ctrl-C in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def bash(root: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `script` with the launcher's functions, for the repository at `root`."""
    start = f'set -u; root="$1"; python=/usr/bin/python3; . {REPOSITORY}/bin/setup.sh; {script}'
    command = ["bash", "-c", start, "bash", str(root)]
    settings = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=settings, timeout=60, check=False)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A repository whose set-up is finished, in a path that patterns and shells could stumble over."""
    root = tmp_path / "a [b] 'ü"
    for name in ("hil", ".git", "runs", "build/host/hil", "build/logs", "build/pycache", "build/kernel-build"):
        (root / name).mkdir(parents=True)
    (root / "hil/cli.py").write_text("")
    (root / "build/kernel-build/Module.symvers").write_text("")
    bash(root, 'cd "$root/build" && circumstances >began-runtime && touch built-runtime')
    # The installed packages of a machine that has just been set up may be younger than the files made here.
    status, built = Path("/var/lib/dpkg/status").stat().st_mtime, (root / "build/built-runtime").stat().st_mtime
    assert status < built
    time.sleep(0.05)  # a file system's times are some milliseconds coarse
    return root


def fresh(root: Path, **environment: str) -> bool:
    return bash(root, "up_to_date runtime", **environment).returncode == 0


def test_nothing_is_done_when_nothing_has_changed(ready: Path) -> None:
    assert fresh(ready)
    (ready / ".git/index").write_text("")
    (ready / "runs/one").mkdir()
    (ready / "build/logs/build.log").write_text("")
    (ready / "build/pycache/x.pyc").write_text("")
    assert fresh(ready)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "hil/cli.py").write_text("changed"),
        lambda root: (root / "hil/new.py").write_text(""),
        lambda root: (root / "hil/cli.py").unlink(),
        lambda root: (root / "build/host/hil").rmdir(),
        lambda root: (root / "build/kernel-build/Module.symvers").unlink(),
        lambda root: (root / "build/began-runtime").unlink(),
        lambda root: (root / "build/built-runtime").unlink(),
    ],
    ids=["changed", "new", "removed", "product removed", "no kernel tree", "no begin", "no end"],
)
def test_any_change_sets_up_again(ready: Path, change: Callable[[Path], object]) -> None:
    change(ready)
    assert not fresh(ready)


def test_another_cache_or_an_unfinished_set_up_sets_up_again(ready: Path) -> None:
    assert not fresh(ready, HIL_CACHE="/somewhere/else")
    assert bash(ready, "up_to_date all").returncode != 0


def test_ctrl_c_in_a_step_is_told_and_exits_130(tmp_path: Path) -> None:
    # A signal that comes right before a long sleep, or while dash forks one, would be heard at its end.
    (tmp_path / "build.py").write_text("import time\nprint('begun', flush=True)\nwhile True:\n    time.sleep(0.05)\n")
    script = f'trap interrupted INT; step "sleep" {sys.executable} "$root/build.py"'
    start = f'root="$1"; . {REPOSITORY}/bin/setup.sh; {script}'
    command = ["bash", "-c", start, "bash", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as launcher:
        log = tmp_path / "build/logs/sleep.log"
        end = time.monotonic() + 50
        while not (log.exists() and "begun" in log.read_text()):
            assert time.monotonic() < end
            time.sleep(0.05)
        os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does: to all of the group
        _, said = launcher.communicate(timeout=50)
    assert launcher.returncode == 130, said
    assert "interrupted during the set-up" in said and "failed" not in said


def test_a_step_that_fails_shows_its_output(tmp_path: Path) -> None:
    done = bash(tmp_path, 'step "try it" sh -c "echo what went wrong; exit 3"')
    assert done.returncode == 4
    assert "what went wrong" in done.stderr and f"{tmp_path}/build/logs/try-it.log" in done.stderr


def test_somebody_without_sudo_is_told_the_exact_command(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "packages.txt").write_text("hil-no-such-package   # not in any archive\n")
    script = f"id() {{ echo 1000; }}; PATH={tmp_path}/bin; install_packages 0"
    (tmp_path / "bin").mkdir()
    for name in ("awk", "comm", "sed", "sort", "dpkg-query", "apt-get", "id"):  # and no sudo
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    done = bash(tmp_path, script)
    assert done.returncode == 4
    assert "apt-get update && apt-get install --no-install-recommends -y hil-no-such-package" in done.stderr


def test_a_repository_of_somebody_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("no directory: nothing can be made below it, whoever asks")
    done = bash(tmp_path / "root", "build runtime")
    assert done.returncode == 4
    assert "cannot write below" in done.stderr and "clone the repository to a place of your own" in done.stderr
    assert len(done.stderr.splitlines()) == 2

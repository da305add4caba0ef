# SPDX-License-Identifier: Apache-2.0
"""clang-tidy's memory: what it goes by, and that looking leaves the build alone."""

from __future__ import annotations

from pathlib import Path

from hil import tidy


def unit(root: Path) -> tidy.Unit:
    """A unit that includes one header, and its object, built."""
    (root / "part.hpp").write_text("#pragma once\nconstexpr int answer = 42;\n")
    (root / "part.cpp").write_text('#include "part.hpp"\nint ask() { return answer; }\n')
    (root / "part.o").write_bytes(b"an object")
    (root / ".clang-tidy").write_text("Checks: '-*'\n")
    command = ("/usr/bin/c++", "-o", "part.o", "-c", str(root / "part.cpp"))
    return tidy.Unit(root / "part.cpp", command, root, ())


def test_looking_for_what_is_included_leaves_the_object_alone(tmp_path: Path) -> None:
    tidy.key(unit(tmp_path), tmp_path, "version")
    assert (tmp_path / "part.o").read_bytes() == b"an object"


def test_a_header_counts(tmp_path: Path) -> None:
    one = unit(tmp_path)
    assert "part.hpp" in tidy.included(one)
    before = tidy.key(one, tmp_path, "version")
    assert tidy.key(one, tmp_path, "version") == before
    (tmp_path / "part.hpp").write_text("#pragma once\nconstexpr int answer = 43;\n")
    assert tidy.key(one, tmp_path, "version") != before


def test_checks_nearer_to_the_unit_count_too(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    one = unit(tmp_path / "part")
    before = tidy.key(one, tmp_path, "version")
    (tmp_path / "part" / ".clang-tidy").write_text("Checks: 'bugprone-*'\n")
    assert tidy.key(one, tmp_path, "version") != before

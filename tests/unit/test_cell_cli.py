# SPDX-License-Identifier: Apache-2.0
"""`hil cell`: what each command writes, and how it exits."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hil import cell_files
from hil.cell_cli import cell

TARGETS = Path(__file__).resolve().parents[2] / "targets"
QEMU = TARGETS / "qemu"
ROOT = QEMU / "cells/qemu-root.yaml"
LATENCY = QEMU / "cells/ivshmem-latency.yaml"
CONFIGS = sorted(TARGETS.glob("*/cells/*.yaml"))


def run(*words: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(cell, [str(word) for word in words])


def edited(tmp_path: Path, source: Path, before: str, after: str) -> Path:
    """A copy of the config with one edit, that still finds its devices."""
    text = source.read_text()
    assert before in text
    text = text.replace(before, after, 1).replace("../devices.yaml", str(source.parent.parent / "devices.yaml"))
    copy = tmp_path / source.name
    copy.write_text(text)
    return copy


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_target_config_survives_the_round_trip(config: Path, tmp_path: Path) -> None:
    binary, text, again = tmp_path / "a.cell", tmp_path / "a.yaml", tmp_path / "b.cell"
    assert run("compile", config, "-o", binary).exit_code == 0
    devices = config.parent.parent / "devices.yaml"
    assert run("decompile", binary, "-o", text, "--devices", devices).exit_code == 0
    assert run("compile", text, "-o", again).exit_code == 0
    assert binary.read_bytes() == again.read_bytes()
    assert run("diff", config, binary).exit_code == 0


def test_decompile_prints_without_a_device_table(tmp_path: Path) -> None:
    run("compile", LATENCY, "-o", tmp_path / "a.cell")
    result = run("decompile", tmp_path / "a.cell")
    assert result.exit_code == 0
    assert "name: ivshmem-latency" in result.stdout
    assert "devices:" not in result.stdout
    assert cell_files.compile_text(result.stdout, tmp_path) == (tmp_path / "a.cell").read_bytes()


def test_compile_writes_beside_the_source(tmp_path: Path) -> None:
    source = edited(tmp_path, LATENCY, "cpus: [1]", "cpus: [1]")
    result = run("compile", source)
    assert result.exit_code == 0
    assert (tmp_path / "ivshmem-latency.cell").stat().st_size == 132 + 8 + 7 * 32 + 32 + 56
    assert "ivshmem-latency.cell: 452 bytes" in result.stdout


def test_diff_shows_what_differs(tmp_path: Path) -> None:
    other = edited(tmp_path, LATENCY, "cpus: [1]", "cpus: [3]")
    result = run("diff", LATENCY, other)
    assert result.exit_code == 1
    assert "-cpus: [1]" in result.stdout
    assert "+cpus: [3]" in result.stdout


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated: signature, architecture and revision at offset 0x0"),
        (b"JHCLL\x02\x0d\x00" + bytes(132), "revision at offset 0x6 is 13"),
        (b"JAILCELL" + bytes(132), "signature at offset 0x0"),
        (b"JHCLL\x02\x0e\x00" + bytes(30), "truncated: cell descriptor at offset 0x0"),
    ],
)
def test_bad_binaries_name_file_field_and_offset(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "bad.cell"
    path.write_bytes(data)
    for words in (["decompile", path], ["diff", path, path], ["check", path]):
        result = run(*words)
        assert result.exit_code == 2
        assert str(path) in result.stderr
        assert said in result.stderr


def test_bad_yaml_names_file_line_and_key(tmp_path: Path) -> None:
    result = run("compile", edited(tmp_path, LATENCY, "size: 16M", "size: much"))
    assert result.exit_code == 2
    assert f"{tmp_path / 'ivshmem-latency.yaml'}: line " in result.stderr
    assert 'memory[0]: size: "much" is not a number' in result.stderr


def test_missing_files_are_wrong_use() -> None:
    for words in (["compile", "none.yaml"], ["check", "none.yaml"], ["decompile", "none.cell"]):
        result = run(*words)
        assert result.exit_code == 2
        assert words[1] in result.stderr


def test_check_of_sound_configs_is_quiet() -> None:
    result = run("check", ROOT, LATENCY)
    assert result.exit_code == 0
    assert result.stdout == "2 configs: nothing found\n"


def test_check_says_what_the_console_would_say(tmp_path: Path) -> None:
    moved = edited(tmp_path, LATENCY, "physical: 0x70000000", "physical: 0x7fb00000")
    result = run("check", ROOT, moved)
    assert result.exit_code == 1
    assert "[not-root-memory]" in result.stdout
    assert "console: Unhandled data write at 0x7fb00000(1)" in result.stdout
    assert 'Parking CPU <n> (Cell: "qemu-root")' in result.stdout


def test_check_as_json(tmp_path: Path) -> None:
    blind = edited(tmp_path, LATENCY, "  - device: uart0\n    flags: read write io io-32 root-shared\n", "")
    result = run("check", ROOT, blind, "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)
    assert finding["rule"] == "console-unmapped"
    assert finding["severity"] == "error"
    assert finding["file"] == str(blind)
    assert finding["trap"]["access"] == "read"
    assert finding["trap"]["likely"] == 0x9000018
    assert (finding["trap"]["first"], finding["trap"]["last"]) == (0x9000000, 0x9000FFF)
    assert finding["trap"]["cell"] == "ivshmem-latency"
    assert finding["trap"]["cpu"] == 1


def test_check_of_an_image(tmp_path: Path) -> None:
    image = tmp_path / "inmate.bin"
    image.write_bytes(bytes(4096))
    assert run("check", ROOT, LATENCY, "--image", image).exit_code == 0
    result = run("check", ROOT, LATENCY, "--image", image, "--load", "0xfff001")
    assert result.exit_code == 1
    assert "JAILHOUSE_CELL_LOAD: Invalid argument" in result.stdout
    assert run("check", ROOT, LATENCY, "--image", image, "--load", "zero").exit_code == 2


TREE = """
/dts-v1/;
/ {
    #address-cells = <2>; #size-cells = <2>;
    cpus { #address-cells = <1>; #size-cells = <0>; CPUS };
    memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x40000000>; };
    intc@8000000 {
        compatible = "arm,gic-v3"; interrupt-controller; #interrupt-cells = <3>;
        reg = <0 0x08000000 0 0x10000>, <0 GICR 0 0xf60000>; interrupts = <1 9 4>;
    };
    bus@9000000 {
        compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0x09000000 0x100000>;
        unknown@50000 { compatible = "vendor,unknown"; reg = <0x50000 0x1000>; STATUS };
    };
};
"""


def device_tree(tmp_path: Path, *, cpus: int = 4, gicr: str = "0x080a0000", status: str = "disabled") -> Path:
    nodes = " ".join(f'cpu@{n} {{ device_type = "cpu"; reg = <{n}>; }};' for n in range(cpus))
    source = TREE.replace("CPUS", nodes).replace("GICR", gicr).replace("STATUS", f'status = "{status}";')
    blob = tmp_path / "board.dtb"
    subprocess.run(["dtc", "-q", "-o", str(blob)], input=source, text=True, check=True)
    return blob


def test_check_against_a_device_tree(tmp_path: Path) -> None:
    assert run("check", ROOT, LATENCY, "--dtb", device_tree(tmp_path)).stdout == "2 configs: nothing found\n"
    found = {
        "cpu-count": device_tree(tmp_path, cpus=2),
    }
    for rule, blob in found.items():
        assert f"[{rule}]" in run("check", ROOT, LATENCY, "--dtb", blob).stdout
    moved = run("check", ROOT, LATENCY, "--dtb", device_tree(tmp_path, gicr="0x0e100000"))
    assert "the device tree has 0xe100000 [gic]" in moved.stdout
    assert "[vpci-window]" in moved.stdout
    driven = run("check", ROOT, LATENCY, "--dtb", device_tree(tmp_path, status="okay"))
    assert driven.exit_code == 0
    assert "[root-device-missing]" in driven.stdout
    assert "Unhandled data read at 0x9050000(4)" in driven.stdout
    assert "2 configs: 1 warning" in driven.stdout


def test_a_broken_device_tree_is_wrong_use(tmp_path: Path) -> None:
    blob = tmp_path / "board.dtb"
    blob.write_bytes(b"\xd0\x0d\xfe\xed" + bytes(100))
    result = run("check", ROOT, "--dtb", blob)
    assert result.exit_code == 2
    assert "not a flattened device tree" in result.stderr


def test_the_manual_lists_every_rule() -> None:
    library = TARGETS.parent / "hil/lib"
    source = "".join(path.read_text() for path in sorted(library.glob("cell_rules_*.cpp")))
    manual = (TARGETS.parent / "docs/cell-configs.md").read_text()
    table = manual[manual.index("| rule |") :]
    rows = [row.split("|")[1] for row in table[: table.index("\n\n")].splitlines()]
    listed = {rule for row in rows for rule in re.findall(r"`([a-z-]+)`", row)}
    words = set(re.findall(r"\"([a-z]+(?:-[a-z]+)*)\"", source))
    added = set(re.findall(r"check\.add(?:_trap)?\(\s*\w+,\s*\"([a-z-]+)\"", source))
    assert len(added) > 50
    assert added <= listed, "rules that the manual does not list"
    assert listed <= words, "rules of the manual that no code has"

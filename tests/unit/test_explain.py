# SPDX-License-Identifier: Apache-2.0
"""`hil explain`: what it concludes with and without configs, trees and programs, and how it exits."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hil.explain_cli import explain

sys.path.insert(0, str(Path(__file__).parent))
import trap_texts  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
QEMU = ROOT / "targets/qemu"
LATENCY = QEMU / "cells/ivshmem-latency.yaml"
SYSTEM = QEMU / "cells/qemu-root.yaml"


def run(text: str | bytes, *words: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(explain, [str(word) for word in words], input=text)


def event(text: str, *words: object) -> dict[str, Any]:
    result = run(text, "--json", *words)
    assert result.exit_code == 0, result.stderr
    events = json.loads(result.stdout)["events"]
    assert len(events) == 1
    found: dict[str, Any] = events[0]
    return found


def edited(tmp_path: Path, source: Path, before: str, after: str) -> Path:
    text = source.read_text()
    assert before in text
    copy = tmp_path / source.name
    copy.write_text(text.replace(before, after, 1).replace("../devices.yaml", str(QEMU / "devices.yaml")))
    return copy


UART = "  - device: uart0\n    flags: read write io io-32 root-shared\n"


def test_json_has_every_key_of_an_event() -> None:
    keys = (
        "arch kind access address size exception_class cpu cell outcome pc syndrome registers device cause fix "
        "confidence lines"
    )
    found = event(trap_texts.arm64())
    assert set(keys.split()) <= set(found)
    assert found["address"] == "0x9000018"
    assert found["registers"]["pc"] == "0x1234"
    assert found["lines"] == [1, 18]
    assert found["confidence"] == 1.0


def test_absent_region_names_the_config_and_the_lines_to_add(tmp_path: Path) -> None:
    cell = edited(tmp_path, LATENCY, UART, "")
    found = event(trap_texts.arm64(), "--cell", cell, "--system", SYSTEM)
    assert "uart0" in found["device"]
    assert "ivshmem-latency.yaml: no memory region" in found["cause"]
    assert "physical: 0x09000000" in found["fix_yaml"] and "size: 0x1000" in found["fix_yaml"]
    assert ".phys_start = 0x09000000" in found["fix_c"] and "JAILHOUSE_MEM_IO" in found["fix_c"]


def test_the_proposed_region_makes_the_cell_allow_the_access(tmp_path: Path) -> None:
    cell = edited(tmp_path, LATENCY, UART, "")
    proposed = event(trap_texts.arm64(), "--cell", cell)["fix_yaml"].split("\n", 1)[1]
    mended = edited(tmp_path, LATENCY, UART, proposed)
    assert "allows the access" in event(trap_texts.arm64(), "--cell", mended)["cause"]


def test_region_that_is_too_short(tmp_path: Path) -> None:
    short = "  - name: uart\n    physical: 0x09000000\n    size: 0x10\n    flags: read write io io-32\n"
    found = event(trap_texts.arm64(), "--cell", edited(tmp_path, LATENCY, UART, short))
    assert "stops 0x8 bytes short" in found["cause"]
    assert "size: 0x1000" in found["fix_yaml"]


def test_region_without_the_right(tmp_path: Path) -> None:
    readable = "  - name: uart\n    physical: 0x09000000\n    size: 0x1000\n    flags: read io io-32\n"
    cell = edited(tmp_path, LATENCY, UART, readable)
    found = event(trap_texts.arm64("Unhandled data write at 0x9000018(4)", esr="24 1 181004f"), "--cell", cell)
    assert "does not allow to write" in found["cause"]
    assert "flags: read write io io-32" in found["fix_yaml"]


def test_region_without_the_width(tmp_path: Path) -> None:
    narrow = "  - name: uart\n    physical: 0x09000000\n    size: 0x800\n    flags: read write io io-8\n"
    found = event(trap_texts.arm64(), "--cell", edited(tmp_path, LATENCY, UART, narrow))
    assert "does not allow accesses of 4 byte(s)" in found["cause"]
    assert "io-32" in found["fix_yaml"]


def test_device_tree_names_the_device(tmp_path: Path) -> None:
    if shutil.which("dtc") is None:
        pytest.fail("dtc is missing: apt install device-tree-compiler")
    source = tmp_path / "board.dts"
    source.write_text(
        '/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; soc { compatible = "simple-bus"; #address-cells = <1>;'
        ' #size-cells = <1>; ranges = <0x0 0x0 0x9000000 0x100000>; serial@0 { compatible = "arm,pl011"; reg = <0'
        " 0x1000>; }; }; };"
    )
    blob = tmp_path / "board.dtb"
    subprocess.run(["dtc", "-q", "-o", blob, source], check=True)
    found = event(trap_texts.arm64(cell="some"), "--dtb", blob)
    assert found["device"] and "0x18" in found["device"]


def test_ecam_walk_means_no_ivshmem_device() -> None:
    found = event(
        trap_texts.arm64("Unhandled data read at 0xf200000(2)", esr="24 1 1400006", registers={21: 0x110A, 22: 0x4106})
    )
    assert "ivshmem" in found["cause"] and "found none" in found["cause"]


def test_failed_load_is_named_as_the_cause() -> None:
    text = (
        'Created cell "worker"\nCell "worker" can be loaded\nJAILHOUSE_CELL_LOAD: Invalid argument\nrc=1\n'
        'Started cell "worker"\n'
        + trap_texts.arm64(
            "FATAL: instruction abort at 0x50bc",
            "forbidden access (exception class 0x20)",
            "20 1 0000007",
            cell="worker",
        )
    )
    found = event(text)
    assert found["cause"].startswith("the load failed before the start (JAILHOUSE_CELL_LOAD: Invalid argument)")


def test_load_into_memory_that_the_root_does_not_own() -> None:
    text = 'Cell "worker" can be loaded\n' + trap_texts.arm64(
        "Unhandled data write at 0x7bf00000(1)", esr="24 1 0000045", pc=0xFFFF800008A168B0, cell="board-root"
    )
    found = event(text)
    assert 'the image of cell "worker"' in found["cause"]
    assert "no instruction syndrome" in found["cause"]


def test_contradiction_is_stated() -> None:
    found = event(trap_texts.arm64("Unhandled data write at 0x9000018(4)"))
    assert any("says write, the syndrome says read" in note for note in found["notes"])
    assert "Note: " in found["summary"]


def test_program_gives_function_and_line(tmp_path: Path) -> None:
    source = tmp_path / "program.c"
    source.write_text("int touch(volatile int *p)\n{\n    return *p;\n}\nint main(void) { return 0; }\n")
    program = tmp_path / "program"
    subprocess.run(["gcc", "-g", "-O0", "-no-pie", "-o", program, source], check=True)
    symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    touch = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.endswith(" T touch"))
    found = event(trap_texts.arm64(pc=touch + 8), "--elf", program)
    assert found["place"].startswith("touch+0x8 at ")
    assert "program.c:" in found["place"]


def test_system_map_gives_a_function(tmp_path: Path) -> None:
    table = tmp_path / "System.map"
    table.write_text("ffff800008080000 T _text\nffff800008081000 t probe_one\nffff800008082000 T other\n")
    found = event(trap_texts.arm64(pc=0xFFFF800008081010), "--elf", table)
    assert found["place"] == f"probe_one+0x10 ({table})"


def test_port_and_msr_have_names() -> None:
    assert event(trap_texts.x86())["device"] == "serial port COM1"
    assert event(trap_texts.x86("FATAL: Unhandled MSR write: 277"))["device"] == "IA32_PAT"
    assert "triple fault" in event(trap_texts.x86("FATAL: Unhandled VM-Exit, reason 2"))["cause"]
    amd = "FATAL: Unexpected #VMEXIT, exitcode 7f, exitinfo1 0x0000000000000000 exitinfo2 0x0000000000000000"
    assert "triple fault" in event(trap_texts.x86(amd))["cause"]


KERNEL = 0xFFFF800008A168B0


def test_a_page_table_outside_the_memory_is_not_a_stray_jump() -> None:
    found = event(
        trap_texts.arm64(
            "FATAL: instruction abort at 0x4fffe1d0",
            "forbidden access (exception class 0x20)",
            "20 1 0000086",
            pc=KERNEL,
            cell="board",
        )
    )
    assert "page table of the guest lies at 0x4fffe000" in found["cause"]
    assert "mem=" in found["fix"] and found["pattern"] == "no-memory"


def test_before_any_cell_it_is_the_root() -> None:
    opened = "[  1.0] The Jailhouse is opening.\n"
    assert "so this is the root cell" in event(opened + trap_texts.arm64(cell="board"))["fix"]
    later = opened + 'Created cell "worker"\n' + trap_texts.arm64(cell="worker")
    assert "root cell" not in event(later)["fix"]


def test_a_kernel_s_trap_says_both_places(tmp_path: Path) -> None:
    found = event(trap_texts.arm64(pc=KERNEL, cell="board"))
    assert "system config" in found["fix"] and "root-shared" in found["fix"]
    assert found["pattern"] == "region-absent"


def test_a_device_that_a_cell_took_is_to_be_shared(tmp_path: Path) -> None:
    taker = edited(tmp_path, LATENCY, "flags: read write io io-32 root-shared", "flags: read write io io-32")
    found = event(trap_texts.arm64(pc=KERNEL, cell="qemu-root"), "--system", SYSTEM, "--cell", taker)
    assert found["pattern"] == "taken-by-cell" and 'belongs to cell "ivshmem-latency"' in found["cause"]
    assert "root-shared" in found["fix_yaml"] and "JAILHOUSE_MEM_ROOTSHARED" in found["fix_c"]


def test_the_lines_to_change_carry_the_region_s_name(tmp_path: Path) -> None:
    cell = edited(tmp_path, LATENCY, "read write execute dma loadable", "read execute dma loadable")
    found = event(
        trap_texts.arm64("Unhandled data write at 0x8(4)", esr="24 1 181004f", cell="ivshmem-latency"), "--cell", cell
    )
    assert "- name: ram\n" in found["fix_yaml"] and found["pattern"] == "region-rights"


def test_a_section_that_others_write_is_no_missing_right() -> None:
    for address, owner in (("0x7fa00008", "the state table"), ("0x7fa10000", "the output section of peer 0")):
        text = trap_texts.arm64(f"Unhandled data write at {address}(4)", esr="24 1 181004f")
        found = event(text, "--cell", LATENCY)
        assert owner in found["cause"] and found["fix_yaml"] is None
        assert found["fix"].startswith("leave the config as it is")


def test_board_hints_are_whole_words() -> None:
    assert event(trap_texts.arm64("Unhandled data read at 0x1c20060(4)", cell="alpha20"))["device"] is None
    assert "ccu" in event(trap_texts.arm64("Unhandled data read at 0x1c20060(4)", cell="orangepi0"))["device"]


def test_x86_says_mode_and_what_to_tell_the_kernel() -> None:
    assert event(trap_texts.x86())["mode"] == "64-bit mode, ring 0"
    assert "no-kvmapf" in event(trap_texts.x86("FATAL: Unhandled MSR write: 4b564d02"))["fix"]


def test_a_fetch_from_nowhere_on_x86() -> None:
    text = trap_texts.x86("FATAL: Invalid MMIO/RAM read, addr: 0x0000000000001000 size: 0")
    found = event("FATAL: unable to get MMIO instruction\n" + text)
    assert found["pattern"] == "no-memory" and "executed at 0x1113" in found["cause"]


def test_text_in_other_wrappings(tmp_path: Path) -> None:
    text = trap_texts.arm64()
    assert run(text.encode("utf-16")).exit_code == 0
    assert run(b"\xef\xbb\xbf" + text.encode()).exit_code == 0
    packed = run(gzip.compress(text.encode()))
    assert packed.exit_code == 2 and "zcat" in packed.stderr
    assert run(bytes(range(256)) * 5000).exit_code == 1
    absent = run("", tmp_path / "absent.txt")
    assert "cannot read" in absent.stderr and "Errno" not in absent.stderr


def test_lines_and_context_hold_in_a_long_text() -> None:
    quiet = "[    1.000000] usb 1-1: new device\n" * 20_000
    loaded = 'Cell "worker" can be loaded\n'
    trap = trap_texts.arm64("Unhandled data write at 0x7bf00000(1)", esr="24 1 0000045", pc=KERNEL, cell="board-root")
    result = run(quiet + loaded + trap + quiet + trap_texts.arm64(), "--json")
    first, second = json.loads(result.stdout)["events"]
    assert first["lines"][0] == 20_002 and first["pattern"] == "load-outside-root"
    assert second["lines"][0] == 40_002 + len(trap.splitlines())


def test_missing_parts_are_named() -> None:
    text = "".join(trap_texts.arm64().splitlines(keepends=True)[:-1])
    result = run(text, "--json")
    assert json.loads(result.stdout)["missing"] == ["the Parking line, which names the CPU and the cell"]
    assert "the Parking line, which names the CPU and the cell" in run(text).stdout


def test_exit_codes(tmp_path: Path) -> None:
    assert run(trap_texts.arm64()).exit_code == 0
    nothing = run("all is well\n")
    assert nothing.exit_code == 1 and "No trap found" in nothing.stdout
    assert json.loads(run("all is well\n", "--json").stdout) == {"events": [], "missing": []}
    assert run("", tmp_path / "absent.txt").exit_code == 2
    assert run("", "--cell", tmp_path / "absent.cell").exit_code == 2
    wrong = run(trap_texts.arm64(), "--cell", SYSTEM)
    assert wrong.exit_code == 2 and "--system" in wrong.stderr
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no tree, no map\n")
    for option in ("--dtb", "--elf", "--cell"):
        assert run(trap_texts.arm64(), option, garbage).exit_code == 2, option


def test_terminal_output_is_harmless() -> None:
    text = trap_texts.arm64(cell="a\x1b]0;title\x07b\x1b[2J")
    shown = run(text).stdout
    assert "\x1b" not in shown and "\x07" not in shown
    assert run(text.encode() + b"\xff\xfe\x00").exit_code == 0


def test_runs_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hil.explain_cli", "-"],
        input=trap_texts.arm64(),
        text=True,
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode == 0 and "was parked" in done.stdout

# SPDX-License-Identifier: Apache-2.0
"""The virtual PCI host through the kernel's own PCI core: a device tree node that was there at boot, without a driver,
becomes a host when the hypervisor is enabled, goes when it is disabled, and comes back."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TARGET, Boot, plan

from hil import places, target
from hil.session import State
from hil.target import CellUse
from hil.uio_walk import MIB, VirtualPci, virtual_pci

LATENCY = CellUse("ivshmem-latency.cell", "ivshmem-latency", "ivshmem-latency.bin", "device=0 peer=0")
EDGE_RISING = 1


def overlay(pci: VirtualPci, gic: str, window: int) -> str:
    """The node as source: bindings/pci/host-generic-pci.yaml, but for `compatible`. `window`: bytes for BARs."""
    pins = range(4)
    lines = " ".join(f"0 0 0 {pin + 1} {gic} 0 0 0 {pci.irq_base + pin} {EDGE_RISING}" for pin in pins)
    return f"""
/dts-v1/;
/plugin/;
/ {{ fragment@0 {{ target-path = "/"; __overlay__ {{
    #address-cells = <2>;
    #size-cells = <2>;
    pci@{pci.config_base:x} {{
        device_type = "pci";
        #address-cells = <3>;
        #size-cells = <2>;
        #interrupt-cells = <1>;
        bus-range = <0 {pci.end_bus}>;
        reg = <0 {pci.config_base:#x} 0 {(pci.end_bus + 1) * MIB:#x}>;
        ranges = <0x02000000 0 {pci.window:#x} 0 {pci.window:#x} 0 {window:#x}>;
        linux,pci-domain = <{pci.domain}>;
        interrupt-map-mask = <0 0 0 7>;
        interrupt-map = <{lines}>;
    }};
}}; }}; }};
"""


def tree_with_host(directory: Path, window: int = 0x10000) -> Path:
    """The target's own device tree, as QEMU makes it, with the node added."""
    machine = target.load(TARGET).machine
    base, addition, merged = directory / "base.dtb", directory / "host.dtbo", directory / "merged.dtb"

    def run(*words: str, text: str = "") -> str:
        return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout.strip()

    dump = f"{machine.machine},dumpdtb={base}"
    size = ("-cpu", machine.cpu, "-smp", str(machine.smp), "-m", machine.memory)
    run(machine.program, "-machine", dump, *size, "-display", "none", "-nic", "none")
    gic = "0x" + run("fdtget", "-t", "x", str(base), "/intc@8000000", "phandle")
    pci = virtual_pci(places.build() / "cells" / TARGET / "qemu-root.cell")
    run("dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(addition), "-", text=overlay(pci, gic, window))
    run("fdtoverlay", "-i", str(base), "-o", str(merged), str(addition))
    return merged


def test_the_kernels_pci_core_finds_the_devices(boot: Boot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = target.load(TARGET)
    machine = replace(described.machine, extra=(*described.machine.extra, "-dtb", str(tree_with_host(tmp_path))))
    monkeypatch.setattr(target, "load", lambda name: replace(described, machine=machine))
    bed = boot(plan())
    root = bed.root

    def devices() -> list[str]:
        found: str = root.script("ls /sys/bus/pci/devices", "command").text
        return [name for name in found.split() if name.startswith("0001:")]

    assert devices() == []
    for _ in range(2):
        bed.machine.session.transition(State.ENABLED)
        assert devices() == ["0001:00:00.0", "0001:00:01.0"]
        assert "0001:00:00.0" in root.script("readlink -f /sys/class/uio/uio0/device", "command").text
        bed.start(LATENCY)
        said = root.script("ivshmem-latency --warmup=10 --count=50", "run").out.decode()
        assert said.count("hil-record") == 4, said
        root.destroy(LATENCY)
        # The driver stays loaded: the host's removal takes its devices away from it.
        root.script("jailhouse disable", "disable")
        assert devices() == [] and root.script("ls /dev/uio* 2>&1; true", "command").text.startswith("ls: ")
        root.script("jailhouse enable /hil/cells/qemu-root.cell", "enable")
        assert devices() == ["0001:00:00.0", "0001:00:01.0"]
        bed.machine.session.transition(State.DISABLED)
        bed.machine.session.repeat(State.AGENT, State.AGENT)
    assert bed.watch.traps == []

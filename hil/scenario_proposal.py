# SPDX-License-Identifier: Apache-2.0
"""Proposes a scenario from a trap that somebody pasted: the same kind of fault, provoked on a target of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from hil.scenario_file import parse
from hil.target import Target
from hil.traps import TrapExplainer

CELL = "hello"
"""The target's plainest cell: RAM, communication region, UART."""
LINK_CELL = "ivshmem-demo"
STAND_IN = "rtc"
"""The device that stands for one that this target does not have; no cell of the target maps it."""
NOBODYS_MEMORY = 0x9000_0000
"""Behind the RAM of the target."""
MAPPED_BY_CELL = ("uart0",)
LINUX = 0xFFFF_0000_0000_0000
LINUX_32 = 0xC000_0000
DRIVEN = {
    "rtc": "cat /sys/class/rtc/rtc0/time",
    "gpio": "for c in /sys/class/gpio/gpiochip*; do cat $c/base >/sys/class/gpio/export; done",
}
"""How the root cell's drivers are made to touch a device that /dev/mem may not."""


@dataclass(frozen=True)
class Proposal:
    """A scenario's YAML, or the reason why there is none."""

    yaml: str = ""
    reason: str = ""


@dataclass
class _Draft:
    """What differs from one proposal to the other."""

    cause: str
    fields: dict[str, Any] = field(default_factory=dict)
    command_line: str = ""
    inmate: str = "fault"
    cell: str = CELL
    change: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    touch: str = ""
    note: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    alternatives: list[dict[str, Any]] = field(default_factory=list)
    """What is expected instead of `fields` where hypervisors may differ; then `steps` are given too."""


def proposal(text: bytes, target: Target) -> Proposal:
    """For the first trap in `text` that has a counterpart. The proposal has been read back: it is a valid scenario."""
    explainer = TrapExplainer()
    explainer.add_machine(target.directory / "devices.yaml")
    events = explainer.explain(text)["events"]
    if not events:
        return Proposal(reason="no trap was found in the text; `hil explain` says what a report looks like")
    drafts = [_draft(event, target) for event in events]
    for number, (event, draft) in enumerate(zip(events, drafts, strict=True), 1):
        if isinstance(draft, _Draft):
            which = f"of the text's {len(events)} traps this is number {number}" if len(events) > 1 else ""
            draft.note = "; ".join(filter(None, [which, draft.note]))
            written = _written(event, draft, target)
            parse(written, "proposal")
            return Proposal(yaml=written)
    return Proposal(reason=str(drafts[0]))


def _draft(event: Mapping[str, Any], target: Target) -> _Draft | str:
    kind = event["kind"]
    if kind == "unknown":
        return "only the end of a report is there: what trapped is not in the text"
    if event["pattern"] == "load-outside-root":
        return _load(event, target)
    if kind in ("data", "mmio"):
        return _data(event, target)
    if kind == "instruction":
        if event["address"] is None:
            return "the address of the instruction abort is not in the text"
        address = int(event["address"], 16)
        if _is_root(event, target):
            fields = {"kind": kind, "exception_class": 0x20}
            change = {"set": {"memory.ram.flags": "read write dma"}}
            return _Draft("the root cell may not execute from its RAM, or lacks it", fields, system=change)
        return _Draft(
            "the cell jumps to memory that it does not have",
            {"kind": kind, "address": address, "exception_class": 0x20},
            f"act=exec addr={address:#x}",
        )
    if kind == "hvc":
        return _Draft(
            "a hypervisor call that is not the hypervisor's", {"kind": kind, "exception_class": 0x16}, "act=hvc"
        )
    if kind == "smc":
        return _Draft("a monitor call that nobody serves", {"kind": kind, "exception_class": 0x17}, "act=smc")
    if kind == "pci-config":
        return _pci(event)
    if kind == "hyp":
        return (
            "the hypervisor itself failed: that is a defect of it, not of a config; `hil explain --elf` names the place"
        )
    return f"a trap of kind '{kind}' has no counterpart on the target '{target.name}'"


def _data(event: Mapping[str, Any], target: Target) -> _Draft | str:
    access = event["access"]
    if event["address"] is None or access is None:
        return "the line `Unhandled data … at …` is missing or damaged: address and direction are unknown"
    address, size = int(event["address"], 16), int(event["size"] or 4)
    if event["pattern"] == "ecam-walk":
        return _Draft(
            "the cell has no ivshmem device and its search walks off the configuration space",
            {"kind": "data", "access": "read", "size": 4},
            "act=ecam-search",
        )
    name, start = _device(address, target)
    note = ""
    if not name and not _in_memory(address, target):
        name, start = STAND_IN, _devices(target)[STAND_IN][0]
        carried = start + (address & 0xFFF)
        note = f"{address:#x} is no device of this target: {STAND_IN} stands for it, at the same offset"
        address = carried
    fields = {"kind": "data", "access": access, "address": address}
    syndrome = event["syndrome"] or {}
    pair = size == 1 and syndrome.get("valid") is False
    if _is_root(event, target):
        return _root(fields, address, size, name, note)
    if name in MAPPED_BY_CELL and not pair:
        return _Draft(
            f"the cell's config lacks the region of {name}",
            {"kind": "data", "address": f"{start:#x}-{start + 0xfff:#x}"},
            inmate="hello",
            change={"remove": [f"memory.{name}"]},
            note="the access is the one of this project's inmate: its first to that device",
        )
    act = f"pair-{access}" if pair else access
    cause = f"the cell's config lacks {name}" if name else "the cell touches memory that its config does not give it"
    line = f"act={act} addr={address:#x}" + ("" if pair else f" size={size}")
    return _Draft(cause, {**fields, "size": size}, line, note=note)


def _load(event: Mapping[str, Any], target: Target) -> _Draft:
    """`cell load` wrote where the root has no memory: the cell's RAM is moved there."""
    refused = "No such file or directory"
    return _Draft(
        "the cell's RAM is memory that the root cell does not own",
        change={"set": {"memory.ram.physical": NOBODYS_MEMORY}},
        inmate="hello",
        note=f"{NOBODYS_MEMORY:#x}, which the target's root cell never had, stands for {event['address']}",
        steps=[
            {"create": CELL, "any_of": [{"exit": 1, "says": "Invalid argument"}, {"exit": 0}]},
            {"load": CELL, "any_of": [{"exit": 1, "says": refused}, {"exit": "never"}]},
        ],
        alternatives=[
            {"traps": [], "states": {CELL: "absent"}},
            {
                "traps": [
                    {
                        "kind": "data",
                        "access": "write",
                        "address": f"{NOBODYS_MEMORY:#x}-{NOBODYS_MEMORY + (1 << 24) - 1:#x}",
                        "cell": target.root_cell,
                        "outcome": "parked",
                    }
                ]
            },
        ],
    )


def _root(fields: dict[str, Any], address: int, size: int, name: str, note: str) -> _Draft | str:
    """The root cell was parked: a device that the system config lacks, or memory that a cell has."""
    if name == "uart0":
        fields = {"kind": "data", "address": "0x9000000-0x9000fff"}
        return _Draft("the system config lacks the UART", fields, system={"remove": [f"memory.{name}"]})
    if name:
        touch = DRIVEN.get(name, f"devmem {address:#x} {8 * size}")
        if name in DRIVEN:
            fields = {"kind": "data", "address": f"{address & ~0xfff:#x}-{address | 0xfff:#x}"}
            note = "; ".join(filter(None, [note, "the access is the one of the root's driver"]))
        return _Draft(
            f"the system config lacks {name}", fields, system={"remove": [f"memory.{name}"]}, touch=touch, note=note
        )
    if fields["access"] == "write":
        touch = f"devmem {address:#x} {8 * size} 0"
    else:
        touch = f"devmem {address:#x} {8 * size}"
    return _Draft("the root cell touches memory that a cell has", fields, "act=idle", touch=touch, note=note)


def _pci(event: Mapping[str, Any]) -> _Draft | str:
    found = re.search(r"device ([0-9a-f]+):([0-9a-f]+)\.([0-7]), reg: (0x[0-9a-f]+)", " ".join(event["messages"]))
    if not found:
        return "the line `Invalid PCI MMCONFIG …` is damaged: device and register are unknown"
    size, register = int(event["size"] or 4), int(found.group(4), 16)
    return _Draft(
        "the cell writes to configuration space that it may only read",
        {"kind": "pci-config", "access": "write", "size": size},
        f"act=ecam device=0 reg={register:#x} size={size}",
        cell=LINK_CELL,
        note="the target's cell has one virtual device, 00:00.0; it stands for the one of the text",
    )


# --- what is where ---


def _devices(target: Target) -> dict[str, tuple[int, int]]:
    """First and last address by name."""
    data = yaml.safe_load((target.directory / "devices.yaml").read_text())
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    result = {}
    for device in data["devices"]:
        size = str(device["size"])
        length = int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size, 0)
        result[device["name"]] = (int(device["address"]), int(device["address"]) + length - 1)
    return result


def _device(address: int, target: Target) -> tuple[str, int]:
    """The narrowest device that has `address`, with its first address; empty when there is none."""
    found = [
        (last - first, name, first) for name, (first, last) in _devices(target).items() if first <= address <= last
    ]
    # A window of gigabytes says nothing about a device of another machine that happens to fall into it.
    found = [one for one in found if one[0] < 1 << 20]
    return min(found)[1:] if found else ("", 0)


def _in_memory(address: int, target: Target) -> bool:
    parts = [part for part in target.memory_map if re.search("RAM|memory", str(part["name"]))]
    return any(int(part["start"]) <= address < int(part["start"]) + int(part["size"]) for part in parts)


def _is_root(event: Mapping[str, Any], target: Target) -> bool:
    """By name; else by what no bare-metal inmate has: a program in user mode, a pc in Linux's own address range."""
    if event["cell"] == target.root_cell or str(event["mode"] or "").startswith(("EL0", "User")):
        return True
    pc = int(event["pc"], 16) if event["pc"] else 0
    return pc >= LINUX or (event["arch"] == "arm" and pc >= LINUX_32)


# --- the file ---


def _written(event: Mapping[str, Any], draft: _Draft, target: Target) -> str:
    root = bool(draft.system or draft.touch)
    cell_name = target.root_cell if root else draft.cell
    trap = {**draft.fields, "cell": cell_name}
    if event["outcome"] != "unknown":
        trap["outcome"] = event["outcome"]
    data: dict[str, Any] = {
        "title": draft.cause,
        "known": "\n".join([*event["messages"], _end(event)]) + "\n",
        "targets": [target.name],
    }
    steps: list[dict[str, Any]] = []
    if draft.system:
        data |= {"start": "disabled", "system": draft.system}
        steps.append({"enable": "system", **({} if draft.touch else {"exit": "never"})})
    else:
        cell: dict[str, Any] = {"inmate": draft.inmate}
        cell |= {"command-line": draft.command_line} if draft.command_line else {}
        cell |= {"change": draft.change} if draft.change else {}
        data["cells"] = {draft.cell: cell}
        steps += draft.steps or [{"create": draft.cell}, {"load": draft.cell}, {"start": draft.cell}]
    if draft.touch:
        steps.append({"shell": draft.touch, "exit": "never"})
    expect: dict[str, Any] = {"traps": [trap]}
    if draft.system and not draft.touch:
        expect["more-traps"] = True
    if not root:
        expect["states"] = {draft.cell: "failed", target.root_cell: "running"}
    if draft.alternatives:
        data |= {"steps": steps, "expect": {"any_of": draft.alternatives}, "leaves": "either"}
    else:
        data |= {"steps": steps, "expect": expect}
        data["leaves" if root else "after"] = "broken" if root else [{"destroy": draft.cell}]
    head = ["# SPDX-License-Identifier: Apache-2.0", "# Proposed from a trap; check title and expectations."]
    head += [f"# {draft.note}." if draft.note else ""]
    body: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join(line for line in head if line) + "\n" + body


def _end(event: Mapping[str, Any]) -> str:
    """How the report ended, as its last line says it."""
    if event["outcome"] == "unknown":
        return "(the text ends before its Parking line)"
    verb = "Stopping" if event["outcome"] == "stopped" else "Parking"
    return f'{verb} CPU {event["cpu"]} (Cell: "{event["cell"]}")'


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml has no types
    """Addresses in hexadecimal, several lines of text as a block."""


def _number(dumper: yaml.SafeDumper, value: int) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:int", hex(value) if value > 15 else str(value))


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(int, _number)
_Dumper.add_representer(str, _text)

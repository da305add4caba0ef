# SPDX-License-Identifier: Apache-2.0
"""What an error text of a root-cell command means and what most likely caused it."""

from __future__ import annotations

import re

MEANINGS = (
    (r"Operation not permitted", "EPERM", "not root, or a running cell holds the configuration locked or refused"),
    (r"No such file or directory", "ENOENT", "a cell, image or device of that name does not exist"),
    (r"Argument list too long", "E2BIG", "the cell's configuration does not fit into the hypervisor's buffer"),
    (r"Cannot allocate memory", "ENOMEM", "the hypervisor's memory pool is used up, or its region is not reserved"),
    (r"Device or resource busy", "EBUSY", "a CPU or the device is taken, or the hypervisor is enabled already"),
    (r"File exists", "EEXIST", "a cell of that name or id exists already"),
    (r"No such device", "ENODEV", "the machine lacks what the configuration names, or EL2 is not available"),
    (r"Invalid argument", "EINVAL", "the configuration or an address in it does not fit the machine"),
    (r"Function not implemented", "ENOSYS", "this hypervisor or kernel does not offer that operation"),
    (r"[Ii]nvalid module format", "ENOEXEC", "the module was built for another kernel"),
    (r"Unknown symbol|unknown symbol", "ENOENT", "the module needs a symbol that this kernel does not export"),
)

STEPS = (
    (
        r"JAILHOUSE_ENABLE: Invalid argument",
        "CPUs of the system config are not exactly the online ones, or an IOMMU unit",
    ),
    (r"JAILHOUSE_ENABLE: Device or resource busy", "the hypervisor is enabled already"),
    (r"JAILHOUSE_ENABLE: Cannot allocate memory", "the hypervisor's memory is not reserved: check the kernel's mem="),
    (r"JAILHOUSE_ENABLE: No such file", "the firmware jailhouse*.bin is not in /lib/firmware"),
    (r"JAILHOUSE_CELL_CREATE: File exists", "a cell of that name exists"),
    (r"JAILHOUSE_CELL_CREATE: Device or resource busy", "a CPU of the cell is taken, absent or offline"),
    (
        r"JAILHOUSE_CELL_LOAD: Invalid argument",
        "the image does not fit the cell's loadable RAM there",
    ),
    (r"JAILHOUSE_CELL_\w+: No such file", "there is no cell of that name"),
    (r"opening /dev/jailhouse: No such file", "the jailhouse module is not loaded"),
    (r"not found", "the program is not in the root image"),
)


def likely_cause(output: str) -> str:
    """A sentence about `output`; empty when nothing in it is known. Specific knowledge goes before errno's meaning."""
    errno = next(((name, text) for pattern, name, text in MEANINGS if re.search(pattern, output)), None)
    special = next((text for pattern, text in STEPS if re.search(pattern, output)), None)
    if special is not None:
        return f"{special} ({errno[0]})" if errno else special
    return f"{errno[1]} ({errno[0]})" if errno else ""

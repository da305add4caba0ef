# SPDX-License-Identifier: Apache-2.0
"""Whether /dev/kvm can run a guest: it is asked to, in a process of its own with a time limit.

Two guests, from small to real. The first is made here: a few instructions by the KVM API (Linux,
Documentation/virt/kvm/api.rst). The second, where a QEMU for the host's architecture and a kernel are installed, is
that kernel up to its first console line: a host may run the first and not the second.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
KVM_GET_VCPU_MMAP_SIZE = 0xAE04
KVM_CREATE_VCPU = 0xAE41
KVM_SET_USER_MEMORY_REGION = 0x4020AE46
KVM_RUN = 0xAE80
KVM_SET_REGS = 0x4090AE82
KVM_GET_SREGS = 0x8138AE83
KVM_SET_SREGS = 0x4138AE84
SREGS_SIZE = 312
EXIT_IO = 2
EXIT_HLT = 5
EXIT_REASON_OFFSET = 8
CODE = bytes([0xB0, 0x2A, 0xE6, 0x10, 0xF4])  # mov al, 42; out 0x10, al; hlt
CODE_AT = 0x1000
LIMIT = 10.0
KERNEL_LIMIT = 15.0


def try_guest() -> tuple[bool, str]:
    """(works, sentence). Never hangs: what runs the guest is killed when its limit passes."""
    device = Path("/dev/kvm")
    if not device.exists():
        return False, "not there"
    if not os.access(device, os.R_OK | os.W_OK):
        return False, "there, but you may not open it (group kvm)"
    if platform.machine() != "x86_64":
        return False, f"there; no guest is made for a {platform.machine()} host"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hil.kvm"], capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"there, but a guest of three instructions did not end within {LIMIT:.0f} s"
    said = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode != 0:
        return False, f"there, but cannot run a guest: {said[-1] if said else f'code {done.returncode}'}"
    return _try_kernel()


def _try_kernel() -> tuple[bool, str]:
    """Boots the host's own kernel under QEMU and KVM until it says something."""
    small = "ran a guest of three instructions"
    kernels = sorted(path for path in Path("/boot").glob("vmlinuz-*") if os.access(path, os.R_OK))
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None or not kernels:
        lacking = "qemu-system-x86_64" if qemu is None else "a kernel in /boot"
        return False, f"{small}; whether it runs a whole kernel was not tried: {lacking} is missing"
    command = [qemu, "-accel", "kvm", "-cpu", "host", "-m", "256M", "-kernel", str(kernels[-1])]
    command += ["-append", "console=ttyS0 earlyprintk=serial panic=-1", "-nographic", "-no-reboot", "-nic", "none"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=KERNEL_LIMIT, check=False)
        output = done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"") + (error.stderr or b"")
    if b"Linux version" in output:
        return True, f"boots a stock kernel ({kernels[-1].name})"
    return False, f"{small}, but a stock kernel said nothing within {KERNEL_LIMIT:.0f} s"


def run_small_guest() -> None:
    """Runs CODE in real mode; RuntimeError or OSError when KVM does not do what it must."""
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    if (version := fcntl.ioctl(kvm, KVM_GET_API_VERSION)) != 12:
        raise RuntimeError(f"API version {version}, not 12")
    vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    memory = mmap.mmap(-1, 0x1000)
    memory.write(CODE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(vm, KVM_SET_USER_MEMORY_REGION, struct.pack("<IIQQQ", 0, 0, CODE_AT, 0x1000, address))
    vcpu = fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
    run = mmap.mmap(vcpu, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE))
    sregs = bytearray(SREGS_SIZE)
    fcntl.ioctl(vcpu, KVM_GET_SREGS, sregs)
    struct.pack_into("<Q", sregs, 0, 0)  # cs.base
    struct.pack_into("<H", sregs, 12, 0)  # cs.selector
    fcntl.ioctl(vcpu, KVM_SET_SREGS, bytes(sregs))
    registers = [0] * 18
    registers[16], registers[17] = CODE_AT, 2  # rip, rflags
    fcntl.ioctl(vcpu, KVM_SET_REGS, struct.pack("<18Q", *registers))
    for wanted in (EXIT_IO, EXIT_HLT):
        fcntl.ioctl(vcpu, KVM_RUN, 0)
        (reason,) = struct.unpack_from("<I", run, EXIT_REASON_OFFSET)
        if reason != wanted:
            raise RuntimeError(f"exit reason {reason} where {wanted} was due")


if __name__ == "__main__":
    try:
        run_small_guest()
    except (OSError, RuntimeError) as problem:
        sys.exit(str(problem))

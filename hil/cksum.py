# SPDX-License-Identifier: Apache-2.0
"""The checksum of POSIX's `cksum`: a CRC-32 over the bytes and then their number, highest bit first."""

from __future__ import annotations

POLYNOMIAL = 0x04C11DB7


def _entry(index: int) -> int:
    value = index << 24
    for _ in range(8):
        value = (value << 1 ^ POLYNOMIAL if value & 0x8000_0000 else value << 1) & 0xFFFF_FFFF
    return value


TABLE = tuple(_entry(index) for index in range(256))


def cksum(data: bytes) -> int:
    """What `cksum` prints first."""
    length = len(data).to_bytes((len(data).bit_length() + 7) // 8, "little")
    crc = 0
    for part in (data, length):
        for byte in part:
            crc = (crc << 8 & 0xFFFF_FFFF) ^ TABLE[crc >> 24 ^ byte]
    return ~crc & 0xFFFF_FFFF

# SPDX-License-Identifier: Apache-2.0
"""How bytes travel as typed words, and which programs of the far side make bytes of them again."""

from __future__ import annotations

import base64
import gzip
import lzma
from collections.abc import Callable
from dataclasses import dataclass

WORD = 60
"""Characters of base64 in a word: uudecode takes no lines above 61."""


@dataclass(frozen=True)
class Encoding:
    """`decoder`: a shell function body that writes the bytes of its arguments. `cost`: characters for a byte."""

    name: str
    decoder: str
    words: Callable[[bytes], str]
    cost: float


@dataclass(frozen=True)
class Packing:
    """`unpacker`: the far side's filter; empty for none."""

    name: str
    unpacker: str
    pack: Callable[[bytes], bytes]


def base64_words(data: bytes) -> str:
    """base64 in words of 60 characters."""
    text = base64.b64encode(data).decode()
    return " ".join(text[at : at + WORD] for at in range(0, len(text), WORD))


def octal_words(data: bytes) -> str:
    """Each byte as an octal number."""
    return " ".join(f"{byte:o}" for byte in data)


def _base64(name: str, decoder: str) -> Encoding:
    return Encoding(name, decoder, base64_words, (WORD + 1) / (WORD // 4 * 3))


LINES = 'printf "%s\\n" "$@"'

ENCODINGS = (
    _base64("base64", f"{LINES}|base64 -d"),
    _base64("busybox base64", f"{LINES}|busybox base64 -d"),
    _base64("openssl base64", f"{LINES}|openssl base64 -d"),
    _base64(
        "uudecode",
        f'{{ echo begin-base64 600 x;{LINES};echo "===="; }}|uudecode -o /dev/stdout|cat',
    ),
    Encoding("octal numbers for printf", r'printf "$(printf "\\\\%s" "$@")"', octal_words, 3.8),
)
"""In the order of preference. `printf` is the shell's own, or POSIX's."""


def _xz(data: bytes) -> bytes:
    """With a dictionary and a check that small unpackers take."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


PACKINGS = (
    Packing("xz", "xz -dc", _xz),
    Packing("xz", "busybox xz -dc", _xz),
    Packing("gzip", "gzip -dc", _gzip),
    Packing("gzip", "busybox gzip -dc", _gzip),
    Packing("unpacked", "cat", bytes),
)
"""In the order of preference."""

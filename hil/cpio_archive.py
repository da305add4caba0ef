# SPDX-License-Identifier: Apache-2.0
"""A cpio archive in the format that Linux unpacks as its initramfs ("newc", Documentation/driver-api/early-userspace).

Written here and not by cpio(1) so that no root is needed for owners and device nodes, and so that equal input gives
equal bytes: all times are 0, all owners root, entries in the order in which they were added.
"""

from __future__ import annotations

import stat


class CpioArchive:
    """Collects files, directories, links and device nodes; `content()` is the archive. Paths have no leading slash."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._inode = 0
        self._known: set[str] = set()

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Adds a directory and those above it, once."""
        if "/" in path:
            self.directory(path.rsplit("/", 1)[0])
        if path not in self._known:
            self._entry(path, stat.S_IFDIR | mode, b"")

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Adds a regular file and the directories above it. ValueError when the path is taken."""
        self._parents(path)
        self._entry(path, stat.S_IFREG | mode, content)

    def link(self, path: str, target: str) -> None:
        """Adds a symbolic link."""
        self._parents(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Adds a character device node."""
        self._parents(path)
        self._entry(path, stat.S_IFCHR | mode, b"", (major, minor))

    def content(self) -> bytes:
        """The archive with its trailer, padded to a multiple of 512 bytes."""
        content = b"".join(self._chunks) + self._record("TRAILER!!!", 0, b"", (0, 0), 0)
        return content + bytes(-len(content) % 512)

    def _parents(self, path: str) -> None:
        if "/" in path:
            self.directory(path.rsplit("/", 1)[0])

    def _entry(self, path: str, mode: int, content: bytes, device: tuple[int, int] = (0, 0)) -> None:
        if path in self._known:
            raise ValueError(f"{path}: twice in one image")
        self._known.add(path)
        self._inode += 1
        self._chunks.append(self._record(path, mode, content, device, self._inode))

    @staticmethod
    def _record(path: str, mode: int, content: bytes, device: tuple[int, int], inode: int) -> bytes:
        name = path.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device major/minor, rdev major/minor, name size, checksum
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)

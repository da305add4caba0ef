# SPDX-License-Identifier: Apache-2.0
"""Console text made fit for a terminal: nothing of it can move the cursor, colour, beep or set a title."""

from __future__ import annotations


class HarmlessText:
    """Turns text into whole lines; control characters and escape sequences become visible (`^[`, `^G`).

    CR is dropped (the wire has CR LF and CR CR LF), tab stays. C1 controls, which some terminals obey, and the
    characters that change the direction of text are shown by number.
    """

    def __init__(self) -> None:
        self._partial = ""

    def feed(self, text: str) -> list[str]:
        """The lines that `text` completed, made harmless."""
        self._partial += text.replace("\r", "")
        *lines, self._partial = self._partial.split("\n")
        if len(self._partial) > 4096:
            lines.append(self._partial)
            self._partial = ""
        return [harmless_line(line) for line in lines]

    def rest(self) -> str:
        """What has come of a line without an end."""
        partial, self._partial = self._partial, ""
        return harmless_line(partial)


def harmless_line(line: str) -> str:
    """See HarmlessText."""
    return "".join(c if c == "\t" or (c.isprintable()) else _shown(c) for c in line)


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return "^" + chr(code + 0x40)
    if code == 0x7F:
        return "^?"
    return f"<{code:02x}>"

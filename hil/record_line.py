# SPDX-License-Identifier: Apache-2.0
"""The lines that hand records over, `hil-record <crc32> <json>`, and all of them in a probe's output."""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass, field

from hil.fields import RecordError, shown
from hil.record import Record


RECORD_MARK = "hil-record "
_RECORD_LINE = re.compile(r"hil-record ([0-9a-fA-F]{8}) (\{.*\})\s*$")


class DamagedRecord(RecordError):
    """A `hil-record` line whose checksum does not match its text: bytes were lost or spliced on the way."""


def record_line(record: Record) -> str:
    """The line that hands a record over: `hil-record <crc32> <json>`, CRC-32 (IEEE) over the JSON's bytes."""
    body = json.dumps(record.as_dict(), separators=(",", ":"), ensure_ascii=True)
    return f"{RECORD_MARK}{binascii.crc32(body.encode()):08x} {body}\n"


def parse_record_line(line: str | bytes) -> Record:
    """The record in one line; DamagedRecord when the checksum disagrees, RecordError when the content does."""
    text = line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line
    match = _RECORD_LINE.search(text)
    if not match:
        raise DamagedRecord(f"not a whole hil-record line: {shown(text.strip())}")
    body = match.group(2).encode("utf-8", "surrogateescape")
    expected, found = int(match.group(1), 16), binascii.crc32(body)
    if expected != found:
        raise DamagedRecord(f"hil-record line damaged: checksum {expected:08x} announced, {found:08x} found")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"hil-record line: whole, but not JSON: {error}") from error
    return Record.of(value)


@dataclass
class RecordScan:
    """What a probe's output held: whole records, and a message for each line that was damaged or wrong."""

    records: list[Record] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def scan_records(output: str | bytes) -> RecordScan:
    """All records in a probe's output. A record that is repeated (probes may send twice) counts once; of two different
    ones for the same series nobody can tell which is right, so the later one is an error."""
    text = output.decode("utf-8", "surrogateescape") if isinstance(output, bytes) else output
    scan = RecordScan()
    seen: dict[tuple[str, str], Record] = {}
    for line in text.split("\n"):
        if RECORD_MARK.strip() not in line:
            continue
        try:
            record = parse_record_line(line)
        except RecordError as error:
            scan.errors.append(str(error))
            continue
        key = (record.probe, record.series)
        if key not in seen:
            seen[key] = record
            scan.records.append(record)
        elif seen[key] != record:
            scan.errors.append(f'record "{record.series}": two different records for one series')
    return scan

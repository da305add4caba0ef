# SPDX-License-Identifier: Apache-2.0
"""What the page's charts draw, computed here so that it can be tested: the script only maps numbers to pixels.

All latencies are nanoseconds, all times seconds since the first counted exchange.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hil.record import Bucket, Record

COLUMNS = 84
MARKS = ("p50", "p90", "p99", "p99_9", "max")


def log_columns(histogram: Sequence[Bucket], columns: int = COLUMNS) -> list[tuple[float, float, float]]:
    """The histogram over columns of equal width on a log axis, as (low, high, samples), in ticks.

    Buckets of a log-linear histogram differ in width, which would bend the shape on a log axis: each bucket's samples
    are spread evenly over the columns that it covers. The sum stays the count. Empty in, empty out.
    """
    if not histogram:
        return []
    low, high = _log_low(histogram[0]), histogram[-1].high
    # No column is narrower than a bucket that counts: what the record does not know must not look like a shape.
    total = sum(bucket.count for bucket in histogram)
    widths = [math.log(bucket.high / _log_low(bucket)) for bucket in histogram if bucket.count >= total / 100]
    if widths:
        columns = max(1, min(columns, int(math.log(high / low) / max(widths) + 1e-9)))
    step = math.log(high / low) / columns
    heights = [0.0] * columns
    for bucket in histogram:
        start = math.log(_log_low(bucket) / low) / step
        stop = math.log(bucket.high / low) / step
        for index in range(min(int(start), columns - 1), min(math.ceil(stop), columns)):
            overlap = min(stop, index + 1) - max(start, index)
            heights[index] += bucket.count * max(overlap, 0.0) / (stop - start)
    edges = [low * math.exp(step * index) for index in range(columns + 1)]
    return [(edges[i], edges[i + 1], heights[i]) for i in range(columns)]


def trimmed(record: Record) -> tuple[Bucket, ...]:
    """The histogram, its outer buckets cut off before the minimum and behind the maximum."""
    if not record.histogram:
        return ()
    first = record.histogram[0]
    buckets = (Bucket(max(first.low, record.min), first.high, first.count), *record.histogram[1:])
    last = buckets[-1]
    return (*buckets[:-1], Bucket(last.low, min(last.high, record.max + 1), last.count))


def _log_low(bucket: Bucket) -> float:
    """A log axis has no 0: a bucket that starts there is drawn from half its upper edge."""
    return bucket.low if bucket.low > 0 else bucket.high / 2


def _positive(ticks: float) -> float:
    """A sample of 0 ticks took less than one: half a tick stands for it on a log axis."""
    return max(ticks, 0.5)


def slower_than(record: Record) -> list[tuple[float, float]]:
    """(ticks, share of samples at or above them), falling from 1 to the maximum's own share: exact at bucket edges."""
    points = []
    left = record.count
    for bucket in trimmed(record):
        points.append((_log_low(bucket), left / record.count))
        left -= bucket.count
    if points:
        points.append((max(record.max, points[-1][0]), points[-1][1]))
    return points


def series_data(record: Record) -> dict[str, Any]:
    """One series for the page's script."""

    def ns(ticks: float) -> float:
        return float(f"{record.ns(ticks):.7g}")

    seconds = 1 / record.clock.hz
    return {
        "name": record.series,
        "count": record.count,
        "tick": record.tick_ns,
        "columns": [[ns(low), ns(high), round(n, 3)] for low, high, n in log_columns(trimmed(record))],
        "tail": [[ns(ticks), float(f"{share:.6g}")] for ticks, share in slower_than(record)],
        "marks": {key: ns(getattr(record, key)) for key in ("min", *MARKS)},
        "timeline": [
            [float(f"{p.t * seconds:.6g}"), ns(_positive(p.min)), ns(_positive(p.p50)), ns(_positive(p.max))]
            for p in record.timeline
        ],
        "outliers": sorted([float(f"{o.t * seconds:.6g}"), ns(_positive(o.value))] for o in record.outliers),
    }

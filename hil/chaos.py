# SPDX-License-Identifier: Apache-2.0
"""What `--chaos` puts on a console's line, as far as a verdict must know it. The faults: hil/lib/chaos.hpp."""

from __future__ import annotations


def floods(chaos: str) -> bool:
    """Whether the line floods by itself; `chaos` is a specification that check_chaos() found good."""
    return any(
        name == "flood" and float(rate) > 0 for name, _, rate in (item.partition("=") for item in chaos.split(","))
    )

# SPDX-License-Identifier: Apache-2.0
"""`hil doctor`: what is there and what is missing."""

from __future__ import annotations

import sys

import click

from hil import doctor


@click.command("doctor")
def command() -> None:
    """Looks at programs, packages, build products and /dev/kvm, and says what to do about what is missing."""
    sys.exit(doctor.main())

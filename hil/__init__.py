# SPDX-License-Identifier: Apache-2.0
"""The runner: sessions on machines with a partitioning hypervisor, from power on to the report."""

__version__ = "0.1.0"

# SPDX-License-Identifier: Apache-2.0
"""The commands of `hil`, one a module; each module holds an object `command`."""

# SPDX-License-Identifier: Apache-2.0
"""A script on the kernel's command line: how it gets there, and what does not fit there."""

from __future__ import annotations

import pytest

from hil import hypervisor, places, target
from hil.errors import InfrastructureError
from hil.lifecycle import Plan
from hil.options import RunOptions
from hil.prepare import Prepared
from hil.self_measuring import COMMAND_LINE, by_itself


@pytest.fixture
def prepared() -> Prepared:
    machine = target.load("qemu")
    plan = Plan(machine.root_config, machine.root_cell)
    return Prepared(RunOptions("qemu", "x"), machine, hypervisor.find("gaol"), plan, places.build() / "cells" / "qemu")


def test_the_first_process_is_a_shell_with_the_script_and_goes_on_as_init(prepared: Prepared) -> None:
    machine = by_itself(prepared, ["echo $((1 + 1)) >/tmp/two", "sleep 1"]).target.virtual_machine
    assert machine is not None
    words, _, script = machine.kernel_args.partition(' -- -c "')
    assert "rdinit=/bin/sh" in words and "rdinit=/init" not in words and "nokaslr" not in words
    assert script.endswith('; echo $((1 + 1)) >/tmp/two; sleep 1; exec /init"')
    assert prepared.target.virtual_machine is not None
    assert "rdinit=/init" in prepared.target.virtual_machine.kernel_args, "the machine that was given stays as it is"


@pytest.mark.parametrize("script", ["x" * COMMAND_LINE, 'echo "two words"'])
def test_what_does_not_fit_is_told(prepared: Prepared, script: str) -> None:
    with pytest.raises(InfrastructureError, match="the kernel's command line would be"):
        by_itself(prepared, [script])

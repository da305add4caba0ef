# SPDX-License-Identifier: Apache-2.0
"""A damaged image of the hypervisor: what is found, what is changed, and the root cell's own shell doing it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from hil import hypervisor, scenario_damage, scenario_file
from hil.errors import InfrastructureError
from hil.scenario import Damage
from hil.scenario_damage import damaged, matches, script
from hil.shell import Answer

READ_ADDRESS = Damage(0xD53C6080, 0xFFFFFFE0)
"""mrs xN, hpfar_el2"""


def word(number: int) -> bytes:
    return number.to_bytes(4, "little")


IMAGE = word(0xD53C6083) + word(0xD503201F) + b"\0" + word(0xD53C6080) + b"\0\0\0" + word(0xD53C609F) + b"\x80"


def test_instructions_are_aligned_words_that_equal_under_the_mask() -> None:
    assert matches(IMAGE, READ_ADDRESS) == [0, 16]
    assert matches(IMAGE, Damage(0xD53C6083, 0xFFFFFFFF)) == [0]
    assert matches(b"", READ_ADDRESS) == []


def test_every_image_that_holds_it_is_damaged(tmp_path: Path) -> None:
    for name, image in {"jailhouse.bin": IMAGE, "jailhouse-other.bin": word(0xD503201F)}.items():
        (tmp_path / name).write_bytes(image)
    (one,) = damaged(sorted(tmp_path.iterdir()), READ_ADDRESS)
    expected = bytes(4) + IMAGE[4:16] + bytes(4) + IMAGE[20:]
    assert (one.name, one.offsets, one.sha256) == ("jailhouse.bin", [0, 16], hashlib.sha256(expected).hexdigest())


def test_none_is_an_error_that_names_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "jailhouse.bin").write_bytes(word(0xD503201F))
    with pytest.raises(InfrastructureError, match=r"no instruction 0xd53c6080 \(mask 0xffffffe0\) in .*jailhouse\.bin"):
        damaged([tmp_path / "jailhouse.bin"], READ_ADDRESS)


def test_the_bundled_hypervisor_can_be_damaged_as_the_scenario_does_it() -> None:
    damage = scenario_file.load("hypervisor-fault").damage
    assert damage == READ_ADDRESS
    assert len(damaged(hypervisor.find("gaol").firmware, damage)) == 1


def test_the_shell_makes_the_same_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "lib/firmware"
    own.mkdir(parents=True)
    (own / "jailhouse.bin").write_bytes(IMAGE)
    monkeypatch.setattr(scenario_damage, "FIRMWARE", str(own))
    monkeypatch.setattr(scenario_damage, "LOOKED_FOR_FIRST", str(tmp_path / "path"))
    (one,) = damaged([own / "jailhouse.bin"], READ_ADDRESS)
    done = subprocess.run(["sh", "-c", script(one, f"{tmp_path}/there")], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == one.sha256
    assert (tmp_path / "path").read_text() == f"{tmp_path}/there"
    assert (own / "jailhouse.bin").read_bytes() == IMAGE, "the system's own file stays"


class Root:
    """A root cell that answers the same to every command."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def script(self, *words: object, **more: object) -> Answer:
        return self.answer


@pytest.mark.parametrize("answer", [Answer(1, b"", b"cp: no such file\n"), Answer(0, b"0123  -\n", b"")])
def test_another_image_in_the_root_cell_is_no_verdict_on_the_hypervisor(tmp_path: Path, answer: Answer) -> None:
    (tmp_path / "jailhouse.bin").write_bytes(IMAGE)
    found = damaged([tmp_path / "jailhouse.bin"], READ_ADDRESS)
    with pytest.raises(InfrastructureError, match="was not damaged as wanted"):
        scenario_damage.deliver(Root(answer), found, "/tmp/x")  # type: ignore[arg-type]

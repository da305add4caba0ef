# SPDX-License-Identifier: Apache-2.0
"""Reproduces scenarios: each one gets a run directory and a verdict of its own; machines are shared while healthy."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import reports

from hil import hypervisor, leftovers, places, scenario_damage, target
from hil.errors import AgentLost, Failed, HilError, InfrastructureError, TimeLimit, WrongUse
from hil.event_log import Observer
from hil.hypervisor import sha256
from hil.interrupt import Interrupts
from hil.lifecycle import Plan
from hil.limits import Deadline
from hil.lock import TargetLock
from hil.machine import Live
from hil.options import RunOptions
from hil.prepare import Prepared
from hil.run_directory import RunDirectory
from hil.scenario import SYSTEM, Scenario
from hil.scenario_bed import Bed
from hil.scenario_configs import Config, cell_config, system_config
from hil.scenario_log import ConsolePiece, SharedLog
from hil.scenario_match import CellSeen, Seen, differences
from hil.scenario_steps import DIRECTORY, NotAsExpected, StepRunner
from hil.traps import TrapExplainer
from hil.verdict import Outcome, Verdict, one_line

MOST_STRETCHED = 4.0
"""How far a busy host stretches the limit `settle` at most: all of it passes where something does not come."""
DAMAGED = f"{DIRECTORY}/firmware"
"""Where damaged images of the hypervisor are in the root cell."""
MENTION = re.compile("FATAL|Unhandled|Parking|Stopping")
"""Words without which there is no trap in a text."""
TOO_MANY = 2
"""Boots that fail in a row until no further one is tried."""


@dataclass(frozen=True)
class Finished:
    """A scenario that has its verdict."""

    scenario: Scenario
    verdict: Verdict
    path: Path


@dataclass(frozen=True)
class Ready:
    """A scenario with its configs compiled."""

    scenario: Scenario
    configs: dict[str, Config]


def ready(scenario: Scenario, machine: target.Target) -> Ready:
    """Compiles the configs. WrongUse when the scenario does not fit the target."""
    if machine.name not in scenario.targets:
        raise WrongUse(
            f"scenario '{scenario.name}' is written for {', '.join(scenario.targets)}, not for '{machine.name}'"
        )
    try:
        configs = {key: cell_config(cell, machine) for key, cell in scenario.cells.items()}
        if scenario.system is not None:
            configs[SYSTEM] = system_config(scenario, machine)
    except WrongUse as error:
        raise WrongUse(f"{places.scenarios() / scenario.name}.yaml: {error}") from error
    for cell in scenario.cells.values():
        inmate = places.build() / "arm64/inmates" / f"{cell.inmate}.bin"
        if cell.inmate and not inmate.is_file():
            raise WrongUse(f"scenario '{scenario.name}': there is no inmate {inmate}; bin/hil builds inmates/*.cpp")
    return Ready(scenario, configs)


def in_order(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Those that leave the machine healthy come first; each that breaks it costs the next one a boot."""
    return sorted(scenarios, key=lambda one: ("healthy", "either", "broken").index(one.leaves))


class ScenarioRunner:
    """Reproduces scenarios on one target, one after the other. Observers see every event of each."""

    def __init__(self, options: RunOptions, observers: Sequence[Observer], live: Live | None) -> None:
        self._options = options
        self._target = target.load(options.target)
        self._hypervisor = hypervisor.find(options.hypervisor)
        self._observers = observers
        self._live = live
        self._interrupts = Interrupts()
        self._bed: Bed | None = None
        self._owner: tuple[Finished, ConsolePiece] | None = None
        self._failed_boots = 0

    def run(self, scenarios: Sequence[Scenario], tell: Any = lambda finished: None) -> list[Finished]:
        """Runs all; `tell` gets each Finished at once. What was typed wrong is found before anything starts."""
        prepared = [ready(scenario, self._target) for scenario in in_order(scenarios)]
        leftovers.clean()
        lock = TargetLock(self._target.name, f"hil reproduce ({len(prepared)} scenarios)")
        result = []
        with self._interrupts:
            lock.acquire(self._options.wait)
            try:
                for one in prepared:
                    result.append(self._one(one))
                    tell(result[-1])
                    if self._interrupts.what:
                        break
            finally:
                self._give_up_bed()
                lock.release()
        return result

    # --- one scenario ---

    def _one(self, one: Ready) -> Finished:
        directory = RunDirectory(self._target.name, one.scenario.name)
        events = self._log(directory)
        events.note(f"scenario {one.scenario.name}: {one.scenario.title}")
        start_ns = int((events.start - events.booted) * 1e9)
        source = self._bed.directory.path if self._bed else directory.path
        piece = ConsolePiece(source, start_ns)
        for config in one.configs.values():
            (directory.path / config.file).write_bytes(config.data)
            (directory.path / config.file).with_suffix(".yaml").write_text(config.yaml)
        verdict = self._judge(one, directory, events)
        piece.end()
        events.verdict(verdict)
        self._write_manifest(one, directory)
        finished = Finished(one.scenario, verdict, directory.path)
        if self._bed is not None and self._bed.directory is directory:
            self._owner = (finished, piece)
        else:
            piece.write(directory.path)
            reports.write_all(directory.path)
            directory.finish()
        broken = verdict.outcome is not Outcome.PASS or one.scenario.leaves == "broken"
        if self._bed is not None and (broken or self._bed.broken):
            self._give_up_bed()
        return finished

    def _log(self, directory: RunDirectory) -> SharedLog:
        path = directory.path / "events.jsonl"
        if self._bed is not None:
            self._bed.events.go_on_in(path)
            return self._bed.events
        events = SharedLog(path)
        for observer in self._observers:
            events.observe(observer)
        return events

    def _judge(self, one: Ready, directory: RunDirectory, events: SharedLog) -> Verdict:
        """Whatever happens becomes a verdict."""
        try:
            bed = self._booted(one, directory, events)
            found = Attempt(bed, one, self._target, self._hypervisor.firmware, directory.path).run()
        except WrongUse:
            raise
        except HilError as error:
            where = self._bed.machine.session.where() if self._bed else "before the boot"
            outcome = error.outcome if error.outcome is not Outcome.TRAP else Outcome.FAIL
            return Verdict.of(outcome, f"{where}: {error}")
        except KeyboardInterrupt:
            return Verdict.interrupted(f"stopped by {self._interrupts.what}")
        except OSError as error:
            return Verdict.of(Outcome.INFRASTRUCTURE_ERROR, str(error))
        if not found:
            return Verdict.of(Outcome.PASS, f"reproduced: {one.scenario.title}")
        return Verdict.of(Outcome.FAIL, f"not reproduced: {'; '.join(found)}")

    def _booted(self, one: Ready, directory: RunDirectory, events: SharedLog) -> Bed:
        if self._bed is not None:
            return self._bed
        if self._failed_boots >= TOO_MANY:
            raise InfrastructureError(f"the last {TOO_MANY} boots failed, no further one is tried")
        options = replace(self._options, probe=one.scenario.name)
        machine = self._target
        plan = Plan(machine.root_config, machine.root_cell, shell_hint=machine.shell_hint, shell=options.shell)
        cells = places.build() / "cells" / machine.name
        self._bed = Bed(Prepared(options, machine, self._hypervisor, plan, cells), directory, events, self._live)
        self._interrupts.last_resort = self._bed.off
        self._failed_boots += 1
        self._bed.boot()
        self._failed_boots = 0
        return self._bed

    def _write_manifest(self, one: Ready, directory: RunDirectory) -> None:
        """The boot's manifest with what is this scenario's own."""
        manifest = self._bed.manifest() if self._bed else {}
        if not manifest:
            return
        manifest["bench"] = one.scenario.name
        manifest["started"] = directory.started.isoformat(timespec="milliseconds")
        hashes = {config.file: sha256(directory.path / config.file) for config in one.configs.values()}
        inmates = places.build() / "arm64/inmates"
        hashes |= {
            f"{c.inmate}.bin": sha256(inmates / f"{c.inmate}.bin") for c in one.scenario.cells.values() if c.inmate
        }
        kept = {key: value for key, value in manifest["config_hashes"].items() if not key.startswith("scenario-")}
        manifest["config_hashes"] = kept | hashes
        directory.write_manifest(manifest)

    def _give_up_bed(self) -> None:
        """Machine off; now the piece of the console that belongs to the boot's first scenario can be cut out."""
        if self._bed is None:
            return
        bed, self._bed = self._bed, None
        bed.off()
        bed.events.close()
        if self._owner is not None:
            finished, piece = self._owner
            self._owner = None
            piece.write(finished.path)
            reports.write_all(finished.path)
        bed.directory.finish()


class Attempt:
    """One scenario on a machine that runs: steps, what was seen, what still works."""

    def __init__(self, bed: Bed, one: Ready, machine: target.Target, firmware: Sequence[Path], path: Path) -> None:
        self._bed = bed
        self._firmware = firmware
        self._scenario = one.scenario
        self._configs = one.configs
        self._target = machine
        self._path = path
        self._steps = StepRunner(bed.machine, one.scenario, one.configs, machine.root_config)

    def run(self) -> list[str]:
        """The differences between what was expected and what was seen; empty: reproduced."""
        watch = self._bed.machine.lifecycle.watch
        try:
            watch.traps_end_waits = False
            watch.traps.clear()
            self._bed.bring_to(self._scenario.start)
            self._steps.deliver()
            self._damage_hypervisor()
            return self._carry_out()
        finally:
            self._steps.close()

    def _damage_hypervisor(self) -> None:
        if self._scenario.damage is None:
            return
        images = scenario_damage.damaged(self._firmware, self._scenario.damage)
        scenario_damage.deliver(self._bed.machine.lifecycle.root, images, DAMAGED)
        for image in images:
            where = ", ".join(hex(at) for at in image.offsets)
            self._bed.events.note(f"the hypervisor was damaged: {image.name} has undefined instructions at {where}")

    def _carry_out(self) -> list[str]:
        found = []
        try:
            for step in self._scenario.steps:
                self._steps.run(step)
        except NotAsExpected as difference:
            found.append(str(difference))
        except (TimeLimit, AgentLost) as lost:
            if not self._bed.machine.lifecycle.watch.traps:
                raise
            found.append(str(lost))
        found += self._compare(patient=not found)
        if not found:
            found += self._afterwards()
        return found

    def _compare(self, patient: bool) -> list[str]:
        """Waits until everything expected is there (or the time is up), then compares."""
        session = self._bed.machine.session
        watch = self._bed.machine.lifecycle.watch
        expect = self._scenario.expect
        with session.step("compare with what is expected", "run") as deadline:
            limit = session.limits.idle("settle") * min(MOST_STRETCHED, deadline.scale) if patient else 0.0
            while not self._settled() and deadline.elapsed < limit:
                watch.pause(0.1)
            self._let_finish(deadline)
            traps = self._explained()
            found = differences(expect, Seen(traps, self._steps.console, self._cells()))
        for trap in traps:
            self._bed.events.explained(trap)
        for line in found:
            self._bed.events.note(one_line(f"not as expected: {line}"))
        return found

    def _let_finish(self, deadline: Deadline) -> None:
        """Until the console has been quiet for a moment: a dump is whole then. Who talks on is not awaited."""
        watch = self._bed.machine.lifecycle.watch
        end = time.monotonic() + deadline.of("talk")
        while time.monotonic() < end and watch.console.silent_for() < deadline.of("report"):
            watch.text(0.05)

    def _settled(self) -> bool:
        """Whether, for one alternative, all that can be awaited is there: the traps' number, lines, states."""
        count = len(self._bed.machine.lifecycle.watch.traps)
        near = [replace(one, traps=()) for one in self._scenario.expect if len(one.traps) <= count]
        console = self._steps.console
        near = [one for one in near if not differences([replace(one, states={}, failed_cpus={})], Seen([], console))]
        return bool(near) and not differences(near, Seen([], console, self._cells()))

    def _cells(self) -> Mapping[str, CellSeen] | None:
        """The cells when an expectation asks for them and the root cell answers."""
        asked = any(one.states or one.failed_cpus for one in self._scenario.expect)
        return self._steps.ask_cells() if asked else None

    def _explained(self) -> list[dict[str, Any]]:
        """The traps of the whole text, as `hil explain` gives them with the scenario's own configs and programs."""
        if not self._bed.machine.lifecycle.watch.traps and not MENTION.search(self._steps.console):
            return []
        explainer = TrapExplainer()
        devices = self._target.directory / "devices.yaml"
        if devices.exists():
            explainer.add_machine(devices)
        configs = [self._path / c.file for c in self._configs.values() if c.intact]
        if SYSTEM not in self._configs:
            configs.append(self._target.directory / "cells" / f"{Path(self._target.root_config).stem}.yaml")
        for path in configs:
            try:
                explainer.add_config(path.with_suffix(".yaml"))
            except ValueError as error:
                self._bed.events.note(f"not used to explain: {one_line(str(error))}")
        inmates = {cell.inmate for cell in self._scenario.cells.values() if cell.inmate}
        if len(inmates) == 1:
            explainer.add_program(places.build() / "arm64/inmates" / f"{inmates.pop()}.elf")
        events = explainer.explain(self._steps.console.encode())["events"]
        return list(events)

    def _afterwards(self) -> list[str]:
        """What still works, and whether the next scenario can use the machine."""
        try:
            for step in self._scenario.after:
                self._steps.run(step)
            if self._scenario.leaves != "broken":
                self._bed.check_health(self._steps.ask_cells())
        except (Failed, TimeLimit, AgentLost) as error:
            if self._scenario.leaves != "either":
                return [f"afterwards: {error}"]
            self._bed.events.note(f"the machine is not used again: {one_line(str(error))}")
            self._bed.broken = True
        return []

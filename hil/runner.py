# SPDX-License-Identifier: Apache-2.0
"""A run from its options to its verdict: everything is put together here, and taken apart again whatever happens."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from hil import leftovers
from hil.errors import Flooded, HilError, InfrastructureError, WrongUse
from hil.event_log import EventLog, Observer
from hil.interrupt import Interrupts
from hil.lock import TargetLock
from hil.machine import Live, Machine
from hil.prepare import Prepared
from hil.run_directory import RunDirectory, writing
from hil.session import State
from hil.verdict import Outcome, Verdict


def judged(machine: Machine, work: Callable[[], None]) -> Verdict:
    """The verdict on `work`, which is done with the machine: pass when it comes to its end."""
    try:
        work()
        return Verdict.of(Outcome.PASS, machine.summary())
    except WrongUse:
        raise
    except Flooded as flood:
        return _flooded(machine, flood)
    except HilError as error:
        return Verdict.of(error.outcome, machine.reason(str(error), told=bool(error.hint)))
    except OSError as error:
        return Verdict.of(Outcome.INFRASTRUCTURE_ERROR, machine.reason(str(error)))


def _flooded(machine: Machine, flood: Flooded) -> Verdict:
    """A flood is stopped, and is the cells' fault unless the line itself floods."""
    what = f"{machine.session.where()}: {flood}"
    if machine.line_floods:
        return Verdict.of(Outcome.INFRASTRUCTURE_ERROR, f"{what}; --chaos itself floods the line: nobody is to blame")
    return Verdict.of(flood.outcome, f"{what}; {machine.lifecycle.stop_flood()}")


def load_ahead() -> None:
    """Imports what only the run's end needs, while the machine boots and nobody waits for it."""
    import hil.summary  # noqa: F401
    import reports

    reports.prepare()


def _report(directory: Path, verdict: Verdict) -> None:
    """Writes the reports. InfrastructureError, with the verdict they would have shown, when they cannot be written."""
    import reports

    try:
        with writing(directory):
            reports.write_all(directory)
    except InfrastructureError as error:
        known = f"the run itself ended with {verdict.outcome.value}: {verdict.reason}"
        raise InfrastructureError(f"{error}; {known}; `hil report {directory}` makes its reports") from error


@dataclass(frozen=True)
class Finished:
    """A run that has its verdict. `path` is the run directory."""

    verdict: Verdict
    path: Path


class Runner:
    """Carries out one prepared run. Observers see every event; `live` sees the console's text; while a person sits at
    the console, whatever else is on the terminal stands `aside`.
    """

    def __init__(
        self,
        prepared: Prepared,
        observers: Sequence[Observer],
        live: Live | None,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._prepared = prepared
        self._observers = observers
        self._live = live
        self._aside = aside
        self._interrupts = Interrupts()

    def run(self) -> Finished:
        """Runs to a verdict. Raises only when not even a run directory can be had."""
        options = self._prepared.options
        found = leftovers.clean()
        lock = TargetLock(self._prepared.target.name, f"hil run {options.probe}")
        with self._interrupts:
            try:
                lock.acquire(
                    options.wait, lambda holder: self._tell(f"waiting for the target: it is in use by {holder}")
                )
            except KeyboardInterrupt:
                self._tell(f"stopped by {self._interrupts.what} while it waited for the target")
                raise
            try:
                found += leftovers.clean()  # of the one that was waited for
                directory = RunDirectory(self._prepared.target.name, options.probe)
                return self._in_directory(directory, found)
            finally:
                lock.release()

    def _in_directory(self, directory: RunDirectory, found: list[str]) -> Finished:
        events = EventLog(directory.path / "events.jsonl")
        for observer in self._observers:
            events.observe(observer)
        for sentence in found:
            events.note(f"an earlier run was killed: {sentence}")
        threading.Thread(target=load_ahead, daemon=True, name="load ahead").start()
        try:
            verdict = self._judge(directory, events)
            if verdict.outcome is not Outcome.TRAP:
                events.verdict(verdict)
            events.close()
            _report(directory.path, verdict)
        finally:
            directory.finish()
        return Finished(verdict, directory.path)

    def _judge(self, directory: RunDirectory, events: EventLog) -> Verdict:
        """Whatever happens in the machine or to us becomes a verdict; the machine is off afterwards.

        A trap's verdict is in the log at once: switching a board off and explaining the trap take their time.
        """
        machine = Machine(self._prepared, directory, events, self._live)
        self._interrupts.last_resort = machine.off

        def work() -> None:
            machine.session.transition(self._before_keeping())
            if self._prepared.options.keep:
                with self._aside():
                    machine.keep()
            machine.session.transition(self._prepared.goal)

        try:
            verdict = judged(machine, work)
            if verdict.outcome is Outcome.TRAP:
                events.verdict(verdict)
            return verdict
        except WrongUse:
            raise
        except Exception as error:  # noqa: B902 - the run directory tells the truth about our mistakes too
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = (
                f"a mistake in hil itself, {Path(where.filename).name}:{where.lineno}: {type(error).__name__}: {error}"
            )
            events.note("".join(traceback.format_exception(error)))
            return Verdict.of(Outcome.INFRASTRUCTURE_ERROR, machine.reason(what))
        except KeyboardInterrupt:
            return Verdict.interrupted(machine.reason(f"stopped by {self._interrupts.what}"))
        finally:
            machine.off()
            machine.log_traps()

    def _before_keeping(self) -> State:
        """Where a machine that is kept is handed to the user: measured, with its cells still there."""
        goal = self._prepared.goal
        return State.COLLECTED if self._prepared.options.keep and goal is State.DISABLED else goal

    def _tell(self, note: str) -> None:
        """What a run has to say before it has a directory."""
        for observer in self._observers:
            observer({"t": 0.0, "event": "note", "text": note})

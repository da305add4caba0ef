# SPDX-License-Identifier: Apache-2.0
"""A job in a thread of its own, so that whoever needs its result can look at other things while it lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from hil.limits import Deadline

T = TypeVar("T")
TICK = 0.02
"""Seconds between two looks; the job's end needs none to be seen."""


class Background(Generic[T]):
    """Starts the job. What it raises comes out of result()."""

    def __init__(self, job: Callable[[], T], name: str) -> None:
        self._job = job
        self._result: list[T] = []
        self._failure: list[BaseException] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._body, daemon=True, name=name)
        self._thread.start()

    def _body(self) -> None:
        try:
            self._result.append(self._job())
        except BaseException as error:  # noqa: B036 - handed to the waiting thread
            self._failure.append(error)
        finally:
            self._done.set()

    @property
    def alive(self) -> bool:
        """Whether it is still under way."""
        return self._thread.is_alive()

    def over(self, seconds: float = TICK) -> bool:
        """Whether it has ended, or does within that time."""
        return self._done.wait(seconds)

    def join(self, seconds: float) -> None:
        """Waits for its thread to be gone."""
        self._thread.join(seconds)

    def result(self) -> T:
        """What the job gave, once it is over."""
        if self._failure:
            raise self._failure[0]
        return self._result[0]


def within(deadline: Deadline, job: Callable[[], T], name: str) -> T:
    """The job's result; TimeLimit when it takes too long. What it was doing then ends with the process."""
    work = Background(job, name)
    while not work.over():
        deadline.check()
    return work.result()

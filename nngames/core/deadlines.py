"""Deadlines: long computations look at the clock inside, and end by an error that their caller expects.

A deadline is an argument of what computes for one caller. What many callers share, such as certificates, looks at the
one of the run that it is a part of by ``look_ahead``: ``ends_within`` sets it, and ``ending`` tells it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")

_ending: ContextVar[float] = ContextVar("ending", default=math.inf)


class TimeUpError(Exception):
    """The deadline came before a computation ended; what it would have told is left open."""


def look(deadline: float) -> None:
    """Raise TimeUpError after ``deadline``, a moment of time.monotonic."""
    if time.monotonic() > deadline:
        raise TimeUpError("the time was up")


def ending() -> float:
    """Return the moment of time.monotonic by which the present run has to end; infinity where none was set."""
    return _ending.get()


class ends_within:
    """Lets what is computed inside end within so many seconds, whatever holds outside; None sets no end.

    A class, since every run enters it and a generator would take as long as some passes.
    """

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token = _ending.set(math.inf if self._seconds is None else time.monotonic() + self._seconds)

    def __exit__(self, *raised: object) -> None:
        _ending.reset(self._token)


def called_within(seconds: float | None, function: Callable[[], Result]) -> Result:
    """Return what the function does, which has to end within so many seconds; None sets no end.

    An end is set in a context of its own: Ctrl-C may come between that and what resets it.
    """
    return _called(seconds, function) if seconds is None else copy_context().run(_called, seconds, function)


def _called(seconds: float | None, function: Callable[[], Result]) -> Result:
    with ends_within(seconds):
        return function()


def look_ahead(seconds: float = 0.0) -> None:
    """Raise TimeUpError where the present run has to end within so many seconds."""
    end = _ending.get()
    if end < math.inf:
        look(end - seconds)


def postpone(seconds: float) -> None:
    """Move the end of the present run by so many seconds, which are not charged to it."""
    _ending.set(_ending.get() + seconds)


def watched(function: Callable[..., Any], deadline: float) -> Callable[..., Any]:
    """Return the function with a look at the deadline before each call, for methods that call it often."""

    def called(*arguments: Any) -> Any:
        look(deadline)
        return function(*arguments)

    return called

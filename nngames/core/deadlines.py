"""Deadlines: long computations look at the clock inside, and end by an error that their caller expects."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class TimeUpError(Exception):
    """The deadline came before a computation ended; what it would have told is left open."""


def look(deadline: float) -> None:
    """Raise TimeUpError after ``deadline``, a moment of time.monotonic."""
    if time.monotonic() > deadline:
        raise TimeUpError("the time was up")


def watched(function: Callable[..., Any], deadline: float) -> Callable[..., Any]:
    """Return the function with a look at the deadline before each call, for methods that call it often."""

    def called(*arguments: Any) -> Any:
        look(deadline)
        return function(*arguments)

    return called

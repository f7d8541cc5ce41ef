"""The numbers and switches among a solver's options: read as floats and integers of Python, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nngames.core.errors import OptionError, as_float, is_real, written


def number_that(owner: str, name: str, value: object, must: str, holds: Callable[[float], bool]) -> float:
    """Return a finite real number of Python or NumPy as a float.

    Parameters
    ----------
    owner, name : str
        The method and its option, for the error.
    value : object
    must : str
        What the option must be, as in "be a positive number".
    holds : callable
        Whether a float is that.

    Raises
    ------
    OptionError
        If ``value`` is no such number, is too large for a float, or ``holds`` denies it.
    """
    if is_real(value):
        number = as_float(value)
        if math.isfinite(number) and holds(number):
            return number
    raise OptionError(f"{owner}: {name} must {must}; got {written(value)}")


def positive_number(owner: str, name: str, value: object) -> float:
    """Return ``value`` as a float, or raise OptionError unless it is a positive number."""
    return number_that(owner, name, value, "be a positive number", lambda number: number > 0)


def share(owner: str, name: str, value: object) -> float:
    """Return ``value`` as a float, or raise OptionError unless it lies in (0, 1]."""
    return number_that(owner, name, value, "lie in (0, 1]", lambda number: 0 < number <= 1)


def nonnegative_integer(owner: str, name: str, value: object) -> int:
    """Return ``value`` as an integer of Python, or raise OptionError unless it is a nonnegative integer."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise OptionError(f"{owner}: {name} must be a nonnegative integer; got {written(value)}")
    return int(value)


def integer_from(owner: str, name: str, value: object, least: int) -> int:
    """Return ``value`` as an integer of Python, or raise OptionError unless it is one of at least ``least``."""
    number = nonnegative_integer(owner, name, value)
    if number < least:
        raise OptionError(f"{owner}: {name} must be at least {least}; got {number}")
    return number


def check_switch(owner: str, name: str, value: object) -> None:
    """Raise OptionError unless ``value`` is true or false."""
    if not isinstance(value, bool):
        raise OptionError(f"{owner}: {name} must be true or false; got {written(value)}")

"""Checks of activation parameters: each returns the value in stored form or raises OptionError naming the parameter.

Stored forms are floats and nested tuples of floats, so that activations stay frozen, hashable and comparable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from nngames.core.errors import OptionError
from nngames.core.profiles import is_masked

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


def refusal(owner: Any, parameter: str, problem: str) -> OptionError:
    """Return the error for a parameter of an activation that has a wrong value."""
    return OptionError(f"activation {owner.name!r}: {parameter} {problem}")


def store(owner: Any, **values: Any) -> None:
    """Set checked parameters on a frozen activation; only for use in ``__post_init__``."""
    for name, value in values.items():
        object.__setattr__(owner, name, value)


def number(owner: Any, parameter: str, *, positive: bool = False) -> float:
    """Return a parameter as a finite float.

    Raises
    ------
    OptionError
        If it is not a finite number, or not positive where it must be.
    """
    value = getattr(owner, parameter)
    valid = "a positive number" if positive else "a finite number"
    if isinstance(value, str | Mapping | Sequence) or np.ndim(value) != 0 or np.asarray(value).dtype.kind in "bc":
        raise refusal(owner, parameter, f"must be {valid}; got {value!r}")
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise refusal(owner, parameter, f"must be {valid}; got {value!r}") from None
    if not math.isfinite(result) or (positive and not result > 0):
        raise refusal(owner, parameter, f"must be {valid}; got {result!r}")
    return result + 0.0  # -0.0 becomes 0.0


def vector(owner: Any, parameter: str) -> Vector:
    """Return a parameter as a nonempty tuple of finite floats.

    Raises
    ------
    OptionError
        If it is not a nonempty list of finite numbers.
    """
    array = _array(owner, parameter, "a list of finite numbers", finite=True)
    if array.ndim != 1 or array.size == 0:
        raise refusal(owner, parameter, f"must be a nonempty list of finite numbers; got shape {array.shape}")
    return tuple(array.tolist())


def scalar_or_vector(owner: Any, parameter: str, *, finite: bool = True) -> float | Vector:
    """Return a parameter as a float or as a nonempty tuple of floats, without NaN.

    Raises
    ------
    OptionError
        If it is neither a number nor a nonempty list of numbers.
    """
    valid = "a number or a nonempty list of numbers"
    array = _array(owner, parameter, valid, finite=finite)
    if array.ndim == 0:
        return float(array)
    if array.ndim != 1 or array.size == 0:
        raise refusal(owner, parameter, f"must be {valid}; got shape {array.shape}")
    return tuple(array.tolist())


def matrix(owner: Any, parameter: str) -> Matrix:
    """Return a parameter as a nonempty tuple of rows of finite floats.

    Raises
    ------
    OptionError
        If it is not a nonempty matrix of finite numbers.
    """
    array = _array(owner, parameter, "a matrix of finite numbers", finite=True)
    if array.ndim != 2 or array.size == 0:
        raise refusal(owner, parameter, f"must be a nonempty matrix of finite numbers; got shape {array.shape}")
    return tuple(tuple(row) for row in array.tolist())


def _array(owner: Any, parameter: str, valid: str, *, finite: bool) -> Any:
    value = getattr(owner, parameter)
    try:
        array = np.asarray(value)
        if is_masked(value) or array.dtype.kind not in "iufO" or _has_other_entries(value, array):
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise refusal(owner, parameter, f"must be {valid}; got {value!r}") from None
    bad = ~np.isfinite(array) if finite else np.isnan(array)
    if bad.any():
        where = list(np.argwhere(bad)[0].tolist())
        place = f"{parameter}{where}" if where else parameter
        raise refusal(owner, place, f"must be {'finite' if finite else 'a number'}; got {array[tuple(where)]}")
    return array


def _has_other_entries(value: Any, array: Any) -> bool:
    """Return whether a list holds what is no real number; beside numbers NumPy takes True for 1."""
    if isinstance(value, np.ndarray) and array.dtype.kind != "O":
        return False
    return not all(_is_real(t) for t in np.array(value, dtype=object).ravel())


def _is_real(value: Any) -> bool:
    """Return whether a value is a number, not True or False, or an array without axes that holds one."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_)

"""The numbers of a finite game: floats, or integers over one common denominator, on which sums and signs are exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nngames.core.errors import InputError, ShapeError
from nngames.core.profiles import refuse_masked

#: Floats above this in size are refused: differences and sums of them would leave the range.
LARGEST = 1e300
#: Sums of at most eight integers below this stay inside 64 bits.
_WORD = 1 << 59


@dataclass(frozen=True, eq=False)
class Numbers:
    """An array of numbers.

    Attributes
    ----------
    values : ndarray
        float64, or integers: int64 where sums of eight fit, else Python's in an object array.
    denominator : int or None
        What divides the integers; None for floats.
    """

    values: NDArray[Any]
    denominator: int | None

    @property
    def exact(self) -> bool:
        """Whether the numbers are given as rationals."""
        return self.denominator is not None

    def rationals(self) -> Numbers:
        """Return the numbers as integers over a denominator; floats are the rationals that they equal."""
        return (
            self
            if self.exact
            else _over_common_denominator([Fraction(x) for x in self.values.ravel().tolist()], self.values.shape)
        )

    def floats(self) -> NDArray[np.float64]:
        """Return the nearest floats.

        Raises
        ------
        InputError
            If a number lies outside their range.
        """
        if self.denominator is None:
            return self.values
        if self.denominator == 1 and self.values.dtype != object:
            return self.values.astype(np.float64)
        try:
            flat = [int(x) / self.denominator for x in self.values.ravel().tolist()]
        except OverflowError:
            flat = [np.inf]
        if max(map(abs, flat), default=0.0) > LARGEST:
            raise InputError(f"a number lies outside the range that is computed with in floats, {LARGEST:g}")
        return np.array(flat, dtype=np.float64).reshape(self.values.shape)

    def fractions(self) -> NDArray[Any]:
        """Return the exact values of the numbers, Fractions in an object array."""
        fractions: NDArray[Any] = np.empty(self.values.size, dtype=object)
        fractions[:] = [Fraction(self.number(x)) for x in self.values.ravel().tolist()]
        return fractions.reshape(self.values.shape)

    def number(self, value: Any) -> float | Fraction:
        """Return one of ``values``, or a sum of them, as the number that it stands for."""
        return float(value) if self.denominator is None else Fraction(int(value), self.denominator)

    def negative(self) -> Numbers:
        """Return the numbers with the other sign."""
        return Numbers(self.values * -1 + 0, self.denominator)


def as_numbers(given: Any, what: str) -> Numbers:
    """Return numbers from an array, nested lists, or an object array of ints, Fractions and Decimals.

    Floating data give floats; integers and fractions give rationals, in which a float counts as the rational it is.

    Raises
    ------
    InputError
        If an entry is not a finite number.
    ShapeError
        If nested lists are ragged.
    """
    refuse_masked(given, what)
    try:
        array = np.asarray(given)
    except ValueError:
        raise ShapeError(f"{what} must form one array: its rows have different lengths") from None
    if array.dtype.kind in "iu" and array.dtype != np.uint64:
        return _compact(array.astype(np.int64), 1)
    if array.dtype.kind == "f":
        floats = array.astype(np.float64)
        if not np.isfinite(floats).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(floats))[0])
            raise InputError(f"{what} must be finite; got {array[at]} at {at}")
        if np.abs(floats).max(initial=0.0) > LARGEST:
            raise InputError(f"{what} must be at most {LARGEST:g} in size: divide them by a number, or give integers")
        return Numbers(floats, None)
    if array.dtype.kind not in "Ou":
        raise InputError(f"{what} must be numbers; got an array of {array.dtype}")
    return _over_common_denominator([_fraction(x, what) for x in array.ravel().tolist()], array.shape)


def _fraction(value: Any, what: str) -> Fraction:
    if isinstance(value, int | float | Fraction | Decimal) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, OverflowError):
            pass
    raise InputError(f"{what} must be finite numbers; got {value!r}")


def _over_common_denominator(fractions: list[Fraction], shape: tuple[int, ...]) -> Numbers:
    denominator = lcm(*{x.denominator for x in fractions}) if fractions else 1
    integers = np.empty(len(fractions), dtype=object)
    integers[:] = [x.numerator * (denominator // x.denominator) for x in fractions]
    return _compact(integers.reshape(shape), denominator)


def _compact(integers: NDArray[Any], denominator: int) -> Numbers:
    if integers.size == 0 or (int(integers.max()) < _WORD and int(integers.min()) > -_WORD):
        return Numbers(integers.astype(np.int64), denominator)
    return Numbers(integers.astype(object), denominator)

"""Relaxations: the sequences lambda_t of the averaged feed and of the Krasnoselskii-Mann scheme."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.core.errors import OptionError, as_float, is_real, unknown_option, written
from nngames.core.verdicts import Decision, Verdict


class Relaxation(ABC):
    """A sequence lambda_0, lambda_1, ... of nonnegative relaxation parameters."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return lambda_step."""

    @abstractmethod
    def satisfies(self, averagedness: float) -> bool | None:
        """Decide lambda_t in (0, 1/gamma] with sum lambda_t (1 - gamma lambda_t) = infinity; None if unknown."""

    def condition(self, averagedness: float | None) -> Verdict:
        """Decide the Krasnoselskii-Mann condition for a gamma-averaged map; gamma None means unknown."""
        what = f"lambda_t in (0, 1/gamma] and sum lambda_t (1 - gamma lambda_t) = infinity, {self}"
        if averagedness is None:
            return Verdict(Decision.UNDECIDED, f"{what}: no averagedness constant is known for the map", "none")
        holds = self.satisfies(averagedness)
        status = {True: Decision.PROVED, False: Decision.REFUTED, None: Decision.UNDECIDED}[holds]
        return Verdict(
            status,
            f"{what}, gamma = {averagedness:.6g}",
            "closed form of the sequence" if holds is not None else "a finite or user-defined sequence decides nothing",
            witness={"averagedness": averagedness},
            references=("bauschke2017",),
        )


@dataclass(frozen=True)
class Constant(Relaxation):
    """lambda_t = value for every t."""

    value: float

    def __call__(self, step: int) -> float:
        """Return the value."""
        return self.value

    def satisfies(self, averagedness: float) -> bool:
        """Decide 0 < value < 1/gamma; for a constant the sum then diverges."""
        return self.value > 0 and averagedness * self.value < 1

    def __str__(self) -> str:
        return f"constant relaxation {self.value:g}"


@dataclass(frozen=True)
class Diminishing(Relaxation):
    """lambda_t = initial / (t + 1)^power."""

    initial: float = 1.0
    power: float = 1.0

    def __call__(self, step: int) -> float:
        """Return initial / (step + 1)^power."""
        try:
            return self.initial / (step + 1) ** self.power
        except OverflowError:
            # The power is beyond the floats, so the quotient is below the smallest of them.
            return 0.0

    def satisfies(self, averagedness: float) -> bool:
        """Decide the condition: the first term must be at most 1/gamma, and the power at most 1; below 1/gamma if 0."""
        if self.power == 0:
            return self.initial > 0 and averagedness * self.initial < 1
        return self.initial > 0 and _at_most_one(averagedness, self.initial) and self.power <= 1

    def __str__(self) -> str:
        return f"diminishing relaxation {self.initial:g}/(t+1)^{self.power:g}"


@dataclass(frozen=True, eq=False)
class Given(Relaxation):
    """A sequence that the user gives: values for the first steps (the last one is repeated), or a function of t."""

    values: tuple[float, ...] | Callable[[int], float]

    def __call__(self, step: int) -> float:
        """Return the value for ``step``.

        Raises
        ------
        OptionError
            If a user's function returns something that is not a finite nonnegative number.
        """
        if callable(self.values):
            return _nonnegative(self.values(step), f"the relaxation at step {step}")
        return self.values[min(step, len(self.values) - 1)]

    def satisfies(self, averagedness: float) -> bool | None:
        """Decide the condition for a finite list, whose last value repeats; None for a function."""
        if callable(self.values):
            return None
        # Finitely many values do not change the divergence, but each must lie in the range.
        inside = all(value > 0 and _at_most_one(averagedness, value) for value in self.values)
        return inside and averagedness * self.values[-1] < 1

    def __str__(self) -> str:
        return "user-given relaxation"


def _at_most_one(averagedness: float, value: float) -> bool:
    """Decide gamma value <= 1 exactly: a product that rounds to 1 may be larger."""
    return Fraction(averagedness) * Fraction(value) <= 1


def as_relaxation(value: Any) -> Relaxation:
    """Return the relaxation that ``value`` describes.

    Parameters
    ----------
    value : float, "diminishing", mapping, sequence, callable or Relaxation
        A constant; 1/(t+1); ``{"initial": a, "power": p}`` for a/(t+1)^p; the first values; a function of t.

    Raises
    ------
    OptionError
        If it describes none, or a value is negative or not finite.
    """
    if isinstance(value, Relaxation):
        return value
    if isinstance(value, str):
        if value == "diminishing":
            return Diminishing()
        raise OptionError(f"relaxation {value!r} is unknown; valid: a number, 'diminishing', a mapping, a list")
    if isinstance(value, Mapping):
        for key in value:
            if key not in ("initial", "power"):
                raise unknown_option("a diminishing relaxation", str(key), ("initial", "power"))
        return Diminishing(
            _nonnegative(value.get("initial", 1.0), "relaxation initial"),
            _nonnegative(value.get("power", 1.0), "relaxation power"),
        )
    if callable(value):
        return Given(value)
    # Bytes are sequences of integers, but no one's relaxations.
    listed = isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview)
    if listed or (isinstance(value, np.ndarray) and value.ndim):
        if len(value) == 0:
            raise OptionError("relaxation is an empty list; give at least one value")
        return Given(tuple(_nonnegative(v, f"relaxation[{i}]") for i, v in enumerate(value)))
    return Constant(_nonnegative(value, "relaxation"))


def _nonnegative(value: Any, what: str) -> float:
    if not is_real(value):
        raise OptionError(f"{what} must be a nonnegative number; got {written(value)}")
    number = as_float(value)
    if not math.isfinite(number) or number < 0:
        raise OptionError(f"{what} must be finite and nonnegative; got {written(value)}")
    return number

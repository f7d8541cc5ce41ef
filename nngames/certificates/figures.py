"""Figures: exact products of bounds, floats rounded outwards, and numbers as a verdict's statement shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from fractions import Fraction


def product(values: Iterable[Fraction | float]) -> Fraction | float:
    """Return the exact product of nonnegative numbers; inf where a factor is infinite and none is zero."""
    total, infinite = Fraction(1), False
    for value in values:
        if isinstance(value, float) and math.isinf(value):  # a Fraction may be beyond the floats
            infinite = True
        else:
            total *= Fraction(value)
    return math.inf if infinite and total != 0 else total


def round_up(value: Fraction | float) -> float:
    """Return the smallest float that is not below ``value``."""
    try:
        nearest = float(value)
    except OverflowError:
        return math.inf
    return nearest if nearest >= value else math.nextafter(nearest, math.inf)


def round_down(value: Fraction | float) -> float:
    """Return the largest float that is not above a nonnegative ``value``."""
    up = round_up(value)
    return up if up == value else math.nextafter(up, 0.0)


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction of smallest denominator in [low, high], 0 <= low <= high."""
    whole = low.numerator // low.denominator
    if whole == low or whole + 1 <= high:
        return Fraction(whole if whole == low else whole + 1)
    return whole + 1 / simplest_between(1 / (high - whole), 1 / (low - whole))


def floored(value: Fraction | float, digits: int = 3) -> str:
    """Return so many digits of a nonnegative finite number, rounded down."""
    return _outwards(value, digits, ROUND_DOWN)


def raised(value: Fraction | float, digits: int = 3) -> str:
    """Return so many digits of a nonnegative finite number, rounded up."""
    return _outwards(value, digits, ROUND_UP)


def _outwards(value: Fraction | float, digits: int, rounding: str) -> str:
    exact = Fraction(value)
    number = Context(prec=digits, rounding=rounding).divide(Decimal(exact.numerator), Decimal(exact.denominator))
    if 1e-300 < abs(number) < 1e300 or number == 0:
        return f"{float(number):.{digits}g}"
    return f"{number:.{digits - 1}e}"


def bound_reaches_one(bound: float) -> str:
    """Return what would change a proof by a bound below 1."""
    return f"larger weights or slopes; this proof holds until the bound, {shown(bound)} now, reaches 1"


def radius_reaches_one(radius: float) -> str:
    """Return what would change a proof by a spectral radius below 1, which only what is on circuits adds to."""
    return (
        "larger weights or slopes around a circuit of couplings; this proof holds until the spectral radius, at most "
        f"{shown(radius)} now, reaches 1"
    )


def bound_below_one(bound: float) -> str:
    """Return what would decide where a bound is not below 1, which is only sufficient."""
    return f"a sharper bound, or smaller weights or slopes that bring this one, {shown(bound)} now, below 1"


def error_factor(factor: float) -> float:
    """Return 1/(1 - q), rounded up: |x - x*| <= |R(x) - x| / (1 - q) where R contracts by q < 1 to x*."""
    return round_up(1 / (1 - Fraction(factor)))


def shown(value: float) -> str:
    """Return ``value`` for a statement: six digits, and its distance to 1 where six digits would hide it."""
    if value != 1 and abs(value - 1) < 1e-5:
        return f"1 {'-' if value < 1 else '+'} {abs(value - 1):.2e}"
    return f"{value:.6g}"

"""Arithmetic shared by the exact and ball forms: the same code for flint's rationals (fmpq) and balls (arb)."""

from __future__ import annotations

from typing import Any

FlintNumber = Any


def ball(value: FlintNumber) -> Any:
    """Return a flint number as a ball."""
    from flint import arb

    return value if isinstance(value, arb) else arb(value)


def is_rational(value: FlintNumber) -> bool:
    """Return whether a flint number is rational and not a ball."""
    from flint import arb

    return not isinstance(value, arb)


def larger(a: FlintNumber, b: FlintNumber) -> FlintNumber:
    """Return max(a, b), exactly for rationals."""
    if is_rational(a) and is_rational(b):
        return max(a, b)
    return ball(a).max(ball(b))


def smaller(a: FlintNumber, b: FlintNumber) -> FlintNumber:
    """Return min(a, b), exactly for rationals."""
    return -larger(-a, -b)


def square(value: FlintNumber) -> FlintNumber:
    """Return value^2; for a ball, without losing that squares are nonnegative.

    Flint's own power of a ball around 0 exactly is not a number.
    """
    if is_rational(value) or not value.contains(0):
        return value * value
    low, high = value.abs_lower(), value.abs_upper()
    return (low * low).union(high * high)


def half_square(value: FlintNumber) -> FlintNumber:
    """Return value^2/2, as ``square`` does."""
    return square(value) / 2


def entropy_term(value: FlintNumber) -> Any:
    """Return t log t as a ball, for t >= 0; the part of a ball below 0 is ignored.

    t log t decreases on [0, 1/e], so that on [0, b] with b < 1/e its range is [b log b, 0].
    """
    from flint import arb

    t = ball(value)
    if t == 0:
        return arb(0)
    if not t.contains(0):
        return t * t.log()
    top = t.upper()
    if not top < arb(1).exp() ** -1:
        return arb("nan")
    return (top * top.log()).lower().union(arb(0))


def nonnegative_root(value: FlintNumber) -> Any:
    """Return the root of a number that is not negative, as a ball; the part of a ball below 0 is ignored."""
    square = ball(value)
    if not square.contains(0):
        return square.sqrt()
    return square.upper().sqrt().upper().union(0 * square.mid())


def rational_midpoint(value: Any) -> Any:
    """Return the midpoint of a ball as a rational."""
    from flint import fmpq

    mantissa, exponent = value.mid().man_exp()
    return fmpq(mantissa) * fmpq(2) ** int(exponent)

"""The pessimistic value of a leader with one number: the followers give the worst of their answers for it.

For each commitment z the followers' answers are finitely many where every pattern is a curve over z; the leader's
cost on each is quadratic in z. Between consecutive ends of the patterns' intervals the same patterns are available, and
the infimum of the largest of their costs is at an end, at a vertex of one, or where two cross.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from math import inf, isqrt

from nngames.checks.leading.patterns import Reaction
from nngames.core.exact import fraction

#: Bits to which irrational crossings are computed.
_BITS = 100


@dataclass(frozen=True)
class _Curve:
    """The leader's cost a z^2 + b z + c for low <= z <= high, None for no end."""

    low: Fraction | None
    high: Fraction | None
    a: Fraction
    b: Fraction
    c: Fraction

    def __call__(self, z: Fraction) -> Fraction:
        return (self.a * z + self.b) * z + self.c


def pessimistic_value(reactions: Sequence[Reaction], place: int, deadline: float = inf) -> Fraction | None:
    """Return the infimum over commitments of the largest cost of an answer; None where it is not computed.

    Parameters
    ----------
    reactions : sequence of Reaction
        All patterns.
    place : int
        Where the leader's number stands in a profile.
    deadline : float
        By time.monotonic, after which it is not computed.

    Notes
    -----
    It is exact but where two costs cross at an irrational commitment, which is then taken to 100 bits. None if answers
    form a continuum at some commitment, or the infimum is minus infinity.
    """
    curves = []
    for reaction in reactions:
        curve = _curve(reaction, place)
        if curve is None:
            return None
        curves.append(curve)
    ends = sorted({end for curve in curves for end in (curve.low, curve.high) if end is not None})
    values = []
    for z in ends:
        values.append(max(curve(z) for curve in curves if _covers(curve, z, z)))
    for low, high in pairwise([None, *ends, None]):
        if time.monotonic() > deadline:
            return None
        available = [curve for curve in curves if _covers(curve, low, high)]
        if available:
            if any(_falls(available, upwards) for upwards, end in ((False, low), (True, high)) if end is None):
                return None
            inside = [z for z in _candidates(available, low, high) if _within(z, low, high)]
            values.append(min(max(curve(z) for curve in available) for z in inside))
    return min(values, default=None)


def _curve(reaction: Reaction, place: int) -> _Curve | None:
    """Return a pattern's cost as a function of the commitment; None for a continuum of answers."""
    zero = Fraction(0)
    start = fraction(reaction.origin[place])
    if not reaction.basis:
        return _Curve(start, start, zero, zero, fraction(reaction.cost.constant))
    if len(reaction.basis) > 1 or reaction.basis[0][place] == 0:
        return None
    rate = fraction(reaction.basis[0][place])
    low: Fraction | None = None
    high: Fraction | None = None
    for (g,), h in reaction.rows:
        slope = fraction(g) / rate
        end = start + fraction(h) / slope
        if slope > 0:
            high = end if high is None else min(high, end)
        else:
            low = end if low is None else max(low, end)
    # With t = (z - start)/rate.
    a, b = fraction(reaction.cost.hessian[0, 0]) / (2 * rate**2), fraction(reaction.cost.gradient[0]) / rate
    return _Curve(low, high, a, b - 2 * a * start, (a * start - b) * start + fraction(reaction.cost.constant))


def _covers(curve: _Curve, low: Fraction | None, high: Fraction | None) -> bool:
    below = curve.low is None or (low is not None and curve.low <= low)
    return below and (curve.high is None or (high is not None and curve.high >= high))


def _within(z: Fraction, low: Fraction | None, high: Fraction | None) -> bool:
    return (low is None or z >= low) and (high is None or z <= high)


def _falls(curves: Sequence[_Curve], upwards: bool) -> bool:
    """Whether every cost falls without bound towards infinity."""
    sign = 1 if upwards else -1
    return all(curve.a < 0 or (curve.a == 0 and curve.b * sign < 0) for curve in curves)


def _candidates(curves: Sequence[_Curve], low: Fraction | None, high: Fraction | None) -> Iterator[Fraction]:
    yield from (end for end in (low, high) if end is not None)
    yield from (-curve.b / (2 * curve.a) for curve in curves if curve.a != 0)
    if low is None and high is None:
        yield Fraction(0)
    for first, second in combinations(curves, 2):
        yield from _roots(first.a - second.a, first.b - second.b, first.c - second.c)


def _roots(a: Fraction, b: Fraction, c: Fraction) -> Iterator[Fraction]:
    """Yield the roots of a z^2 + b z + c: exactly where they are rational, else to ``_BITS`` bits."""
    if a == 0:
        if b != 0:
            yield -c / b
        return
    inside = b * b - 4 * a * c
    if inside < 0:
        return
    numerator, denominator = inside.numerator * inside.denominator, inside.denominator
    exact = isqrt(numerator)
    root = Fraction(exact, denominator)
    if exact * exact != numerator:
        root = Fraction(isqrt(numerator << (2 * _BITS)), denominator << _BITS)
    yield from ((-b + sign * root) / (2 * a) for sign in (1, -1))

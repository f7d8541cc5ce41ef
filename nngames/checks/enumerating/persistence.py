"""How far the biases may change until an isolated equilibrium of a piecewise linear game may vanish."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from nngames.core.exact import fraction, nearest_float, rational
from nngames.results.equilibria import ExactPoint
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: It is computed up to this size, and for so many equilibria: each takes the inverse of a rational matrix.
MOST_SIZE, MOST_POINTS = 40, 64


def bias_margin(
    equation: PiecewiseEquation,
    weight: Sequence[Sequence[Any]],
    bias: Sequence[Any],
    points: Sequence[ExactPoint],
    deadline: float,
) -> float | None:
    """Return a number so that each of the isolated equilibria stays, moved, where every bias changes by less; 0 where
    one lies at a kink. None if there is no such number, it takes too long, or no float is as small.

    Notes
    -----
    v = W(D v + c) + b, with D and c of the pieces that hold, moves by (I - W D)^-1 times the change of b, and solves
    the equation as long as no v_i leaves its piece. So the number is the least, over i, of the distance of v_i to the
    ends of its piece over the sum of the absolute values of row i of the inverse.
    """
    if not points or len(points) > MOST_POINTS or equation.size > MOST_SIZE:
        return None
    margins = []
    for point in points:
        if time.monotonic() > deadline:
            return None
        margins.append(_of_point(equation, weight, bias, point))
    ends = [margin for margin in margins if margin is not None]
    if not ends:
        return None
    least = fraction(min(ends))
    found = nearest_float(least)
    # Of hundreds of digits, rounded to a float that is not larger.
    found = found if found <= least else math.nextafter(found, 0.0)
    return found if found or not least else None


def _of_point(
    equation: PiecewiseEquation, weight: Sequence[Sequence[Any]], bias: Sequence[Any], point: ExactPoint
) -> Any | None:
    from flint import fmpq_mat

    n, zero, x = equation.size, rational(0.0), [rational(entry) for entry in point]
    slopes, room = [], []
    for i, pieces in enumerate(equation.pieces):
        v = bias[i] + sum((w * y for w, y in zip(weight[i], x, strict=True)), zero)
        k = sum(1 for end in pieces.breaks if end < v)
        slopes.append(pieces.slopes[k])
        room.append(min((abs(v - end) for end in pieces.breaks), default=None))
    if any(distance == 0 for distance in room):
        return zero
    entries = [rational(float(i == j)) - weight[i][j] * slopes[j] for i in range(n) for j in range(n)]
    inverse = fmpq_mat(n, n, entries).inv()
    reaches = [sum((abs(inverse[i, j]) for j in range(n)), zero) for i in range(n)]
    # Without kinks there is no end to it.
    found = [distance / reach for distance, reach in zip(room, reaches, strict=True) if distance is not None]
    return min(found, default=None)

"""The dual active-set method in exact rational arithmetic: projections on polyhedra that need no tolerance.

No activation is registered here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Rational = Any


def project_exactly(
    rows: Sequence[Sequence[Rational]], offsets: Sequence[Rational], v: Sequence[Rational]
) -> tuple[list[Rational], list[Rational]] | None:
    """Return the projection of v on {z: <row, z> <= offset for each row} with its multipliers; None if no z is there.

    Parameters
    ----------
    rows, offsets, v : sequences of flint.fmpq
        No row may be zero.

    Notes
    -----
    Goldfarb and Idnani's method (1983) for the unit Hessian. The multipliers y of a set of independent active rows stay
    nonnegative, and z = v - A'y is the projection on the rows treated so far. A violated row a enters along the part of
    a across the active rows; a multiplier that reaches 0 on the way leaves. If neither happens, a is a nonnegative
    combination of rows that contradicts them: the set is empty. Each full step raises the distance from v, so no active
    set returns.
    """
    p, y = list(v), [0 * offsets[0]] * len(rows) if rows else []
    lengths = [sum(a * a for a in row) for row in rows]
    active: list[int] = []
    while True:
        excess = [_inner(row, p) - b for row, b in zip(rows, offsets, strict=True)]
        worst = max(range(len(rows)), key=lambda i: excess[i] * abs(excess[i]) / lengths[i], default=None)
        if worst is None or excess[worst] <= 0:
            return p, y
        entering, left = rows[worst], excess[worst]
        while left > 0:
            across, along = _split(entering, [rows[i] for i in active])
            square = _inner(across, entering)
            blocking = [(y[i] / r, i) for i, r in zip(active, along, strict=True) if r > 0]
            if square == 0 and not blocking:
                return None
            step, leaving = min(blocking) if blocking else (None, None)
            if square > 0 and (step is None or left / square <= step):
                step, leaving = left / square, None
            p = [t - step * d for t, d in zip(p, across, strict=True)]
            for i, r in zip(active, along, strict=True):
                y[i] = y[i] - step * r
            y[worst] = y[worst] + step
            left = left - step * square
            if leaving is None:
                active.append(worst)
                break
            active.remove(leaving)


def _inner(a: Sequence[Rational], b: Sequence[Rational]) -> Rational:
    return sum(s * t for s, t in zip(a, b, strict=True))


def _split(a: Sequence[Rational], rows: list[Sequence[Rational]]) -> tuple[list[Rational], list[Rational]]:
    """Return the part of a across independent rows, and the coefficients of the rest in them."""
    from flint import fmpq_mat

    if not rows:
        return list(a), []
    m, n = len(rows), len(a)
    matrix = fmpq_mat(m, n, [entry for row in rows for entry in row])
    along = (matrix * matrix.transpose()).solve(matrix * fmpq_mat(n, 1, list(a)))
    rest = matrix.transpose() * along
    return [t - rest[i, 0] for i, t in enumerate(a)], [along[i, 0] for i in range(m)]

"""Proofs that linear inequalities have no solution: Farkas multipliers, found in floats and confirmed in rationals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from nngames.core.exact import rational, row_echelon
from nngames.core.profiles import Array

#: A row g, h stands for g x <= h, in rationals of flint.
Row = tuple[Sequence[Any], Any]
#: Multipliers below this share of the largest are taken as none, and a violation below it as none.
_NONE = 1e-10


def in_floats(row: Row) -> tuple[Array, float]:
    """Return a row in floats, scaled to largest entry 1; the scale is lost, which multipliers do not need."""
    entries = np.array([as_float(entry) for entry in row[0]])
    largest = float(np.abs(entries).max(initial=0.0)) or 1.0
    return entries / largest, as_float(row[1]) / largest


def as_float(value: Any) -> float:
    """Return the float nearest to a flint rational, an infinity where that overflows."""
    try:
        return int(value.p) / int(value.q)
    except OverflowError:
        return inf if value > 0 else -inf


def separate(
    rows: Sequence[Row], floats: Sequence[tuple[Array, float]], deadline: float = inf
) -> tuple[bool, Array | None]:
    """Decide whether rows are proved to have no common solution.

    Parameters
    ----------
    rows : sequence of Row
    floats : sequence
        The same in floats, as ``in_floats`` returns them.
    deadline : float
        By time.monotonic, after which nothing is decided.

    Returns
    -------
    proved : bool
        Whether multipliers y >= 0 with y'G = 0 and y'h < 0 were found and confirmed exactly.
    point : ndarray (n,) or None
        A point that satisfies the rows in floating point; None where there seems to be none.

    Notes
    -----
    The linear program min t subject to G x - t <= h, t >= 0 has the dual max -y'h over such y with sum y <= 1. The
    support of its float solution determines y exactly: y'G = 0 and sum y = 1 are solved there in rationals.
    """
    matrix = np.array([g for g, _ in floats])
    bounds = np.array([h for _, h in floats])
    found = multipliers(matrix, bounds, deadline=deadline)
    if found is None:
        return False, None
    if found.point is not None:
        return False, found.point
    support = np.flatnonzero(found.rows).tolist()
    return confirmed([rows[i] for i in support], found.rows[support]), None


@dataclass(frozen=True, eq=False)
class Multipliers:
    """What a linear program tells of rows and bounds in floating point.

    Attributes
    ----------
    point : ndarray (n,) or None
        One that satisfies them; then there are no multipliers.
    rows, lower, upper : ndarray
        Nonnegative multipliers of the rows and of the lower and upper bounds.
    """

    point: Array | None
    rows: Array
    lower: Array
    upper: Array


def multipliers(
    matrix: Array, right: Array, least: Array | None = None, most: Array | None = None, deadline: float = inf
) -> Multipliers | None:
    """Return a point with G x <= h and least <= x <= most, or multipliers that exclude it; None if neither is found.

    The time limit is for the linear program; it may pass the ``deadline`` by 10 ms.
    """
    m, n = matrix.shape
    ends = np.full((n + 1, 2), [-np.inf, np.inf])
    ends[n, 0] = 0.0
    if least is not None and most is not None:
        ends[:n, 0], ends[:n, 1] = least, most
    cost = np.zeros(n + 1)
    cost[n] = 1.0
    program = _solved(cost, np.hstack([matrix, -np.ones((m, 1))]), right, ends, deadline)
    if program is None:
        return None
    if program.x[n] <= _NONE:
        return Multipliers(program.x[:n], np.zeros(m), np.zeros(n), np.zeros(n))
    found = [-program.ineqlin.marginals, program.lower.marginals[:n], -program.upper.marginals[:n]]
    return Multipliers(None, *_without_noise(found))


def least_multipliers(
    goal: Array, matrix: Array, right: Array, least: Array, most: Array, deadline: float
) -> Array | None:
    """Return the multipliers of the rows at the least <goal, x> over G x <= h, least <= x <= most; None if none are
    found.
    """
    program = _solved(goal, matrix, right, np.column_stack([least, most]), deadline)
    return None if program is None else _without_noise([-program.ineqlin.marginals])[0]


def _solved(cost: Array, matrix: Array, right: Array, ends: Array, deadline: float) -> Any | None:
    from scipy.optimize import linprog

    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        return None
    # These programs are small and dense: to presolve them takes longer than to solve them.
    options: dict[str, Any] = {"presolve": False}
    if deadline != inf:
        options["time_limit"] = max(deadline - time.monotonic(), 0.01)
    program = linprog(cost, A_ub=matrix, b_ub=right, bounds=ends, method="highs-ds", options=options)
    return program if program.status == 0 else None


def _without_noise(parts: list[Array]) -> list[Array]:
    largest = max(float(part.max(initial=0.0)) for part in parts)
    return [np.where(part > _NONE * largest, part, 0.0) for part in parts]


def confirmed(rows: Sequence[Row], guess: Array) -> bool:
    """Whether nonnegative multipliers of these rows, exactly, combine them to 0 <= something negative."""
    y = exact_multipliers([g for g, _ in rows], guess)
    return y is not None and bool(sum((a * h for a, (_, h) in zip(y, rows, strict=True)), rational(0.0)) < 0)


def exact_multipliers(rows: Sequence[Sequence[Any]], guess: Array) -> list[Any] | None:
    """Return nonnegative rationals y of sum 1 with y'G = 0 for the rows G, near to a guess; None if none are found."""
    from flint import fmpq_mat

    total = float(guess.sum())
    if not rows or not 0 < total < inf:
        return None
    n, m = len(rows[0]), len(rows)
    entries = [rows[j][i] if j < m else rational(0.0) for i in range(n) for j in range(m + 1)]
    entries += [rational(1.0)] * (m + 1)
    reduced, pivots = row_echelon(fmpq_mat(n + 1, m + 1, entries))
    if m in pivots:
        return None
    free = [column for column in range(m) if column not in pivots]
    y = [rational(0.0)] * m
    for column in free:
        y[column] = rational(float(guess[column]) / total)
    for row, column in enumerate(pivots):
        y[column] = reduced[row, m] - sum((reduced[row, k] * y[k] for k in free), rational(0.0))
    return y if all(a >= 0 for a in y) else None

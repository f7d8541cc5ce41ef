"""Proofs that linear inequalities have no solution: Farkas multipliers, found in floats and confirmed in rationals."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from nngames.core.exact import fraction, nearest_float, rational, row_echelon
from nngames.core.profiles import Array

#: A row g, h stands for g x <= h, in rationals of flint.
Row = tuple[Sequence[Any], Any]
#: Multipliers below this share of the largest are taken as none, and a violation below it as none.
_NONE = 1e-10


def in_floats(row: Row) -> tuple[Array, float]:
    """Return a row in floats, scaled to largest entry 1; the scale is lost, which multipliers do not need."""
    entries = np.array([nearest_float(fraction(entry)) for entry in row[0]])
    largest = float(np.abs(entries).max(initial=0.0)) or 1.0
    return entries / largest, nearest_float(fraction(row[1])) / largest


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
    from scipy.optimize import linprog

    matrix = np.array([g for g, _ in floats])
    bounds = np.array([h for _, h in floats])
    if not (np.isfinite(matrix).all() and np.isfinite(bounds).all()):
        return False, None
    n = matrix.shape[1]
    cost = np.zeros(n + 1)
    cost[n] = 1.0
    program = linprog(
        cost,
        A_ub=np.hstack([matrix, -np.ones((len(matrix), 1))]),
        b_ub=bounds,
        bounds=[*[(None, None)] * n, (0, None)],
        method="highs-ds",
        options={} if deadline == inf else {"time_limit": max(deadline - time.monotonic(), 0.01)},
    )
    if program.status != 0:
        return False, None
    if program.x[n] <= _NONE:
        return False, program.x[:n]
    multipliers = -program.ineqlin.marginals
    support = np.flatnonzero(multipliers > _NONE * multipliers.max()).tolist()
    return _confirmed([rows[i] for i in support], multipliers[support]), None


def _confirmed(rows: Sequence[Row], guess: Array) -> bool:
    """Whether nonnegative multipliers of these rows, exactly, combine them to 0 <= something negative."""
    from flint import fmpq_mat

    if not rows:
        return False
    n, m = len(rows[0][0]), len(rows)
    entries = [rows[j][0][i] if j < m else rational(0.0) for i in range(n) for j in range(m + 1)]
    entries += [rational(1.0)] * (m + 1)
    reduced, pivots = row_echelon(fmpq_mat(n + 1, m + 1, entries))
    if m in pivots:
        return False
    free = [column for column in range(m) if column not in pivots]
    y = [rational(0.0)] * m
    for column in free:
        y[column] = rational(float(guess[column]))
    for row, column in enumerate(pivots):
        y[column] = reduced[row, m] - sum((reduced[row, k] * y[k] for k in free), rational(0.0))
    value = sum((a * h for a, (_, h) in zip(y, rows, strict=True)), rational(0.0))
    return all(a >= 0 for a in y) and value < 0

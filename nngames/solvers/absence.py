"""Proofs that v = W r(v) + b has no solution, so that a game has no equilibrium: a multiplier, checked in rationals.

For every y and every v with v = W r(v) + b: <y, b> = <y, v> - <W'y, r(v)> <= sum_i sup_s [y_i s - (W'y)_i r_i(s)]. So
there is no equilibrium if that sum is below <y, b>. Each supremum is one of a piecewise linear function: infinite if it
rises at an end, else taken at a break. For relu this is Farkas' alternative y >= 0, (I - W)'y <= 0, <y, b> > 0.

Where M is monotone and every r_i is constant to the left, the last ray of Lemke's path gives such a y: the change dx of
the actions along it. Let M be I - W - k with the shift k >= 0 of the inclusion view, D the slopes on the ray and
dx = D dv. Then <dx, dv - (1 - k) dx> = sum_i D_i (1 - (1 - k_i) D_i) dv_i^2 >= 0 equals -<dx, M dx> - dt <dx, d>.
Here d = e and dx >= 0: if dt > 0 then dx = 0 and the ray is the first one. So dt = 0, <dx, M dx> = 0, hence
M'dx = -M dx, and D_i = 1/(1 - k_i) or dx_i = 0. Then W'dx = 2 (1 - k) dx - dv, each supremum is attained along the ray,
and their sum is <y, v - W r(v)> there, that is <y, b> - t <y, d> < <y, b>. Where the cell of the leftmost pieces is
singular and the path has no start, the y with y = D W'y there are tried: for affine responses these are Fredholm's
alternative. Other games may have a multiplier too: the y with the largest <y, b> - sum and entries in [-1, 1] solves a
linear program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nngames.core.exact import fraction, rational, row_echelon
from nngames.core.profiles import Array
from nngames.solvers.piecewise_equation import Cell, Pieces, PiecewiseEquation

#: Proofs are made up to this many actions, and exact null vectors sought up to this many entries.
PROOF_SIZE = 400
NULL_SIZE = 60
# Entries of a floating multiplier below this, relative to the largest, are taken as none.
_NONE = 1e-9
_DENOMINATOR = 10**6


@dataclass(frozen=True, eq=False)
class Absence:
    """A proof that there is no equilibrium.

    Attributes
    ----------
    multiplier : tuple of Fraction (N,)
        y.
    bound, value : Fraction
        The sum of the suprema, and <y, b> above it.
    """

    multiplier: tuple[Fraction, ...]
    bound: Fraction
    value: Fraction


def prove_absence(equation: PiecewiseEquation, cell: Cell, direction: Array | None) -> Absence | None:
    """Return a proof that there is no equilibrium, or None where no multiplier is found.

    Parameters
    ----------
    equation : PiecewiseEquation
    cell, direction : ndarray (N,)
        The last ray of Lemke's path: its cell and dv; without a direction the cell is one that may be singular.
    """
    if equation.size > PROOF_SIZE:
        return None
    proofs = (check_multiplier(equation, y) for y in _multipliers(equation, cell, direction) if y is not None)
    return next((proof for proof in proofs if proof is not None), None)


def _multipliers(equation: PiecewiseEquation, cell: Cell, direction: Array | None) -> Iterator[list[Any] | None]:
    """Yield what may prove absence, the cheap ones first."""
    if direction is None:
        yield from _kernel(equation, cell)
    else:
        dx = equation.slopes_at(cell) * direction
        dx[np.abs(dx) <= _NONE * float(np.abs(dx).max(initial=0.0))] = 0.0
        yield [rational(x) for x in dx.tolist()]
        yield _null_vector(equation, cell, dx)
    yield _best_multiplier(equation, 1.0)
    yield _best_multiplier(equation, 0.0)


def check_multiplier(equation: PiecewiseEquation, y: list[Any]) -> Absence | None:
    """Return the proof that the multiplier y (N,), in rationals of flint, gives; None if it gives none."""
    zero = rational(0.0)
    support = [i for i, entry in enumerate(y) if entry != 0]
    total, value = zero, zero
    images = [zero] * equation.size
    for i in support:
        value += y[i] * rational(float(equation.bias[i]))
        for j, weight in enumerate(equation.rational_row(i)):
            images[j] += weight * y[i]
    for entry, image, pieces in zip(y, images, equation.pieces, strict=True):
        largest = _supremum(entry, -image, pieces)
        if largest is None:
            return None
        total += largest
    if not total < value:
        return None
    return Absence(tuple(fraction(entry) for entry in y), fraction(total), fraction(value))


def _supremum(share: Any, factor: Any, pieces: Pieces) -> Any | None:
    """Return the supremum of share s + factor r(s) over s; None where it is infinite."""
    if share + factor * pieces.slopes[0] < 0 or share + factor * pieces.slopes[-1] > 0:
        return None
    if not pieces.breaks:
        return factor * pieces.offsets[0]
    lines = zip(pieces.breaks, pieces.slopes, pieces.offsets, strict=False)
    return max(share * s + factor * (slope * s + offset) for s, slope, offset in lines)


def _null_vector(equation: PiecewiseEquation, cell: Cell, dx: Array) -> list[Any] | None:
    """Return the exact y with y_i = D_i (W'y)_i and the support of dx, if that fixes it up to its length."""
    from flint import fmpq_mat

    support = np.flatnonzero(dx).tolist()
    m = len(support)
    if not 0 < m <= NULL_SIZE:
        return None
    rows = [equation.rational_row(i) for i in support]
    slopes = [equation.pieces[i].slopes[int(cell[i])] for i in support]
    entries = [int(a == b) - slopes[b] * rows[a][j] for b, j in enumerate(support) for a in range(m)]
    reduced, pivots = row_echelon(fmpq_mat(m, m, entries))
    if len(pivots) != m - 1:
        return None
    free = next(column for column in range(m) if column not in pivots)
    sign = 1 if dx[support[free]] > 0 else -1
    y = [rational(0.0)] * equation.size
    y[support[free]] = rational(float(sign))
    for row, column in enumerate(pivots):
        y[support[column]] = -reduced[row, free] * sign
    return y


def _kernel(equation: PiecewiseEquation, cell: Cell) -> Iterator[list[Any]]:
    """Yield an exact basis of the y with y = D W'y on the cell, each in the direction in which <y, b> is positive."""
    from flint import fmpq_mat

    n = equation.size
    if n > NULL_SIZE:
        return
    rows = [equation.rational_row(i) for i in range(n)]
    slopes = [equation.pieces[j].slopes[int(cell[j])] for j in range(n)]
    entries = [int(i == j) - slopes[j] * rows[i][j] for j in range(n) for i in range(n)]
    reduced, pivots = row_echelon(fmpq_mat(n, n, entries))
    bias = [rational(x) for x in equation.bias.tolist()]
    for free in sorted(set(range(n)) - set(pivots)):
        y = [rational(0.0)] * n
        y[free] = rational(1.0)
        for row, column in enumerate(pivots):
            y[column] = -reduced[row, free]
        value = sum((a * b for a, b in zip(y, bias, strict=True)), rational(0.0))
        yield y if value >= 0 else [-entry for entry in y]


def _best_multiplier(equation: PiecewiseEquation, share: float) -> list[Any] | None:
    """Return the y of the linear program, rounded to simple fractions; None where its value is not positive.

    The conditions at both ends are asked for with ``share`` times the program's value to spare, so that a y in the
    interior stands the rounding.
    """
    from scipy.optimize import linprog

    n, slopes, offsets, transposed = equation.size, equation.slopes, equation.offsets, equation.weight.T
    identity, zero, spare = np.eye(n), np.zeros((n, n)), np.full((n, 1), share)
    # The unknowns are y, the suprema, and the value.
    rows = [
        np.hstack([slopes[:, :1] * transposed - identity, zero, spare]),
        np.hstack([identity - slopes[:, -1:] * transposed, zero, spare]),
    ]
    for k in range(equation.breaks.shape[1]):
        line = np.where(np.isfinite(equation.breaks[:, k]), k, 0)
        at = equation.breaks[np.arange(n), line]
        at = np.where(np.isfinite(at), at, 0.0)
        value = slopes[np.arange(n), line] * at + offsets[np.arange(n), line]
        rows.append(np.hstack([np.diag(at) - value[:, None] * transposed, -identity, np.zeros((n, 1))]))
    rows.append(np.hstack([-equation.bias, np.ones(n), [1.0]])[None, :])
    matrix = np.vstack(rows)
    bounds = [(-1.0, 1.0)] * n + [(None, None)] * n + [(None, 1.0)]
    goal = np.zeros(2 * n + 1)
    goal[-1] = -1
    found = linprog(goal, matrix, np.zeros(len(matrix)), bounds=bounds, method="highs")
    if found.x is None or not found.x[-1] > _NONE:
        return None
    return [rational(Fraction(float(entry)).limit_denominator(_DENOMINATOR)) for entry in found.x[:n]]

"""The minimum of a quadratic function over a polyhedron, exactly: its faces' stationary points in rationals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, inf
from typing import Any

import numpy as np

from nngames.checks.enumerating.infeasible import in_floats
from nngames.checks.leading.rational_costs import Quadratic, Vector, dot, times
from nngames.core.errors import NNGamesError
from nngames.core.exact import fraction, is_positive_semidefinite, rational, row_echelon
from nngames.core.quadratic_program import minimise_quadratic

#: A row (g, h) stands for <g, t> <= h.
Row = tuple[Sequence[Any], Any]
#: At most so many faces of a polyhedron are examined.
MOST_FACES = 5_000
#: A row counts as active at a float solution if it misses equality by at most this.
_TIGHT = 1e-7
#: Why a minimum is not decided where the time ran out, and what would decide it.
OUT_OF_TIME = "the time ran out", "a larger max_seconds, which would examine the other patterns"


class UndecidedError(Exception):
    """The minimum is not decided: why, and what would decide it."""

    def __init__(self, reason: str, would_change: str) -> None:
        super().__init__(reason)
        self.reason, self.would_change = reason, would_change


class UnboundedError(Exception):
    """The function is unbounded below on the polyhedron, which is not empty."""


@dataclass(frozen=True)
class Minimum:
    """The least value, a point where it is taken, and whether that is known to be the only one."""

    value: Any
    point: Vector
    unique: bool


def minimise(function: Quadratic, rows: Sequence[Row], deadline: float = inf) -> Minimum | None:
    """Return the minimum over {t: <g, t> <= h for all rows}; None if there is no such t.

    Beyond the ``deadline`` of time.monotonic it is undecided.

    Raises
    ------
    UnboundedError, UndecidedError

    Notes
    -----
    A minimiser lies in the relative interior of one face and is stationary on its affine hull; where these stationary
    points are more than one, they have one value, and either one of them lies on a smaller face or all lie in the
    face, so that one of them is enough. If the function is convex, a stationary point with multipliers of the right
    sign is a minimum, and if there is none the function is unbounded below or nothing is feasible. If not, the
    behaviour in the directions to infinity has to be decided first.
    """
    k = len(function.gradient)
    rows = list({(tuple(g), h): (g, h) for g, h in rows}.values())
    if any(h < 0 for g, h in rows if not any(x != 0 for x in g)):
        return None
    rows = [(g, h) for g, h in rows if any(x != 0 for x in g)]
    convex = k == 0 or is_positive_semidefinite(function.hessian)
    if convex:
        definite = k == 0 or function.hessian.det() != 0
        if definite and k > 1:
            guess = _guessed(function, rows)
            if guess is not None:
                return guess
        for found in _stationary(function, rows, deadline):
            if all(y >= 0 for y in found.multipliers):
                return Minimum(function(found.point), found.point, definite)
        if definite or _feasible_point(k, rows, deadline) is None:
            return None
        raise UnboundedError
    if _feasible_point(k, rows, deadline) is None:
        return None
    _require_bounded(function, rows, deadline)
    candidates = [(function(found.point), found) for found in _stationary(function, rows, deadline)]
    least = min(value for value, _ in candidates)
    best = [found for value, found in candidates if value == least]
    isolated = all(found.isolated for _, found in candidates)
    return Minimum(least, best[0].point, isolated and len({tuple(found.point) for found in best}) == 1)


def _require_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise UndecidedError(*OUT_OF_TIME)


def _guessed(function: Quadratic, rows: Sequence[Row]) -> Minimum | None:
    """Return the minimum of a strictly convex function if the rows that are active in floats confirm it exactly."""
    k = len(function.gradient)
    floats = [in_floats(row) for row in rows]
    matrix = np.array([g for g, _ in floats]).reshape(-1, k)
    upper = np.array([h for _, h in floats])
    hessian = np.array([[float(fraction(function.hessian[i, j])) for j in range(k)] for i in range(k)])
    slope = np.array([float(fraction(g)) for g in function.gradient])
    try:
        point = minimise_quadratic(hessian, -slope, matrix, np.full(len(rows), -np.inf), upper)
    except (NNGamesError, np.linalg.LinAlgError):
        return None
    active = [row for row, miss in zip(rows, upper - matrix @ point, strict=True) if miss <= _TIGHT]
    found = _on_face(function, active)
    if found is None or any(y < 0 for y in found.multipliers) or any(dot(g, found.point) > h for g, h in rows):
        return None
    return Minimum(function(found.point), found.point, True)


def _feasible_point(k: int, rows: Sequence[Row], deadline: float) -> Vector | None:
    """Return the point of the polyhedron nearest to zero."""
    from flint import fmpq_mat

    if k == 0:
        return []
    square = fmpq_mat(k, k, [rational(float(i == j)) for i in range(k) for j in range(k)])
    nearest = Quadratic(square, [rational(0.0)] * k, rational(0.0))
    return next(
        (found.point for found in _stationary(nearest, rows, deadline) if all(y >= 0 for y in found.multipliers)), None
    )


def _require_bounded(function: Quadratic, rows: Sequence[Row], deadline: float) -> None:
    """Raise unless a function that is not convex is bounded below on a polyhedron that is not empty.

    It is if d'Hd > 0 for all directions d to infinity, and it is not if d'Hd < 0 for one. With the extreme directions
    r_1, r_2, ... of a cone without lines, sum s_i r_i has a positive value if all r_i'H r_i > 0 and all r_i'H r_j >= 0;
    and with a = r_1'H r_1, b = r_1'H r_2, c = r_2'H r_2 the direction -b r_1 + a r_2 has the value a (a c - b^2).
    """
    k = len(function.gradient)
    lines = affine_set([[*g, rational(0.0)] for g, _ in rows], k)
    pointed = lines is not None and not lines[1]
    rays = list(_extreme_directions(k, rows, deadline)) if pointed else []
    if pointed and not rays:
        return
    values = {(i, j): dot(times(function.hessian, r), q) for i, r in enumerate(rays) for j, q in enumerate(rays)}
    tried = [*rays, *_least_curved(function)]
    pairs = list(combinations(range(len(rays)), 2))
    for i, j in pairs:
        tried.append([values[i, i] * y - values[i, j] * x for x, y in zip(rays[i], rays[j], strict=True)])
    for d in tried:
        for direction in (d, [-x for x in d]):
            if _leads_to_infinity(direction, rows) and dot(times(function.hessian, direction), direction) < 0:
                raise UnboundedError
    grows = all(values[i, i] > 0 for i in range(len(rays))) and all(values[i, j] >= 0 for i, j in pairs)
    if not (rays and grows):
        raise UndecidedError(
            "a cost that is not convex along the answers, on an unbounded set of commitments",
            "bounds on the leader's actions",
        )


def _extreme_directions(k: int, rows: Sequence[Row], deadline: float) -> Iterator[Vector]:
    """Yield the extreme directions of the cone {d: <g, d> <= 0}, which has no lines."""
    if comb(len(rows), k - 1) > MOST_FACES:
        raise UndecidedError(f"a polyhedron with more than {MOST_FACES} faces", "a smaller layer")
    seen: set[tuple[Any, ...]] = set()
    for active in combinations(rows, k - 1):
        _require_time(deadline)
        solved = affine_set([[*g, rational(0.0)] for g, _ in active], k)
        if solved is None or len(solved[1]) != 1:
            continue
        for direction in (solved[1][0], [-x for x in solved[1][0]]):
            largest = max(abs(x) for x in direction)
            scaled = [x / largest for x in direction]
            if _leads_to_infinity(scaled, rows) and tuple(scaled) not in seen:
                seen.add(tuple(scaled))
                yield scaled


def _least_curved(function: Quadratic) -> list[Vector]:
    """Return the eigenvector of the least eigenvalue, as floats give it."""
    k = len(function.gradient)
    hessian = np.array([[float(fraction(function.hessian[i, j])) for j in range(k)] for i in range(k)])
    return [[rational(float(t)) for t in np.linalg.eigh(hessian)[1][:, 0]]]


def _leads_to_infinity(direction: Vector, rows: Sequence[Row]) -> bool:
    return all(dot(g, direction) <= 0 for g, _ in rows)


@dataclass(frozen=True)
class _Stationary:
    """A feasible point with H t + g + G_S'y = 0 and G_S t = h_S, and whether it is the only one on its face's hull."""

    point: Vector
    multipliers: Vector
    isolated: bool


def _stationary(function: Quadratic, rows: Sequence[Row], deadline: float) -> Iterator[_Stationary]:
    """Yield a stationary point on the hull of each face that has any, where that point is feasible."""
    k = len(function.gradient)
    if sum(comb(len(rows), size) for size in range(k + 1)) > MOST_FACES:
        raise UndecidedError(f"a polyhedron with more than {MOST_FACES} faces", "a smaller layer")
    for size in range(k + 1):
        for active in combinations(rows, size):
            _require_time(deadline)
            found = _on_face(function, active)
            if found is not None and all(dot(g, found.point) <= h for g, h in rows):
                yield found


def _on_face(function: Quadratic, active: Sequence[Row]) -> _Stationary | None:
    """Return a stationary point where the active rows hold with equality; None if there is none."""
    k, size = len(function.gradient), len(active)
    zero = rational(0.0)
    table: list[Sequence[Any]] = [
        [*(function.hessian[i, j] for j in range(k)), *(g[i] for g, _ in active), -function.gradient[i]]
        for i in range(k)
    ]
    table += [[*g, *([zero] * size), h] for g, h in active]
    solved = affine_set(table, k + size)
    if solved is None:
        return None
    isolated = not any(x != 0 for direction in solved[1] for x in direction[:k])
    return _Stationary(solved[0][:k], solved[0][k:], isolated)


def affine_set(table: Sequence[Sequence[Any]], n: int) -> tuple[Vector, list[Vector]] | None:
    """Return a solution of the equations [a | b], a x = b, and a basis of the directions; None if there is none."""
    from flint import fmpq_mat

    zero = rational(0.0)
    origin = [zero] * n
    if not table:
        return origin, [[rational(float(i == j)) for i in range(n)] for j in range(n)]
    reduced, pivots = row_echelon(fmpq_mat(len(table), n + 1, [x for row in table for x in row]))
    if n in pivots:
        return None
    for row, column in enumerate(pivots):
        origin[column] = reduced[row, n]
    basis = []
    for free in (column for column in range(n) if column not in pivots):
        direction = [zero] * n
        direction[free] = rational(1.0)
        for row, column in enumerate(pivots):
            direction[column] = -reduced[row, free]
        basis.append(direction)
    return origin, basis

"""The solutions of linear equations within a cell, exactly: none, a point, or a face described."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb, inf
from typing import Any

from nngames.core.exact import fraction, rational, row_echelon
from nngames.results.equilibria import ExactPoint, Face

#: Vertices are sought among at most so many choices of inequalities.
MOST_CHOICES = 50_000
Vector = list[Any]
Row = tuple[Sequence[Any], Any]


class TooManyChoicesError(Exception):
    """A face has too many inequalities for its dimension to be described."""


class OutOfTimeError(Exception):
    """The deadline passed before a face was described, or before the search could begin."""


def solutions(
    equations: Sequence[Row], inequalities: Sequence[Row], pieces: tuple[int, ...], deadline: float = inf
) -> Face | None:
    """Return the solutions of ``g x = h`` for all equations and ``g x <= h`` for all inequalities; None if there are
    none.

    A single point is a face of dimension 0.

    Raises
    ------
    TooManyChoicesError
        If the face cannot be described within ``MOST_CHOICES``.
    OutOfTimeError
        If it is not by the ``deadline`` of time.monotonic.
    """
    n = len(equations[0][0])
    solved = _affine(equations, n)
    if solved is None:
        return None
    origin, basis = solved
    # In coordinates t of the solutions, x = origin + basis t.
    local = [([_dot(g, b) for b in basis], h - _dot(g, origin)) for g, h in inequalities]
    if any(h < 0 for g, h in local if not any(g)):
        return None
    local = list({(tuple(g), h): (g, h) for g, h in local if any(g)}.values())
    k = len(basis)
    lines = _null_space([g for g, _ in local], k)
    # A complement of the lines: with the coordinates that they free set to zero the face has vertices, or is empty.
    fixed = [([rational(float(i == p)) for i in range(k)], rational(0.0)) for p in _free([g for g, _ in local], k)]
    vertices = list(_vertices(local, fixed, k, deadline))
    if not vertices:
        return None
    rays = list(_rays(local, fixed, k, deadline))

    def lifted(t: Vector, direction: bool) -> ExactPoint:
        start = [rational(0.0)] * n if direction else origin
        return tuple(fraction(x + sum((b[i] * s for b, s in zip(basis, t, strict=True)), rational(0.0)))
                     for i, x in enumerate(start))  # fmt: skip

    spread = [[a - b for a, b in zip(v, vertices[0], strict=True)] for v in vertices[1:]] + rays + lines
    return Face(
        _rank(spread, k),
        tuple(lifted(v, False) for v in vertices),
        tuple(lifted(r, True) for r in rays),
        tuple(lifted(line, True) for line in lines),
        pieces,
    )


def _affine(equations: Sequence[Row], n: int) -> tuple[Vector, list[Vector]] | None:
    """Return a solution and a basis of the directions of all solutions; None if there is none."""
    reduced, pivots = _reduced([[*g, h] for g, h in equations], n + 1)
    if n in pivots:
        return None
    origin = [rational(0.0)] * n
    for row, column in enumerate(pivots):
        origin[column] = reduced[row, n]
    basis = []
    for free in (column for column in range(n) if column not in pivots):
        direction = [rational(0.0)] * n
        direction[free] = rational(1.0)
        for row, column in enumerate(pivots):
            direction[column] = -reduced[row, free]
        basis.append(direction)
    return origin, basis


def _vertices(rows: Sequence[Row], fixed: Sequence[Row], k: int, deadline: float) -> Iterator[Vector]:
    """Yield the points where k independent rows hold with equality, the fixed ones among them, and all rows hold."""
    need = k - len(fixed)
    if comb(len(rows), need) > MOST_CHOICES:
        raise TooManyChoicesError
    seen: set[tuple[Any, ...]] = set()
    for choice in combinations(rows, need):
        if time.monotonic() > deadline:
            raise OutOfTimeError
        solved = _affine([*choice, *fixed], k) if k else ([], [])
        if solved is None or solved[1]:
            continue
        point = solved[0]
        key = tuple(fraction(x) for x in point)
        if key not in seen and all(_dot(g, point) <= h for g, h in rows):
            seen.add(key)
            yield point


def _rays(rows: Sequence[Row], fixed: Sequence[Row], k: int, deadline: float) -> Iterator[Vector]:
    """Yield the extreme directions of the cone g t <= 0, each scaled to largest entry 1."""
    need = k - len(fixed) - 1
    if need < 0:
        return
    if comb(len(rows), need) > MOST_CHOICES:
        raise TooManyChoicesError
    zero = rational(0.0)
    seen: set[tuple[Any, ...]] = set()
    for choice in combinations(rows, need):
        if time.monotonic() > deadline:
            raise OutOfTimeError
        solved = _affine([(g, zero) for g, _ in (*choice, *fixed)] or [([zero] * k, zero)], k)
        if solved is None or len(solved[1]) != 1:
            continue
        for sign in (1, -1):
            ray = [sign * x for x in solved[1][0]]
            largest = max(abs(x) for x in ray)
            ray = [x / largest for x in ray]
            key = tuple(fraction(x) for x in ray)
            if key not in seen and all(_dot(g, ray) <= 0 for g, _ in rows):
                seen.add(key)
                yield ray


def _null_space(rows: Sequence[Vector], k: int) -> list[Vector]:
    zero = rational(0.0)
    solved = _affine([(row, zero) for row in rows] or [([zero] * k, zero)], k)
    assert solved is not None  # noqa: S101 - homogeneous equations have the solution zero
    return solved[1]


def _free(rows: Sequence[Vector], k: int) -> list[int]:
    _, pivots = _reduced(rows or [[rational(0.0)] * k], k)
    return [column for column in range(k) if column not in pivots]


def _rank(rows: Sequence[Vector], k: int) -> int:
    return len(_reduced(rows, k)[1]) if rows and k else 0


def _reduced(rows: Sequence[Sequence[Any]], columns: int) -> tuple[Any, list[int]]:
    from flint import fmpq_mat

    if not columns:
        return None, []
    return row_echelon(fmpq_mat(len(rows), columns, [x for row in rows for x in row]))


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    return sum((x * y for x, y in zip(a, b, strict=True) if x != 0 and y != 0), rational(0.0))

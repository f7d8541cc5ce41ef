"""From the solutions of single cells to the isolated points and the connected continua of a game.

Where two cells share solutions they share a piece or two neighbouring ones for each neuron, and what they share is cut
out of either's solutions by v_i = break. So it is a face of both polyhedra, and has a minimal face (a vertex, if there
are no lines) of both. Hence two sets of solutions meet iff they have a minimal face in common, and one is part of the
other iff it holds one relative interior point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from nngames.core.exact import fraction, rational
from nngames.results.equilibria import Component, ExactPoint, Face
from nngames.solvers.piecewise_equation import PiecewiseEquation

#: The minimal faces of a face, each by its lines in echelon form and its point with zeros at their pivots.
Corner = tuple[tuple[ExactPoint, ...], ExactPoint]


def gather(
    equation: PiecewiseEquation, weight: Sequence[Sequence[Any]], bias: Sequence[Any], faces: Iterable[Face]
) -> tuple[tuple[ExactPoint, ...], tuple[Component, ...]]:
    """Return the distinct isolated points, in order, and the connected components of positive dimension."""
    ordered = sorted(faces, key=lambda face: -face.dimension)
    groups: list[list[Face]] = []
    group_at: dict[Corner, list[Face]] = {}
    points = set()
    for face in ordered:
        corners = _corners(face)
        if face.dimension == 0:
            if corners[0] not in group_at:
                points.add(face.vertices[0])
            continue
        touched = {id(group_at[c]): group_at[c] for c in corners if c in group_at}
        inner = _inner_point(face)
        largest: list[Face] = max(touched.values(), key=len, default=[])
        part = any(_holds(equation, weight, bias, other, inner) for group in touched.values() for other in group)
        for group in touched.values():
            if group is not largest:
                largest += group
                groups = [kept for kept in groups if kept is not group]
                for corner in (c for other in group for c in _corners(other)):
                    group_at[corner] = largest
        if not touched:
            groups.append(largest)
        if not part:
            largest.append(replace(face, conditions=_conditions(equation, face)))
        for corner in corners:
            group_at[corner] = largest
    return tuple(sorted(points)), tuple(Component(tuple(group)) for group in groups)


def _corners(face: Face) -> list[Corner]:
    from flint import fmpq_mat

    if not face.lines:
        return [((), vertex) for vertex in face.vertices]
    n = len(face.lines[0])
    reduced, rank = fmpq_mat(len(face.lines), n, [rational(x) for line in face.lines for x in line]).rref()
    lines = tuple(tuple(fraction(reduced[row, column]) for column in range(n)) for row in range(rank))
    corners = []
    for vertex in face.vertices:
        point = vertex
        for line in lines:
            pivot = next(i for i, x in enumerate(line) if x)
            point = tuple(x - point[pivot] * d for x, d in zip(point, line, strict=True))
        corners.append((lines, point))
    return corners


def _inner_point(face: Face) -> ExactPoint:
    """Return a relative interior point: the mean of the vertices plus all rays."""
    count = len(face.vertices)
    means = (sum(entries, Fraction(0)) / count for entries in zip(*face.vertices, strict=True))
    return tuple(mean + sum((ray[i] for ray in face.rays), Fraction(0)) for i, mean in enumerate(means))


def _holds(
    equation: PiecewiseEquation,
    weight: Sequence[Sequence[Any]],
    bias: Sequence[Any],
    face: Face,
    point: ExactPoint,
) -> bool:
    """Whether an equilibrium lies on a face, which is so iff the pieces of the face hold at it."""
    x = [rational(entry) for entry in point]
    for i, (pieces, k) in enumerate(zip(equation.pieces, face.pieces, strict=True)):
        v = bias[i] + sum((w * y for w, y in zip(weight[i], x, strict=True)), rational(0.0))
        if (k > 0 and v < pieces.breaks[k - 1]) or (k < len(pieces.breaks) and v > pieces.breaks[k]):
            return False
    return True


def _conditions(equation: PiecewiseEquation, face: Face) -> tuple[Any, ...]:
    return tuple(
        (
            fraction(pieces.breaks[k - 1]) if k > 0 else None,
            fraction(pieces.breaks[k]) if k < len(pieces.breaks) else None,
            fraction(pieces.slopes[k]),
            fraction(pieces.offsets[k]),
        )
        for pieces, k in zip(equation.pieces, face.pieces, strict=True)
    )

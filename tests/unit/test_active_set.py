"""The exact active-set method against the optimality conditions, which rational arithmetic checks exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import fmpq

from nngames.activations import activation
from nngames.activations.numerics.active_set import project_exactly
from nngames.core.exact import rational


def rationals(array: np.ndarray) -> list[Any]:
    return [rational(float(t)) for t in array]


def inner(a: list[Any], b: list[Any]) -> Any:
    return sum((s * t for s, t in zip(a, b, strict=True)), fmpq(0))


def check_optimal(rows: list[list[Any]], offsets: list[Any], v: list[Any]) -> None:
    result = project_exactly(rows, offsets, v)
    assert result is not None
    p, y = result
    slack = [b - inner(row, p) for row, b in zip(rows, offsets, strict=True)]
    assert all(s >= 0 for s in slack)
    assert all(t >= 0 for t in y)
    assert all(s * t == 0 for s, t in zip(slack, y, strict=True))
    for j, (before, after) in enumerate(zip(v, p, strict=True)):
        assert before - after == inner([row[j] for row in rows], y)


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 5), (3, 4), (4, 9)])
def test_projection_is_optimal(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    for trial in range(12):
        matrix = rng.normal(size=(m, n)) if trial % 2 else rng.integers(-2, 3, size=(m, n)).astype(float)
        matrix[np.all(matrix == 0, axis=1), 0] = 1.0
        offsets = matrix @ np.round(rng.normal(size=n)) + (rng.uniform(size=m) if trial % 2 else 0.0)
        for scale in (1.0, 1e9):
            rows = [rationals(row) for row in matrix]
            check_optimal(rows, rationals(offsets), rationals(rng.normal(size=n) * scale))


def test_a_point_of_the_set_stays() -> None:
    p, y = project_exactly([[fmpq(1), fmpq(2)]], [fmpq(3)], [fmpq(1), fmpq(1)])  # type: ignore[misc]
    assert p == [1, 1]
    assert y == [0]
    assert project_exactly([], [], [fmpq(5)]) == ([5], [])


@pytest.mark.parametrize(
    ("rows", "offsets"),
    [
        ([[1], [-1]], [0, -1]),
        ([[1, 0], [0, 1], [-1, -1]], [0, 0, -1]),
        ([[1, 1], [-1, 1], [0, -1]], [-1, -1, 0]),
    ],
)
def test_contradicting_rows_leave_no_point(rows: list[list[int]], offsets: list[int]) -> None:
    exact = [[fmpq(a) for a in row] for row in rows]
    for start in (0, 7, -(10**12)):
        assert project_exactly(exact, [fmpq(b) for b in offsets], [fmpq(start)] * len(rows[0])) is None


def test_the_floating_projection_falls_back_on_it() -> None:
    """Rows that touch in one line, far away: daqp calls them infeasible, and the exact method projects."""
    a = activation(
        "polyhedron", matrix=[[1.0, 1.0], [-1.0, -1.0], [1.0, 0.0], [-1.0, 0.0]], offset=[1.0, -1.0, 1.0, 0.0]
    )
    rng = np.random.default_rng(5)
    v = np.concatenate([rng.normal(size=(40, 2)) * scale for scale in (1.0, 1e4, 1e9, 1e30)])
    t = np.clip((v[:, 0] - v[:, 1] + 1) / 2, 0, 1)
    # On the segment the answer depends on v[0] - v[1], which is rounded.
    allowed = 1e-13 + 1e-15 * np.abs(v).max(axis=-1)
    assert (np.abs(a(v) - np.stack([t, 1 - t], axis=-1)).max(axis=-1) <= allowed).all()
    assert a.contains(a(v)).all()


def test_rows_that_miss_each_other_by_rounding_still_make_a_set() -> None:
    a = activation("polyhedron", matrix=[[0.1], [-0.3]], offset=[0.1 * 0.7, -0.3 * 0.7 - 1e-17])
    np.testing.assert_allclose(a(np.array([[-5.0], [0.0], [3.0], [1e6]])), 0.7, atol=1e-11)

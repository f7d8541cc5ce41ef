"""Faces of polyhedra: kept factors change nothing, and their number is bounded."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest

from nngames.activations.numerics import faces
from nngames.activations.numerics.faces import Faces
from nngames.activations.polyhedron import PolyhedronProjection
from nngames.core.errors import NotApplicableError, OptionError
from nngames.core.exact import fraction, rational


def polyhedron(rng: np.random.Generator, rows: int = 12, size: int = 5) -> PolyhedronProjection:
    return PolyhedronProjection(rng.standard_normal((rows, size)).tolist(), (0.1 + rng.random(rows)).tolist())


def test_a_projection_does_not_depend_on_what_came_before() -> None:
    rng = np.random.default_rng(0)
    used = polyhedron(rng)
    points = rng.standard_normal((200, 5)) * np.logspace(-1, 6, 200)[:, None]
    together = [used(point) for point in points]
    assert len(used._faces._known) > 10
    for point, projected in zip(points[::-1], together[::-1], strict=True):
        np.testing.assert_array_equal(used(point), projected)
        np.testing.assert_array_equal(PolyhedronProjection(used.matrix, used.offset)(point), projected)


def test_a_face_projects_as_least_squares_do() -> None:
    rng = np.random.default_rng(1)
    rows, offsets, v = rng.standard_normal((6, 8)), rng.standard_normal(6), rng.standard_normal(8)
    rows[3] = rows[1]
    offsets[3] = offsets[1]
    mask = np.array([True, True, False, True, True, False])
    for factor in (1.0, 4.0):
        face = Faces(rows, offsets).of(mask)
        p, coordinates = face.project(v, factor)
        multipliers = face.inverse @ coordinates
        correction = np.linalg.lstsq(rows[mask], rows[mask] @ v - offsets[mask] / factor)[0]
        np.testing.assert_allclose(p, v - correction, atol=1e-13)
        np.testing.assert_allclose(rows[mask].T @ multipliers, v - p, atol=1e-13)


@pytest.mark.parametrize("kind", ["random", "twice", "whole", "parallel"])
def test_faces_known_before_spare_daqp_and_change_no_digit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rows, offsets = rng.standard_normal((9, 4)), 0.1 + rng.random(9)
    if kind == "twice":
        rows[5], offsets[5] = rows[1], offsets[1]
    if kind == "whole":
        rows, offsets = np.round(rows + 0.2 * np.sign(rows)), np.ones(9)
    if kind == "parallel":
        rows[5] = rows[1] + 1e-9 * rng.standard_normal(4)
    used = PolyhedronProjection(rows.tolist(), offsets.tolist())
    # Between two points on each face: across faces, onto a vertex of integer data, and inside.
    ends = rng.standard_normal((60, 4)) * np.logspace(-1, 17, 60)[:, None]
    points = [a + t * (b - a) for a, b in pairwise(ends) for t in (0, 0.01, 0.02, 0.5)] + [*np.round(ends[:20])]
    asked: list[int] = []
    active_rows = PolyhedronProjection._active_rows
    monkeypatch.setattr(PolyhedronProjection, "_active_rows", lambda *given: asked.append(1) or active_rows(*given))
    together = [used._project_one(point, 1.0) for point in points]
    often = len(asked)
    daqp = 0
    for point, (p, multipliers, error) in zip(points, together, strict=True):
        used._faces.last = None
        np.testing.assert_array_equal(used(point), p)
        np.testing.assert_array_equal(used(point), p)
        used._faces.last = None
        asked.clear()
        alone = used._project_one(point, 1.0)
        daqp += len(asked)
        np.testing.assert_array_equal(alone[0], p)
        np.testing.assert_array_equal(alone[1], multipliers)
        assert alone[2] == error
    assert often < daqp


def test_a_point_on_the_edge_of_two_faces_is_left_to_daqp(monkeypatch: pytest.MonkeyPatch) -> None:
    # (2, 1) is projected on the vertex (1, 1) by the first row alone: the multiplier of the second one is 0.
    square = PolyhedronProjection(((1.0, 0.0), (0.0, 1.0)), (1.0, 1.0))
    square(np.array([2.0, 2.0]))
    assert square._faces.last.active.all()
    asked: list[int] = []
    active_rows = PolyhedronProjection._active_rows
    monkeypatch.setattr(PolyhedronProjection, "_active_rows", lambda *given: asked.append(1) or active_rows(*given))
    square(np.array([3.0, 4.0]))
    assert not asked
    for point in ([2.0, 1.0], [2.0, 1.0 + 1e-12], [2.0, 1.0 - 1e-12]):
        square(np.array([2.0, 2.0]))
        square(np.array(point))
    assert len(asked) == 3
    # An obtuse wedge, whose multipliers hang on the rounding of its rows.
    wedge = PolyhedronProjection(((1.0, 0.0), (1.0, 1e-3)), (1.0, 1.0))
    for _ in range(2):
        np.testing.assert_allclose(wedge(np.array([3.0, 1e-3])), [1.0, 0.0], atol=1e-12)
    assert wedge._faces.last.active.all()
    assert len(asked) == 5


def test_a_face_is_accepted_only_where_the_optimality_conditions_hold() -> None:
    """Not with a negative multiplier, and not where another row is violated: daqp's word is not enough."""
    corner = Faces(np.eye(2), np.ones(2))
    for v, active in (([3.0, 0.5], [True, True]), ([3.0, 2.0], [True, False])):
        point = np.array(v)
        assert corner.accepted(corner.of(np.array(active)), point, float(np.linalg.norm(point)), 1.0) is None
    point = np.array([3.0, 2.0])
    p, multipliers, _ = corner.accepted(corner.of(np.array([True, True])), point, 4.0, 1.0)  # type: ignore[misc]
    np.testing.assert_allclose(p, [1, 1], atol=1e-15)
    np.testing.assert_allclose(multipliers, [2, 1], atol=1e-15)


def test_faces_of_dependent_rows_are_not_tried() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    faces_of_a_vertex = Faces(rows, np.array([1.0, 1.0, 1.4]))
    assert faces_of_a_vertex.of(np.array([True, True, False])).tried
    assert not faces_of_a_vertex.of(np.array([True, True, True])).tried


def test_faces_used_last_are_kept_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    factorised = faces._factorised
    monkeypatch.setattr(faces, "_factorised", lambda *given: made.append(1) or factorised(*given))
    # A face of one row among four of four columns has 26 entries.
    monkeypatch.setattr(faces, "MOST_ENTRIES", 60)
    few = Faces(np.eye(4), np.ones(4))
    masks = [row == 1 for row in np.eye(4)]
    for place in (0, 1, 0, 2, 0, 1):
        few.of(masks[place])
    # The third one took the place of the second, which had to be made again.
    assert len(made) == 4
    monkeypatch.setattr(faces, "MOST_ENTRIES", 1)
    assert Faces(np.eye(4), np.ones(4)).of(masks[3]).right.tolist() in ([[0, 0, 0, 1]], [[0, 0, 0, -1]])


def test_what_other_threads_do_meanwhile_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = [row == 1 for row in np.eye(16)]
    shared, factorised = Faces(np.eye(16), np.ones(16)), faces._factorised

    def interrupted(*given: np.ndarray) -> faces.Face:
        monkeypatch.setattr(faces, "_factorised", factorised)
        # The same face and another one, before the first call has its own.
        shared.of(masks[0]), shared.of(masks[1])
        return factorised(*given)

    monkeypatch.setattr(faces, "_factorised", interrupted)
    shared.of(masks[0])
    # The factors and the level of one row, the signs of all rows, and two times sixteen bytes of the mask.
    assert shared._entries == len(shared._known) * (1 + 16 + 1 + 17 * 16 + 4) == 2 * 294
    monkeypatch.setattr(faces, "MOST_ENTRIES", 300)
    shared.of(masks[2])
    assert shared._entries == 294
    assert len(shared._known) == 1


@pytest.mark.parametrize("seed", range(6))
def test_the_error_bound_holds_where_rows_are_almost_parallel(seed: int) -> None:
    rng, judged = np.random.default_rng(seed), 0
    for angle in np.logspace(-12, -6, 13):
        rows, z = rng.standard_normal((6, 2 + seed % 3)), rng.standard_normal(2 + seed % 3)
        rows[1] = (0.5 + rng.random()) * rows[0] + angle * rng.standard_normal(len(z))
        used = PolyhedronProjection(rows.tolist(), (rows @ z + (rng.random(6) < 0.5)).tolist())
        for far in (0.1, 1.0, 100.0):
            v = z + far * (rows[:2].T @ rng.random(2)) + rng.choice([0.0, 1e-3]) * rng.standard_normal(len(z))
            p, _, bound = used._project_one(v, 1.0)
            try:
                exact = used.exact_projection([rational(t) for t in v.tolist()])
            except NotApplicableError:
                continue
            missing = [float(fraction(rational(t) - e)) for t, e in zip(p.tolist(), exact, strict=True)]
            assert np.linalg.norm(missing) <= bound
            judged += 1
    assert judged > 20


def test_the_gap_knows_how_far_outside_a_point_may_be_that_slacks_put_inside() -> None:
    rng, outside = np.random.default_rng(3), 0
    for scale in (1.0, 1e3) * 40:
        rows, z = rng.standard_normal((4, 2)), scale * rng.standard_normal(2)
        used = PolyhedronProjection(rows.tolist(), (rows @ z + (rng.random(4) < 0.5)).tolist())
        p, bound, _, _ = used.gap_parts(z, z)
        try:
            exact = used.exact_projection([rational(t) for t in z.tolist()])
        except NotApplicableError:
            continue
        missing = math.hypot(*(float(fraction(rational(t) - e)) for t, e in zip(p.tolist(), exact, strict=True)))
        assert missing <= bound
        outside += missing > 0 and np.array_equal(p, z)
        deep = z - 1e-3 * (1 + scale) * np.linalg.lstsq(rows, np.ones(4))[0]
        assert (rows @ deep - used.offset).max() > -1e-6 or used.gap_parts(deep, deep)[1] == 0
    assert outside > 5


def test_squares_that_overflow_and_rows_without_a_length() -> None:
    square = PolyhedronProjection(((1.0, 0.0), (0.0, 1.0)), (1.0, 1.0))
    np.testing.assert_array_equal(square(np.array([1e300, 1e300])), [1, 1])
    inside = np.array([0.5, -1e300])
    assert not np.shares_memory(square(inside), inside)
    near = inside / 1e300
    assert not np.shares_memory(square(near), near)
    with pytest.raises(OptionError, match="lengths are finite"):
        PolyhedronProjection(((1.7e308, 1.7e308),), (1.0,))


def test_a_copy_knows_no_faces() -> None:
    used = polyhedron(np.random.default_rng(4))
    point = np.full(5, 10.0)
    projected = used(point)
    again = pickle.loads(pickle.dumps(used))
    assert vars(again).keys() == {"matrix", "offset"}
    assert again == used
    np.testing.assert_array_equal(again(point), projected)

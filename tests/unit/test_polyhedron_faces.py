"""Faces of polyhedra: kept factors change nothing, and their number is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from nngames.activations.numerics import faces
from nngames.activations.numerics.faces import Faces
from nngames.activations.polyhedron import PolyhedronProjection


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
    p, multipliers = Faces(rows).of(mask).project(v, offsets[mask])
    correction = np.linalg.lstsq(rows[mask], rows[mask] @ v - offsets[mask])[0]
    np.testing.assert_allclose(p, v - correction, atol=1e-13)
    np.testing.assert_allclose(rows[mask].T @ multipliers, v - p, atol=1e-13)


def test_faces_used_last_are_kept_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    factorised = faces._factorised
    monkeypatch.setattr(faces, "_factorised", lambda rows: made.append(len(rows)) or factorised(rows))
    # A face of one row and four columns has five entries.
    monkeypatch.setattr(faces, "MOST_ENTRIES", 10)
    few = Faces(np.eye(4))
    masks = [row == 1 for row in np.eye(4)]
    for place in (0, 1, 0, 2, 0, 1):
        few.of(masks[place])
    # The third one took the place of the second, which had to be made again.
    assert len(made) == 4
    monkeypatch.setattr(faces, "MOST_ENTRIES", 1)
    assert Faces(np.eye(4)).of(masks[3]).right.tolist() in ([[0, 0, 0, 1]], [[0, 0, 0, -1]])


def test_what_other_threads_do_meanwhile_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = [row == 1 for row in np.eye(16)]
    shared, factorised = Faces(np.eye(16)), faces._factorised

    def interrupted(rows: np.ndarray) -> faces.Face:
        monkeypatch.setattr(faces, "_factorised", factorised)
        # The same face and another one, before the first call has its own.
        shared.of(masks[0]), shared.of(masks[1])
        return factorised(rows)

    monkeypatch.setattr(faces, "_factorised", interrupted)
    shared.of(masks[0])
    # The factors of one row, and two times eight bytes of the mask.
    assert shared._entries == len(shared._known) * (1 + 16 + 2) == 2 * 19
    monkeypatch.setattr(faces, "MOST_ENTRIES", 20)
    shared.of(masks[2])
    assert shared._entries == 19
    assert len(shared._known) == 1

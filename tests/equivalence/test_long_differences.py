"""Long differences, which take the same rows in turn and are worked on by pieces, against those in one block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngames as nng
from nngames.solvers import Iterate, anderson, differences
from nngames.solvers.differences import Differences
from nngames.solvers.multisecant import solve_gram


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat all differences as long ones, in pieces that do not divide them."""
    for module in (differences, anderson):
        monkeypatch.setattr(module, "LONG", 1)
    monkeypatch.setattr(differences, "PIECE", 7)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("most", [1, 2, 4])
@pytest.mark.parametrize("filled", [0, 3, 6])
def test_every_difference_is_where_it_belongs(most: int, filled: int) -> None:
    rng = np.random.default_rng(most)
    points, values = rng.standard_normal((2, 12, 20))
    known = Differences(most, gram=True)
    # Plain steps: each moves by its displacement.
    points[: filled + 1] = points[0] + np.vstack((np.zeros(20), np.cumsum(values[:filled], axis=0)))
    known.fill(values[: filled + 1])
    for k in range(filled, 11):
        known.push(points[k], points[k + 1], values[k], values[k + 1])
        first = max(0, k + 1 - most)
        moves = np.diff(points[first : k + 2], axis=0)[::-1]
        changes = np.diff(values[first : k + 2], axis=0)[::-1]
        np.testing.assert_allclose(known.newest_first[0], moves, atol=1e-14)
        np.testing.assert_array_equal(known.newest_first[1], changes)
        assert known.moves.shape == (most, 20)
        for g in (values[k + 1], rng.standard_normal(20)):
            gamma: Any = known.least_squares(g)
            np.testing.assert_allclose(gamma, solve_gram(changes @ changes.T, changes @ g), rtol=1e-9)
            for beta in (1.0, 0.25):
                expected = beta * g - gamma @ (moves + beta * changes)
                np.testing.assert_allclose(known.step(g, gamma, beta), expected, atol=1e-12)
    known.clear()
    known.push(points[0], points[1], values[0], values[1])
    np.testing.assert_array_equal(known.newest_first[1], [values[1] - values[0]])


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("most", [1, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_rows_taken_over_say_what_copies_of_them_do(most: int, count: int) -> None:
    rows = np.random.default_rng(count).standard_normal((8, 20))
    filled, taken = Differences(most, gram=True), Differences(most, gram=True)
    filled.fill(rows[:count].copy())
    points, values = np.random.default_rng(9).standard_normal((2, 4, 20))
    taken.take_over(rows, count)
    # No second copy of them is made.
    assert np.shares_memory(taken.moves, rows) == (count > 1)
    for k in range(4):
        if k:
            for known in (filled, taken):
                known.push(points[k - 1], points[k], values[k - 1], values[k])
        assert taken.count == filled.count == min(most, count - 1 + k)
        if taken.count:
            np.testing.assert_allclose(taken.newest_first[0], filled.newest_first[0], atol=1e-14)
            np.testing.assert_array_equal(taken.newest_first[1], filled.newest_first[1])
            np.testing.assert_allclose(taken.least_squares(values[k]), filled.least_squares(values[k]), rtol=1e-9)


def games() -> dict[str, nng.Game]:
    rng = np.random.default_rng(0)
    weights = [0.95 * np.linalg.qr(rng.standard_normal((15, 15)))[0] for _ in range(2)]
    ring = nng.Network.ring(weights, [rng.standard_normal(15) for _ in range(2)], ["relu", "tanh"])
    acyclic = nng.Network.recurrent(np.tril(rng.standard_normal((40, 40)), -1), rng.standard_normal(40), "relu")
    return {"ring": ring.game(), "acyclic": acyclic.game()}


@pytest.mark.parametrize("name", ["ring", "acyclic"])
@pytest.mark.parametrize(
    "options",
    [{}, {"memory": 1}, {"memory": 20}, {"type": "I"}, {"mixing": 0.5}, {"regularization": 1e-10}, {"memory": 0}],
)
def test_runs_take_the_same_steps(name: str, options: dict[str, Any], request: pytest.FixtureRequest) -> None:
    game = games()[name]
    ordinary: list[Iterate] = []
    nng.solve(game, "anderson", max_iterations=12, callback=ordinary.append, **options)
    request.getfixturevalue("long")
    taken: list[Iterate] = []
    nng.solve(game, "anderson", max_iterations=12, callback=taken.append, **options)
    assert taken
    assert [step.evaluations for step in taken] == [step.evaluations for step in ordinary]
    for one, other in zip(taken, ordinary, strict=True):
        scale = 1 + np.linalg.norm(other.profile)
        np.testing.assert_allclose(one.profile, other.profile, atol=1e-8 * scale)

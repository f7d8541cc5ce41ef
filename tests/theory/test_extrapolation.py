"""The extrapolation of plain passes: what it gives on affine maps and elsewhere, and what it saves Newton's method."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.solvers.automatic import stages
from nngames.solvers.automatic.extrapolation import extrapolated


def passes(r: object, x: np.ndarray, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return x_0, ..., x_count and their displacements."""
    points = [x]
    for _ in range(count + 1):
        points.append(r(points[-1]))  # type: ignore[operator]
    return points[:-1], np.diff(points, axis=0)


@pytest.mark.parametrize("scale", [0.6, 0.9, 1.7])
def test_as_many_passes_as_coordinates_tell_the_fixed_point_of_an_affine_map(scale: float) -> None:
    """The displacements J^j g_0, j = 0, ..., n, are linearly dependent by Cayley and Hamilton's theorem."""
    rng = np.random.default_rng(3)
    matrix, shift = scale * np.linalg.qr(rng.standard_normal((3, 3)))[0], rng.standard_normal(3)
    points, displacements = passes(lambda x: matrix @ x + shift, np.zeros(3), 3)
    expected = np.linalg.solve(np.eye(3) - matrix, shift)
    np.testing.assert_allclose(extrapolated(points[-1], displacements), expected, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_is_the_accelerated_step(dtype: type) -> None:
    """The shortest affine combination of the displacements, by least squares in their differences."""
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((12, 12))
    points, displacements = passes(lambda x: np.tanh(weight @ x + 1), np.zeros(12), 4)
    differences = (displacements[:-1] - displacements[-1]).T
    shares = np.linalg.lstsq(differences, -displacements[-1], rcond=None)[0]
    weights = np.append(shares, 1 - shares.sum())
    expected = weights @ (np.array(points) + displacements)
    found = extrapolated(points[-1].astype(dtype), displacements.astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 if dtype is np.float64 else 1e-3)


def test_of_a_cycle_it_is_the_mean() -> None:
    points, displacements = passes(lambda x: np.array([2.0 - x[0], 4.0]), np.array([0.0, 4.0]), 3)
    np.testing.assert_allclose(extrapolated(points[-1], displacements), [1.0, 4.0], rtol=1e-12)


def test_it_saves_newton_directions_on_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain passes go round the equilibrium, so that the last one may have other units active."""
    games = [nng.Network.generate("iso", seed=seed, size=20, layers=1).game() for seed in range(6)]
    with_it = [nng.solve(game) for game in games]
    monkeypatch.setattr(stages, "state_ahead", lambda view, state, displacements: (None, state.evaluations))
    without = [nng.solve(game) for game in games]
    assert all(result.converged and result.method == "auto:newton" for result in (*with_it, *without))
    assert sum(result.evaluations for result in with_it) < 0.75 * sum(result.evaluations for result in without)


def test_where_it_leads_away_newton_starts_from_the_best_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    game = nng.Network.generate("iso", seed=0, size=20, layers=1).game()
    monkeypatch.setattr(stages, "state_ahead", lambda view, state, displacements: (None, state.evaluations))
    without = nng.solve(game)

    def far(view: object, state: stages.State, displacements: np.ndarray) -> tuple[stages.State, int]:
        return stages.State(state.x + 1e3, 2 * state.residual, 0, state.x), state.evaluations + 1

    monkeypatch.setattr(stages, "state_ahead", far)
    result = nng.solve(game)
    assert result.evaluations == without.evaluations + 1
    np.testing.assert_array_equal(result.profile, without.profile)

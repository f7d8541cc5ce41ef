"""A posteriori error bounds hold along iterates and at random profiles, in the norm they name."""

from __future__ import annotations

import numpy as np
import pytest

import nngames as nng
from nngames.certificates.error_bounds import error_bound, error_bounds


def scaled(rng, rows, columns, norm):
    matrix = rng.standard_normal((rows, columns))
    return matrix * norm / np.linalg.norm(matrix, 2)


def contraction(rng):
    weights = [scaled(rng, 3, 4, 1.1), scaled(rng, 4, 3, 0.7)]
    return nng.Network.ring(weights, [rng.uniform(0.2, 1, 3), rng.uniform(0.2, 1, 4)], ["tanh", "relu"]).game()


def euclidean(rng):
    return nng.Network.recurrent(scaled(rng, 5, 5, 0.9), rng.standard_normal(5), "tanh").game(players="neurons")


def weighted(rng):
    weight = np.triu(rng.uniform(-4, 4, (5, 5)), 1) + 0.3 * np.diag(rng.uniform(0, 1, 5))
    return nng.Network.recurrent(weight, rng.standard_normal(5), "relu").game(players="neurons")


def strongly_monotone(rng):
    a, b = rng.standard_normal((5, 5)) / 2, 2 * rng.standard_normal((5, 5))
    return nng.Network.recurrent(0.7 * np.eye(5) - a.T @ a + b - b.T, rng.standard_normal(5), "relu").game()


def steep(rng):
    """Slopes up to 2: F is convex after a shift only."""
    b = scaled(rng, 4, 4, 1.5)
    weight = b - b.T - 0.2 * np.eye(4)
    return nng.Network.recurrent(weight, rng.standard_normal(4), {"name": "tanh", "scale": 2.0}).game()


def quadratic(rng):
    root = rng.standard_normal((2, 2))
    return nng.QuadraticGame(
        {"a": root @ root.T + np.eye(2), "b": 2.0},
        {("a", "b"): rng.uniform(-0.5, 0.5, (2, 1)), ("b", "a"): rng.uniform(-0.5, 0.5, (1, 2))},
        {"a": rng.standard_normal(2), "b": rng.standard_normal(1)},
        {"a": "nonnegative", "b": "box"},
    )


def positive(rng):
    weight = rng.uniform(0, 0.6, (4, 4))
    np.fill_diagonal(weight, 0)
    return nng.Network.recurrent(weight, rng.uniform(0.3, 1, 4), "tanh").game(players="neurons")


FAMILIES = {
    contraction: ("joint_contraction", "composite_contraction"),
    euclidean: ("euclidean_contraction", "joint_contraction"),
    weighted: ("neuron_contraction",),
    strongly_monotone: ("monotone",),
    steep: ("monotone",),
    quadratic: ("monotone", "joint_contraction"),
    positive: ("nonnegative",),
}


def solved(game):
    """The equilibrium, to near rounding, by a scheme that its own residual judges."""
    for method in ("auto", "newton", "extragradient"):
        result = nng.solve(game, method, tolerance=1e-13, max_iterations=100_000)
        if result.residual < 1e-11:
            return result.profile
    raise AssertionError("not solved")


def distance(bound, error, game, profile_size):
    if bound.norm == "|x|_2":
        return np.linalg.norm(error)
    if bound.norm.startswith("|x_L|"):
        return np.linalg.norm(error[-game.network.dims[game.network.ring_order[-1]] :])
    verdict = nng.certify(game)[bound.certificate]
    weights = verdict.witness["upper"] if "upper" in bound.norm else verdict.witness["weights"]
    if isinstance(weights, dict):
        parts = game.network.space.slices
        return max(np.linalg.norm(error[where]) / weights[block] for block, where in parts.items())
    return np.max(np.abs(error) / weights)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_within_every_bound(family, seed):
    rng = np.random.default_rng(seed)
    game = family(rng)
    equilibrium = solved(game)
    profiles = [equilibrium + scale * rng.standard_normal(game.size) for scale in (1e-6, 1e-2, 1.0, 30.0)]
    profiles += [np.abs(profile) for profile in profiles]
    view = game.fixed_point("joint")
    x = np.abs(rng.standard_normal(game.size))
    for _ in range(10):
        profiles.append(x)
        x = np.array(view.evaluate(x, np.empty_like(x)))
    proved = set()
    for profile in profiles:
        bounds = error_bounds(game, profile)
        proved |= set(bounds)
        error = profile - equilibrium
        for bound in bounds.values():
            assert distance(bound, error, game, game.size) <= bound.value + 1e-10
            assert np.linalg.norm(error) <= bound.euclidean + 1e-10
        best = error_bound(game, profile)
        finite = [bound.euclidean for bound in bounds.values() if np.isfinite(bound.euclidean)]
        assert (best.euclidean if best else None) == min(finite, default=None)
    assert set(FAMILIES[family]) <= proved


def test_the_bounds_are_attained_by_affine_games():
    # x = x/2 + 1 at x = 0: the residual is 1, the equilibrium 2.
    game = nng.Network.recurrent([[0.5]], [1.0], "identity").game(players="neurons")
    bounds = error_bounds(game, [0.0])
    for name in ("joint_contraction", "neuron_contraction", "euclidean_contraction"):
        assert bounds[name].euclidean == pytest.approx(2.0, rel=1e-8)


def test_without_a_proof_there_is_no_bound():
    game = nng.Network.ring([[[2.0]], [[2.0]]], [[1.0], [1.0]], ["relu", "relu"]).game()
    assert error_bounds(game, [0.0, 0.0]) == {}
    assert error_bound(game, [0.0, 0.0]) is None


def test_bad_arguments_are_refused():
    game = nng.Network.ring([[[0.5]], [[0.5]]], [[1.0], [1.0]], ["relu", "relu"]).game()
    with pytest.raises(nng.InputError):
        error_bounds("game", [0.0])
    with pytest.raises(nng.ShapeError):
        error_bounds(game, [0.0])
